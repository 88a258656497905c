"""What listening costs beside the net's own work: starting, and the memory of long files.

python benchmarks/memory.py [hours]

Each line is a process of its own. By default without the file of many hours, which takes minutes.
"""

import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import soundfile

from soundnet_tf.audio import SAMPLE_RATE
from soundnet_tf.export import add_tflite
from soundnet_tf.nets import model, saved
from soundnet_tf.spec import SOUNDNET8
from soundnet_tf.testing import enliven, noise

MEASURED = r"""
import json, re, sys, time
began = time.perf_counter()
{code}
# Not getrusage: that begins with what the parent had when it forked.
peak = int(re.search(r'VmHWM:\s+(\d+)', open('/proc/self/status').read())[1]) / 1024
print(json.dumps([time.perf_counter() - began, peak]))
"""

TENSORFLOW = 'import tensorflow'

LOADED = """
import numpy as np, soundnet_tf
embedder = soundnet_tf.load({net!r})
embedder.embed(np.zeros(22050, np.float32), 22050)
embedder.stream().push(np.zeros(22050, np.float32))
"""

BLOCKS = """
began = time.perf_counter()
embedder.embed_file({path!r})
"""

WHOLE = """
from soundnet_tf import decoding
began = time.perf_counter()
embedder._engine.run(decoding.read({path!r}), ['pool5'])
"""

COMMAND = """
import tempfile
from soundnet_tf.bin import {name}
sys.argv = ['soundnet-{name}', '--model={net}', {path!r}]
if {name!r} == 'embed':  # anew in each round: what is finished is skipped
    sys.argv.append('--out=' + tempfile.mkdtemp(dir={home!r}))
try:
    {name}.run()
except SystemExit as end:
    assert not end.code
"""


def measured(code):
    done = subprocess.run([sys.executable, '-c', MEASURED.format(code=code)], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    return json.loads(done.stdout.splitlines()[-1])


def long_file(path, hours):
    """Quiet noise, a minute of it again and again."""
    minute = noise(60, amplitude=0.005)
    with soundfile.SoundFile(path, 'w', SAMPLE_RATE, 1) as file:
        for _ in range(round(60 * hours)):
            file.write(minute)


def main():
    hours = float(sys.argv[1]) if len(sys.argv) > 1 else 0
    with tempfile.TemporaryDirectory() as home:
        home = pathlib.Path(home)
        net = enliven(model.build(SOUNDNET8))
        plain, quick = str(saved.save_net(net, home / 'plain')), str(saved.save_net(net, home / 'quick'))
        add_tflite(quick)
        five, ten_minutes = str(home / 'five.wav'), str(home / 'ten_minutes.flac')
        soundfile.write(five, noise(5), SAMPLE_RATE)
        long_file(ten_minutes, 1 / 6)
        loaded = LOADED.format(net=plain)
        lines = {
            'import tensorflow': TENSORFLOW,
            'and load the net': loaded,
            '600 s block by block': loaded + BLOCKS.format(path=ten_minutes),
            '600 s whole': loaded + WHOLE.format(path=ten_minutes),
            'soundnet-embed, 5 s, LiteRT': COMMAND.format(name='embed', net=quick, path=five, home=str(home)),
            'soundnet-tag, 5 s, LiteRT': COMMAND.format(name='tag', net=quick, path=five, home=str(home)),
            'soundnet-embed, 5 s, TensorFlow': COMMAND.format(name='embed', net=plain, path=five, home=str(home)),
        }
        if hours:
            path = str(home / 'hours.flac')
            long_file(path, hours)
            lines[f'{hours:g} h block by block'] = loaded + BLOCKS.format(path=path)
        print('| | s | peak, MB |\n|---|---|---|')
        for name, code in lines.items():
            rounds = 1 if 'h block' in name else 3
            took = np.median([measured(code) for _ in range(rounds)], axis=0)
            print(f'| {name} | {took[0]:.2f} | {took[1]:.0f} |', flush=True)


if __name__ == '__main__':
    main()
