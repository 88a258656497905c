"""How time and memory grow: with clips, with the seconds of one file, with the layers and the classes asked for.

    python benchmarks/growth.py

Writes docs/growth.svg too, with matplotlib of `.venv-bench`, which `make bench` makes. The clips are ESC-50's if
SOUNDNET_DATA has them, else the five included ones, each as often as it takes. Long files are noise as 16-bit WAV. Read
how a row compares with the one above it.
"""

import itertools
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np
import soundfile
from folder import BENCH, HERE, sources

from soundnet_tf import storage
from soundnet_tf.spec import SAMPLE_RATE, SOUNDNET8

BIN = pathlib.Path(sys.executable).parent
CLIPS = (10, 100, 1_000, 10_000)
SECONDS = (5, 60, 600, 3_600, 36_000)
LAYERS = (('pool5',), ('pool5', 'conv7'), SOUNDNET8.layer_names)
CLASSES = (1, 10, 100, 1_000)


def measured(*arguments, command='soundnet-embed'):
    """Seconds by the clock, and MB at most, of one run."""
    began = time.perf_counter()
    process = subprocess.Popen([BIN / command, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    assert status == 0, arguments
    return time.perf_counter() - began, used.ru_maxrss / 1e3


def table(title, unit, rows):
    """`rows` are (label, how many, (s, MB)); the first row has the costs of the start. Returns (how many, s, MB)."""
    print(f'\n| {title} | s | MB | ms for each {unit} more |\n|---|---|---|---|')
    before = None
    for label, count, (seconds, memory) in rows:
        more = f'{(seconds - before[1]) / (count - before[0]) * 1e3:.2f}' if before else ''
        print(f'| {label} | {seconds:.2f} | {memory:,.0f} | {more} |')
        before = count, seconds
    return [(count, *cost) for _, count, cost in rows]


def noise_file(path, seconds):
    with soundfile.SoundFile(str(path), 'w', SAMPLE_RATE, 1) as file:
        rng, left = np.random.default_rng(0), seconds * SAMPLE_RATE
        while left:
            size = min(left, 60 * SAMPLE_RATE)
            file.write(rng.normal(0, 0.1, size).astype(np.float32))
            left -= size
    return str(path)


def main():
    with tempfile.TemporaryDirectory() as work:
        folder = pathlib.Path(work, 'clips')
        folder.mkdir()
        for index, source in enumerate(itertools.islice(itertools.cycle(sources()), max(CLIPS))):
            (folder / f'{index:05}{source.suffix}').symlink_to(source.resolve())
        clips, rows = sorted(map(str, folder.iterdir())), []
        for count in CLIPS:
            listed = pathlib.Path(work, f'{count}.txt')
            listed.write_text('\n'.join(clips[:count]))
            rows.append((f'{count:,}', count, measured(f'--paths_from={listed}', f'--out={work}/clips{count}')))
        panels = {'clips of 5 s': table('clips of 5 s', 'clip', rows)}
        rows = []
        for seconds in SECONDS:
            path = noise_file(f'{work}/{seconds}.wav', seconds)
            rows.append((f'{seconds:,}', seconds, measured(path, f'--out={work}/long{seconds}')))
            os.remove(path)
        panels['seconds of one file'] = table('seconds of one file', 'second', rows)
        rows = []
        for layers in LAYERS:
            asked = f'--layer={",".join(layers)}'
            many = measured(asked, *clips[:100], f'--out={work}/layers{len(layers)}')
            rows.append((', '.join(layers) if len(layers) < 3 else f'all {len(layers)}', len(layers), many))
        panels['layers of 100 clips'] = table('layers of 100 clips', 'layer', rows)
        rows = []
        for top in CLASSES:
            many = measured(f'--top={top}', f'--out={work}/tags{top}', *clips[:100], command='soundnet-tag')
            rows.append((f'{top:,}', top, many))
        panels['classes of 100 clips'] = table('classes of 100 clips', 'class', rows)
        if BENCH.exists():
            storage.write_json(f'{work}/growth.json', panels)
            plot = HERE.parent / 'docs' / 'growth.svg'
            subprocess.run([BENCH, HERE / 'peers' / 'growth_plot.py', f'{work}/growth.json', plot], check=True)


if __name__ == '__main__':
    main()
