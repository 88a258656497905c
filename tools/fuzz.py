"""Damage files of every kind, and check that each reader gives the content or one line, never a signal or a traceback.

python -m tools.fuzz --mutations=10000                 # over all readers of tests/readers.py
python -m tools.fuzz --mutations=500 --only=shard      # of those whose name has this word

Inputs are read in child processes, whose memory is limited. Reported are signals, inputs that take over a minute,
exceptions other than SoundNetError, messages of several lines, and memory beyond 3 times the file plus 200 MB.
"""

import argparse
import contextlib
import json
import os
import pathlib
import re
import resource
import signal
import subprocess
import sys
import tempfile
import traceback

import numpy as np

from soundnet_tf.errors import SoundNetError

TIMES, SPARE = 3, 200 << 20
"""Memory that reading may take: so many times the file, and so many bytes."""
LIMIT = 4 << 30
"""Bytes of address space for reading, beyond what the process has before."""
LONGEST_S = 60

_NUMBERS = [b'-1', b'NaN', b'null', b'1e999', b'9' * 30, b'9' * 5000]
_PIECES = [b'\0', b'\xff' * 4, b'\x7f\xff\xff\xff', b'\0\0\0\x80', b'"', b'\n', b',', b'{', b'[' * 3000, *_NUMBERS]
_PIECES += [b'\xed\xa0\x80', b'\xe4', b'\xef\xbb\xbf']


def mutated(data: bytes, seed: int) -> bytes:
    """The data with up to three changes: flipped bits, other numbers, blocks cut, inserted, copied, swapped, zeroed."""
    rng = np.random.default_rng(seed)
    changed = bytearray(data)
    for _ in range(rng.integers(1, 4)):
        size = len(changed)
        at, other = (int(x) for x in rng.integers(0, size + 1, 2))
        length = int(min(size, 2 ** rng.uniform(0, 10)))
        kind = rng.integers(0, 9)
        if kind == 0:
            for place in rng.integers(0, max(size, 1), rng.integers(1, 9)) if size else ():
                changed[place] ^= 1 << int(rng.integers(0, 8))
        elif kind == 1:
            del changed[at:]
        elif kind == 2:
            changed[at:at] = rng.bytes(length)
        elif kind == 3:
            changed[at:at] = changed[other : other + length]
        elif kind == 4:
            first, second = sorted((at, other))
            end = min(first + length, second)
            changed[first:end], changed[second : second + length] = (
                changed[second : second + length],
                changed[first:end],
            )
        elif kind == 5:
            changed[at : at + length] = bytes(len(changed[at : at + length]))
        elif kind == 6:
            piece = _PIECES[rng.integers(0, len(_PIECES))]
            changed[at : at + int(rng.integers(0, 2)) * len(piece)] = piece
        elif kind == 7:
            del changed[at : at + length]
        elif numbers := list(re.finditer(rb'\d+', changed)):
            found, piece = numbers[rng.integers(0, len(numbers))], _NUMBERS[rng.integers(0, len(_NUMBERS))]
            changed[found.start() : found.end()] = piece
    return bytes(changed)


def outcome(read, path: pathlib.Path) -> str:
    """What became of one input: an empty string if it was read, one line if it was refused.

    Raises AssertionError for a refusal of several lines, and whatever else the reader raises.
    """
    try:
        read(path)
    except SoundNetError as error:
        text = str(error)
        assert len(text.splitlines()) == 1, f'not one line: {text[:4000]!r}'
        assert len(text) < 20_000, f'{len(text):,} characters: {text[:200]!r}'
        return text
    return ''


def _memory(field: str) -> int:
    """A line of this process' status, in bytes."""
    (kib,) = re.findall(rf'{field}:\s+(\d+)', pathlib.Path('/proc/self/status').read_text())
    return 1024 * int(kib)


def child(name: str, first: int, end: int, folder: pathlib.Path) -> None:
    """Read the mutations of these seeds; `folder` receives the seed at work, and a line for each fault."""
    from tests.readers import READERS

    reader = next(reader for reader in READERS if reader.name == name)
    (folder / 'files').mkdir()
    path = reader.make(folder / 'files')
    data = path.read_bytes()
    with contextlib.redirect_stdout(None):
        outcome(reader.read, path)  # imports and caches
        resource.setrlimit(resource.RLIMIT_AS, (_memory('VmSize') + LIMIT, resource.RLIM_INFINITY))
        for seed in range(first, end):
            (folder / 'seed').write_text(str(seed))
            damaged = mutated(data, seed)
            path.write_bytes(damaged)
            pathlib.Path('/proc/self/clear_refs').write_text('5')  # the peak starts anew
            before = _memory('VmRSS')
            signal.alarm(LONGEST_S)
            fault = ''
            try:
                refusal = outcome(reader.read, path)
                if reader.is_hashed and damaged != data and not refusal:
                    fault = 'a changed file was read'
            except BaseException as error:
                fault = ''.join(traceback.format_exception(error)[-3:])
            signal.alarm(0)
            grown = _memory('VmHWM') - before
            if grown > TIMES * len(damaged) + SPARE:
                fault += f'{grown / 1e6:.0f} MB for {len(damaged):,} bytes'
            if fault:
                with (folder / 'faults').open('a') as file:
                    file.write(json.dumps([seed, fault]) + '\n')
    (folder / 'seed').write_text(str(end))


def run(name: str, mutations: int) -> list[str]:
    """The faults of a reader over so many inputs, in new processes after each signal."""
    faults, first = [], 0
    while first < mutations:
        with tempfile.TemporaryDirectory() as temporary:
            folder = pathlib.Path(temporary)
            command = [sys.executable, '-m', 'tools.fuzz', f'--child={name}', f'--first={first}']
            command += [f'--mutations={mutations}', f'--folder={folder}']
            quiet = os.environ | {'TF_CPP_MIN_LOG_LEVEL': '3', 'CUDA_VISIBLE_DEVICES': ''}
            done = subprocess.run(command, capture_output=True, text=True, errors='replace', env=quiet)
            if (folder / 'faults').exists():
                lines = map(json.loads, (folder / 'faults').read_text().splitlines())
                faults += [f'{name}, seed {seed}: {fault}' for seed, fault in lines]
            if done.returncode > 0 or not (folder / 'seed').exists():
                return [*faults, f'{name}: {done.stderr.strip()[-2000:] or done.returncode}']
            first = int((folder / 'seed').read_text())
            if done.returncode < 0:
                faults.append(f'{name}, seed {first}: {signal.Signals(-done.returncode).name}')
                first += 1
    return faults


def main() -> int:
    """Run all readers; the status is 1 if one has a fault."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--mutations', type=int, default=10_000, help='over all readers')
    parser.add_argument('--only', default='', help='readers whose name has this text')
    for flag in ('--child', '--first', '--folder'):
        parser.add_argument(flag, help=argparse.SUPPRESS)
    flags = parser.parse_args()
    if flags.child:
        child(flags.child, int(flags.first), flags.mutations, pathlib.Path(flags.folder))
        return 0
    from tests.readers import READERS

    names = [reader.name for reader in READERS if flags.only in reader.name]
    each, faults = -(-flags.mutations // len(names)), []
    for name in names:
        found = run(name, each)
        print(f'{name}: {each:,} inputs, {len(found)} faults', *found, sep='\n  ', flush=True)
        faults += found
    print(f'{each * len(names):,} inputs of {len(names)} readers: {len(faults)} faults')
    return 1 if faults else 0


if __name__ == '__main__':
    sys.exit(main())
