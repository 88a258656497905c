"""A folder of sound files to conv7 of the original net, from the start of the command to its end, in turns.

    python benchmarks/folder.py [1 100 2000]

`soundnet-embed` with each engine, and what a user would write with ONNX Runtime, PyTorch or Keras
(`benchmarks/peers/folder.py`). The files are ESC-50's if SOUNDNET_DATA has them, else the five included clips, each as
often as it takes. PyTorch runs where `make .venv-bench/made` has made its environment.
"""

import itertools
import os
import pathlib
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

from soundnet_tf import clips
from soundnet_tf.nets import lookup

HERE = pathlib.Path(__file__).parent
BIN = pathlib.Path(sys.executable).parent
BENCH = HERE.parent / '.venv-bench' / 'bin' / 'python'
PEER = str(HERE / 'peers' / 'folder.py')
ROUNDS = {1: 5, 100: 3, 2000: 2}
"""Of so many files; others three."""


def sources():
    found = sorted(pathlib.Path(os.environ.get('SOUNDNET_DATA', '.'), 'esc50', 'audio').glob('*.ogg'))
    return found or [clips.path(name) for name in clips.names()]


def commands(work):
    net = str(lookup.find('soundnet8'))
    onnx = work / 'onnx'
    export = ['soundnet-export', '--model=soundnet8', '--format=onnx', '--output=embedding']
    clip = f'--clip={clips.path(clips.names()[0])}'
    subprocess.run([BIN / export[0], *export[1:], clip, f'--out={onnx}'], check=True, stdout=subprocess.DEVNULL)

    def ours(engine):
        return lambda listed, out: [
            BIN / 'soundnet-embed',
            f'--engine={engine}',
            '--layer=conv7',
            f'--paths_from={listed}',
            f'--out={out}',
        ]

    def peer(kind, given, python=sys.executable):
        return lambda listed, out: [python, PEER, kind, given, listed, out]

    made = {f'soundnet-embed, {engine}': ours(engine) for engine in ('auto', 'litert', 'openvino', 'tensorflow')}
    made |= {'ONNX Runtime': peer('onnx', str(onnx / 'model.onnx')), 'tf.function of Keras': peer('keras', net)}
    return made | ({'PyTorch': peer('torch', net, str(BENCH))} if BENCH.exists() else {})


def once(command, work, listed):
    out = work / 'out'
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command(str(listed), str(out)), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    took, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    shutil.rmtree(out)
    return took, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main():
    counts = [int(count) for count in sys.argv[1:]] or list(ROUNDS)
    took = {}
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        contenders = commands(work)
        for count in counts:
            inputs = work / f'in{count}'
            inputs.mkdir()
            for index, source in enumerate(itertools.islice(itertools.cycle(sources()), count)):
                shutil.copy(source, inputs / f'{index:04}-{source.name}')
            listed = work / f'{count}.txt'
            listed.write_text('\n'.join(map(str, sorted(inputs.iterdir()))))
            for _ in range(ROUNDS.get(count, 3)):
                for name, command in contenders.items():
                    took.setdefault((name, count), []).append(once(command, work, listed))
    heads = ' | '.join(f'{count:,} files' for count in counts)
    for index, what in enumerate(['by the clock', 'of the processors']):
        medians = {key: statistics.median(times[index] for times in runs) for key, runs in took.items()}
        print(f'\n| s {what} (times ours) | {heads} |\n|---' + '|---' * len(counts) + '|')
        for name in contenders:
            times = [(medians[name, count], medians['soundnet-embed, auto', count]) for count in counts]
            print(f'| {name} | ' + ' | '.join(f'{own:.2f} ({own / ours:.2f})' for own, ours in times) + ' |')


if __name__ == '__main__':
    main()
