"""Kill commands with SIGKILL at random moments, repeat them until they end, and compare with an undisturbed run.

    python -m tools.kills --kills=200

The jobs: soundnet-embed to npz files and to a Parquet table, soundnet-prepare, soundnet-train. Prints a line per job,
and fails at the first result that differs by more than 1e-5 of its largest value. docs/reliability.md has the figures.
"""

import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence

import numpy as np
import soundfile
from absl import app, flags

from soundnet_tf import records, testing

KILLS = flags.DEFINE_integer('kills', 200, 'Kills in all.', lower_bound=4)
SEED = flags.DEFINE_integer('seed', 0, 'Seed of the moments.')

CLIPS, VIDEOS = 300, 24
TOLERANCE = 1e-5

Result = dict[str, np.ndarray]


def of_npz(out: pathlib.Path) -> Result:
    """The arrays of a folder of npz files."""
    found = {}
    for path in sorted(out.rglob('*.npz')):
        with np.load(path) as arrays:
            found[path.name] = arrays['values']
    return found


def of_parquet(out: pathlib.Path) -> Result:
    """The rows of a table, by sound."""
    import pyarrow.parquet

    table = pyarrow.parquet.read_table(out / 'table.parquet').to_pydict()
    values = next(column for name, column in table.items() if name.startswith(('values', 'embedding')))
    return {pathlib.Path(path).name: np.asarray(row) for path, row in zip(table['path'], values, strict=True)}


def of_records(out: pathlib.Path) -> Result:
    """The posteriors and the bytes of the sound of each record."""
    found = {}
    for sample in records.read(out):
        found[f'{sample.id} sound'] = np.frombuffer(sample.audio, np.uint8)
        found |= {f'{sample.id} {name}': rows for name, rows in sample.posteriors.items()}
    return found


def of_net(out: pathlib.Path) -> Result:
    """The weights of a trained net."""
    with np.load(out / 'net' / 'weights.npz') as arrays:
        return dict(arrays)


def run(command: Sequence[str], kill_after_s: float | None = None) -> bool:
    """Whether the command ended by itself. Raises RuntimeError if it failed."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        output, _ = process.communicate(timeout=kill_after_s)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.communicate()
        return False
    if process.returncode:
        raise RuntimeError(f'{command}: status {process.returncode}\n{output}')
    return True


def compare(wanted: Result, found: Result) -> float:
    """The largest difference, by the largest value of its array. Raises AssertionError for other names or shapes."""
    assert wanted.keys() == found.keys(), wanted.keys() ^ found.keys()
    differences = [np.abs(values.astype(float) - found[name]).max() for name, values in wanted.items()]
    return max(float(d / max(np.abs(v).max(), 1e-30)) for d, v in zip(differences, wanted.values(), strict=True))


def tortured(
    command: Callable[[pathlib.Path], list[str]],
    read: Callable[[pathlib.Path], Result],
    home: pathlib.Path,
    kills: int,
    rng: random.Random,
) -> str:
    """One job: kills at moments spread over a whole run, on new folders as runs end."""
    began = time.monotonic()
    run(command(home / 'whole'))
    whole_s, wanted = time.monotonic() - began, read(home / 'whole')
    done, ends, worst = 0, 0, 0.0
    while done < kills:
        out = home / f'killed{ends}'
        while done < kills and not run(command(out), rng.uniform(0.1, 1.1) * whole_s):
            done += 1
        run(command(out))
        worst, ends = max(worst, compare(wanted, read(out))), ends + 1
        assert worst <= TOLERANCE, worst
    return f'{done} kills, {ends} ends of runs of {whole_s:.1f} s, largest difference {worst:.1e}'


def make_inputs(home: pathlib.Path) -> None:
    """Clips, and videos with ready posteriors."""
    for folder in ('clips', 'posteriors'):
        (home / folder).mkdir()
    for number in range(CLIPS):
        soundfile.write(home / 'clips' / f'{number:03}.wav', testing.noise(2 + number % 7, seed=number), 22_050)
    rng = np.random.default_rng(0)
    for number in range(VIDEOS):
        np.save(home / 'posteriors' / f'{number:03}.wav.npy', rng.dirichlet(np.ones(5), 4).astype(np.float32))
    (home / 'labels.txt').write_text('a\nb\nc\nd\ne\n')


def main(_: Sequence[str]) -> None:
    """Every job in turn."""
    rng = random.Random(SEED.value)
    binaries = pathlib.Path(sys.executable).parent
    os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
    with tempfile.TemporaryDirectory() as folder:
        home = pathlib.Path(folder)
        make_inputs(home)
        sounds = [str(home / 'clips' / f'{number:03}.wav') for number in range(VIDEOS)]

        def embed(*options: str) -> Callable[[pathlib.Path], list[str]]:
            def command(out: pathlib.Path) -> list[str]:
                target = out / 'table.parquet' if options else out
                return [str(binaries / 'soundnet-embed'), str(home / 'clips'), f'--out={target}', *options]

            return command

        def prepare(out: pathlib.Path) -> list[str]:
            teacher = f'--teacher=any={home / "posteriors"},labels={home / "labels.txt"}'
            return [str(binaries / 'soundnet-prepare'), *sounds, f'--out={out}', teacher, '--shards=6']

        def train(out: pathlib.Path) -> list[str]:
            settings = ('--width=0.0625', '--steps=12', '--batch=2', '--clip_s=11', '--save_every=3')
            return [
                str(binaries / 'soundnet-train'),
                f'--records={home / "prepare" / "whole"}',
                f'--out={out}',
                *settings,
            ]

        jobs = {
            'embed': (embed(), of_npz),
            'table': (embed('--format=parquet', '--pool=mean'), of_parquet),
            'prepare': (prepare, of_records),
            'train': (train, of_net),
        }
        for name, (command, read) in jobs.items():
            (home / name).mkdir()
            print(f'{name}: {tortured(command, read, home / name, KILLS.value // len(jobs), rng)}', flush=True)


if __name__ == '__main__':
    app.run(main)
