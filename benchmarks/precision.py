"""What bfloat16 changes: each layer and head of the original net in real clips, against float32.

    SOUNDNET_DATA=DATA python benchmarks/precision.py

The clips are ESC-50's and ESC-10's, 1,920 in all. Each engine that multiplies in bfloat16 takes its turn.
"""

import os
import pathlib

import numpy as np

import soundnet_tf
from soundnet_tf.audio import SAMPLE_RATE, decoding
from soundnet_tf.inference.engines import EngineName
from soundnet_tf.nets import openvino, precisions

LAYERS = ['pool5', 'imagenet', 'places']


def cosine(one, other):
    return (one * other).sum() / np.sqrt(np.square(one).sum() * np.square(other).sum())


def main():
    if not precisions.on_processor('bfloat16'):
        raise SystemExit('this processor has no bfloat16')
    data = pathlib.Path(os.environ['SOUNDNET_DATA'])
    paths = [path for name in ('esc50', 'esc10') for path in sorted((data / name).rglob('*.ogg'))]
    engines: list[EngineName] = ['tensorflow', 'openvino'] if openvino.installed() else ['tensorflow']
    exact = soundnet_tf.load('soundnet8', engine=engines[-1])
    half = {name: soundnet_tf.load('soundnet8', engine=name, precision='bfloat16') for name in engines}
    found = {(name, layer): [] for name in engines for layer in LAYERS}
    for path in paths:
        waveform = decoding.read(path)
        wanted = exact.embed(waveform, SAMPLE_RATE, layers=LAYERS)
        for name, embedder in half.items():
            given = embedder.embed(waveform, SAMPLE_RATE, layers=LAYERS)
            for layer in LAYERS:
                pair = [np.asarray(of[layer].values, np.float64) for of in (wanted, given)]
                best = [values.mean(axis=0).argmax() for values in pair]
                found[name, layer].append((cosine(*pair), best[0] != best[1]))
    print(
        f'{len(paths)} clips\n\n| engine | output | cosine, mean | least | another top class |\n|---|---|---|---|---|'
    )
    for (name, layer), rows in found.items():
        similar, changed = np.array(rows).T
        other = '' if layer == 'pool5' else f'{changed.mean():.1%}'
        print(f'| {name} | {layer} | {similar.mean():.5f} | {similar.min():.4f} | {other} |')


if __name__ == '__main__':
    main()
