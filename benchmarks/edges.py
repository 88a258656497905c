"""What the end of a clip does to each step: against the same step inside a longer clip, over many lengths.

    SOUNDNET_DATA=data/ python benchmarks/edges.py [--clips=320] [--lengths=4] [--model=soundnet8]

Each clip of ESC-10 is repeated to 66 s, and to lengths drawn from 5 to 60 s. A head's step is compared by total
variation, a layer's by the distance as a share of the layer's median norm. Printed are the steps that the net leaves
out and those that it keeps, and how often the likeliest class of a repeated clip changes with its length alone.
"""

import argparse
import os
import pathlib

import numpy as np

from soundnet_tf import geometry
from soundnet_tf.audio import SAMPLE_RATE, decoding
from soundnet_tf.inference.engines import stored
from soundnet_tf.inference.tags import clip_probabilities
from soundnet_tf.nets import lookup, saved

LONG_S = 66
FLIP = 0.2
"""How probable a class must be for its change to count."""


def distances(layer, spec, given, inside):
    """For each step of `given` how far it is from the same step of `inside`, `[time, channels]` both."""
    if layer in spec.head_names:
        return np.abs(given - inside[: len(given)]).sum(axis=1) / 2
    return np.linalg.norm(given - inside[: len(given)], axis=1) / np.median(np.linalg.norm(inside, axis=1))


def main():
    """Measure, and print the tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument('--clips', type=int, default=320)
    parser.add_argument('--lengths', type=int, default=4)
    parser.add_argument('--model', default='soundnet8')
    options = parser.parse_args()
    if 'SOUNDNET_DATA' not in os.environ:
        print('SOUNDNET_DATA does not name a folder of real data: nothing is measured')
        return
    folder = lookup.find(options.model)
    engine, trimmed = stored(folder, edges='keep'), saved.read_spec(folder)
    layers = ['conv3', 'conv4', 'conv5', 'pool5', 'conv6', 'conv7', *trimmed.head_names]
    paths = sorted((pathlib.Path(os.environ['SOUNDNET_DATA']) / 'esc10').rglob('*.ogg'))[: options.clips]
    rng, found, flips = np.random.default_rng(0), {}, {head.name: [] for head in trimmed.heads}
    for path in paths:
        clip = np.resize(decoding.read(path), LONG_S * SAMPLE_RATE)
        inside, answers = engine.run(clip, layers), {head: [] for head in flips}
        for samples in rng.integers(5 * SAMPLE_RATE, 60 * SAMPLE_RATE, options.lengths):
            there = [layer for layer in layers if geometry.frames(engine.spec, layer, samples)]
            for layer, values in engine.run(clip[:samples], there).items():
                kept = geometry.frames(trimmed, layer, samples)
                far = distances(layer, trimmed, values, inside[layer])
                # Steps far from the end are the same to rounding; the last three of the kept ones can differ.
                found.setdefault((layer, 'left out'), []).extend(far[kept:])
                found.setdefault((layer, 'kept'), []).extend(far[max(0, kept - 3) : kept])
                if layer in answers and kept:
                    head = trimmed.heads[trimmed.head_names.index(layer)]
                    answers[layer].append(clip_probabilities(head, values[:kept]))
        for head, own in answers.items():
            tops = [answer.argmax() for answer in own if answer.max() > FLIP]
            flips[head] += [len(set(tops)) > 1] if tops else []
    print(f'{len(paths)} clips, {options.lengths} lengths each\n')
    print('| layer | steps | count | median | largest |\n|---|---|---|---|---|')
    for (layer, which), far in found.items():
        if far:
            print(f'| {layer} | {which} | {len(far)} | {np.median(far):.2f} | {max(far):.2f} |')
    for head, own in flips.items():
        print(f'\n{head}: of {len(own)} clips with a class above {FLIP}, {sum(own)} change it with their length alone')


if __name__ == '__main__':
    main()
