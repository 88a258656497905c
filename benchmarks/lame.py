"""LAME's quality setting: its time, and what of a sound the original net then hears differently.

    python benchmarks/lame.py [clips]

MP3s of a record's bit rate, beside the unencoded clips: the Kullback-Leibler divergence of the heads' posteriors, the
cosine of features, and how often the most probable class stays. The clips are ESC-10's if SOUNDNET_DATA has them, else
the five included ones.
"""

import os
import pathlib
import statistics
import sys
import time

import numpy as np

import soundnet_tf
from soundnet_tf import audio, clips
from soundnet_tf.audio import decoding, encoding

LEVELS = (3, 4, 5, 7, 9)
"""LAME's -q, from better to faster; FFmpeg takes 5 by itself, and 0 takes six times as long as 5."""
LAYERS = ('pool5', 'conv7')
ROUNDS = 3


def sounds(count):
    found = sorted(pathlib.Path(os.environ.get('SOUNDNET_DATA', '.'), 'esc10').rglob('*.ogg'))
    paths = found[:: max(1, len(found) // count)][:count] or [clips.path(name) for name in clips.names()]
    # The heads need 10.98 s.
    return [audio.fit_length(decoding.read(path), 11 * audio.SAMPLE_RATE) for path in paths]


def heard(embedder, waveform):
    layers = [*LAYERS, *embedder.spec.head_names]
    found = embedder.embed(waveform, audio.SAMPLE_RATE, layers=layers)
    return {layer: found[layer].mean().astype(np.float64) for layer in layers}


def main():
    embedder = soundnet_tf.load()
    heads = embedder.spec.head_names
    waveforms = sounds(int(sys.argv[1]) if len(sys.argv) > 1 else 80)
    wanted = [heard(embedder, waveform) for waveform in waveforms]
    took = {level: list[float]() for level in LEVELS}
    for _ in range(ROUNDS):
        for level in LEVELS:
            began = time.process_time()
            for waveform in waveforms:
                encoding.mp3(waveform, level)
            took[level].append(time.process_time() - began)
    seconds = sum(map(len, waveforms)) / audio.SAMPLE_RATE
    usual = statistics.median(took[5])
    print(f'{len(waveforms)} clips\n')
    print(
        '| quality | ms per s of sound | times as long as 5 | KB per s |',
        ' | '.join(f'KL {head}' for head in heads),
        '|',
        end=' ',
    )
    print(
        ' | '.join(f'cosine {layer}' for layer in LAYERS),
        '| same class |\n|---' + '|---' * (4 + len(heads) + len(LAYERS)) + '|',
    )
    for level in LEVELS:
        files = [encoding.mp3(waveform, level) for waveform in waveforms]
        given = [
            heard(embedder, decoding.decode(file, 'mp3')[: len(w)]) for file, w in zip(files, waveforms, strict=True)
        ]
        pairs = list(zip(wanted, given, strict=True))
        diverged = [np.mean([(p[h] * np.log(p[h] / q[h])).sum() for p, q in pairs]) for h in heads]
        cosines = [
            np.mean([p[x] @ q[x] / np.linalg.norm(p[x]) / np.linalg.norm(q[x]) for p, q in pairs]) for x in LAYERS
        ]
        same = np.mean([p[head].argmax() == q[head].argmax() for p, q in pairs for head in heads])
        mine = statistics.median(took[level])
        cells = [f'{mine / seconds * 1e3:.2f}', f'{mine / usual:.2f}', f'{sum(map(len, files)) / seconds / 1e3:.2f}']
        cells += [f'{value:.4f}' for value in diverged] + [f'{value:.5f}' for value in cosines] + [f'{same:.1%}']
        print(f'| {level} | ' + ' | '.join(cells) + ' |')


if __name__ == '__main__':
    main()
