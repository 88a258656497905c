"""What a report costs: processor time of its parts, peak memory, and its size.

python benchmarks/visualize.py

The 8-layer net with random weights; 16 units of each layer with 6 excerpts. Each line is a process of its own, so that
peaks can be compared: more clips, or a longer file, should add little.
"""

import json
import pathlib
import subprocess
import sys
import tempfile

import soundfile

from soundnet_tf.audio import SAMPLE_RATE
from soundnet_tf.nets import model, saved
from soundnet_tf.spec import SOUNDNET8
from soundnet_tf.testing import enliven, noise

CASES = {'100 clips of 5 s': (100, 5), '1000 clips of 5 s': (1000, 5), '10 files of 6 minutes': (10, 360)}

PARTS = {'survey.conduct': 'listen', 'excerpts.write': 'excerpts', 'tsne.places': 'maps'}

MEASURED = """
import functools, json, re, sys, time
from soundnet_tf import load, tsne
from soundnet_tf.inference import files
from soundnet_tf.visualize import excerpts, report, survey

spent = {}
def timed(module, name):
    function = getattr(module, name)
    @functools.wraps(function)
    def call(*arguments):
        began = time.process_time()
        given = function(*arguments)
        key = module.__name__.rpartition('.')[2] + '.' + name
        spent[key] = spent.get(key, 0) + time.process_time() - began
        return given
    setattr(module, name, call)

timed(survey, 'conduct'), timed(excerpts, 'write'), timed(tsne, 'places')
net, sounds, out = sys.argv[1:]
report.write(load(net, short='tile'), net, files.find([sounds]), out, report.Wanted(units=16))
peak = int(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1]) / 1024
print(json.dumps([spent, time.process_time(), peak]))
"""


def main():
    print('| sounds | ' + ' | '.join(f'{part}, s' for part in PARTS.values()) + ' | all, s | peak, MB | report, MB |')
    print('|---' * (len(PARTS) + 4) + '|')
    with tempfile.TemporaryDirectory() as folder:
        top = pathlib.Path(folder)
        saved.save_net(enliven(model.build(SOUNDNET8)), top / 'net')
        for index, (name, (count, seconds)) in enumerate(CASES.items()):
            sounds = top / f'sounds{index}'
            sounds.mkdir()
            for number in range(count):
                soundfile.write(sounds / f'{number}.flac', noise(seconds, 0.5, seed=number), SAMPLE_RATE)
            command = [sys.executable, '-c', MEASURED, str(top / 'net'), str(sounds), str(top / f'report{index}')]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            spent, total, peak = json.loads(done.stdout.splitlines()[-1])
            size = sum(path.stat().st_size for path in (top / f'report{index}').rglob('*') if path.is_file()) / 1e6
            cells = [*(f'{spent.get(part, 0):.1f}' for part in PARTS), f'{total:.1f}', f'{peak:.0f}', f'{size:.1f}']
            print(f'| {name} | {" | ".join(cells)} |', flush=True)


if __name__ == '__main__':
    main()
