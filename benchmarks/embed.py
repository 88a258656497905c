"""Listening to clips, our way against others', in turns: seconds to conv7 of the 8-layer net with random weights.

python benchmarks/embed.py [rounds]

PyTorch and OpenVINO run in `.venv-bench`, which `make bench` makes; without it they are left out. Each contender is a
process of its own that sleeps while others run. Time of the processors is the steadier where other work runs too, but
PyTorch's and OpenVINO's threads also spend it on waiting.
"""

import pathlib
import statistics
import subprocess
import sys
import tempfile

import numpy as np

from soundnet_tf import geometry
from soundnet_tf.export import add_tflite
from soundnet_tf.nets import model, saved
from soundnet_tf.spec import SAMPLE_RATE, SOUNDNET8, Conv
from soundnet_tf.testing import enliven

HERE = pathlib.Path(__file__).parent
BENCH = HERE.parent / '.venv-bench' / 'bin' / 'python'
LAYER = 'conv7'
SHAPES = [(1, 5), (1, 20), (1, 60), (32, 5)]
"""Clips, and seconds of each."""

OURS = {
    'ours': 'ours',
    'bfloat16': 'ours, bfloat16',
    'litert': 'ours, LiteRT',
    'by_openvino': 'ours, OpenVINO',
    'bfloat16_by_openvino': 'ours, OpenVINO in bfloat16',
}
PEERS = {'plain': 'tf.function of Keras', 'predict': 'predict per clip'}
ELSEWHERE = {'torch2d': 'PyTorch, 2-D as ports have it', 'torch1d': 'PyTorch, 1-D', 'openvino': 'OpenVINO'}


class Worker:
    """A contender's process."""

    def __init__(self, kind: str, folder: pathlib.Path, python: str | pathlib.Path = sys.executable):
        command = [str(python), str(HERE / 'peers' / 'worker.py'), kind, str(folder), LAYER]
        self._process = subprocess.Popen(
            command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        assert self._process.stdin
        assert self._process.stdout
        self._input, self._output = self._process.stdin, self._process.stdout
        self.works = self._answer() == 'ready'

    def _answer(self):
        return self._output.readline().strip()

    def ask(self, command):
        print(command, file=self._input, flush=True)
        return self._answer()

    def close(self):
        self._input.close()
        self._process.wait()


def operations(samples):
    """Additions and multiplications from a waveform to the layer."""
    total, channels = 0, 1
    for row in geometry.path(SOUNDNET8, LAYER):
        if isinstance(row, Conv):
            total += 2 * geometry.frames(SOUNDNET8, row.name, samples) * row.kernel * channels * row.filters
            channels = row.filters
    return total


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 9
    with tempfile.TemporaryDirectory() as folder:
        net = pathlib.Path(folder) / 'net'
        saved.save_net(enliven(model.build(SOUNDNET8)), net)
        add_tflite(net)
        python: dict[str, str | pathlib.Path] = dict.fromkeys([*OURS, *PEERS, 'peak'], sys.executable)
        python |= {kind: BENCH for kind in ELSEWHERE if BENCH.exists()}
        workers = {kind: Worker(kind, net, where) for kind, where in python.items()}
        workers = {kind: worker for kind, worker in workers.items() if worker.works}
        took = {}
        for clips, seconds in SHAPES:
            for turn in range(rounds):
                for kind, worker in workers.items():
                    if kind != 'predict' or seconds == 5:
                        once = [float(took) for took in worker.ask(f'{clips} {seconds * SAMPLE_RATE}').split()]
                        took.setdefault((kind, clips, seconds), []).append(once)
                        if not turn:
                            worker.ask(f'save {folder}/{kind}.npy')
            agree(folder, workers, clips, seconds)
        for worker in workers.values():
            worker.close()
    for index, what in enumerate(['by the clock', 'of the processors']):
        table(workers, {key: statistics.median(once[index] for once in times) for key, times in took.items()}, what)
    rates({key: statistics.median(once[0] for once in times) for key, times in took.items()})


def agree(folder, workers, clips, seconds):
    """All give the same numbers, or the comparison is worth nothing."""
    wanted = np.load(f'{folder}/plain.npy')
    for kind in workers:
        if kind == 'peak' or (kind == 'predict' and seconds != 5):
            continue
        given = np.load(f'{folder}/{kind}.npy')
        off = np.abs(given - wanted).max() / np.abs(wanted).max()
        if kind.startswith('bfloat16'):
            cosine = (given * wanted).sum() / np.linalg.norm(given) / np.linalg.norm(wanted)
            print(f'{kind} at {clips} x {seconds} s: off by {off:.1e} of the largest value, cosine {cosine:.6f}')
        elif off > 1e-4:
            raise SystemExit(f'{kind} differs by {off:.1e} at {clips} x {seconds} s')


def table(workers, took, what):
    names = {kind: name for kind, name in {**OURS, **PEERS, **ELSEWHERE}.items() if kind in workers}
    heads = ' | '.join(f'{clips} x {seconds} s' for clips, seconds in SHAPES)
    for title, unit, form in [
        (f'ms {what}', lambda shape: 1e-3, '{:.1f}'),
        (f'times as long as ours, {what}', lambda shape: took['ours', *shape], '{:.2f}'),
    ]:
        print(f'\n| {title} | {heads} |' + '\n|---' + '|---' * len(SHAPES) + '|')
        for kind, name in names.items():
            cells = [form.format(took[kind, *s] / unit(s)) if (kind, *s) in took else '' for s in SHAPES]
            print(f'| {name} | ' + ' | '.join(cells) + ' |')


def rates(took):
    print()
    for clips, seconds in SHAPES:
        rate = clips * operations(seconds * SAMPLE_RATE) / took['ours', clips, seconds] / 1e9
        most = 2 * 2048**3 / took['peak', clips, seconds] / 1e9
        print(f'{clips} x {seconds} s: {rate:.0f} GFLOP/s, {rate / most:.0%} of a product of matrices ({most:.0f})')


if __name__ == '__main__':
    main()
