"""Fitting the linear SVM of the evaluation protocol, and liblinear alone: processor time and time by the clock.

    SOUNDNET_DATA=data/ python benchmarks/evaluate.py [--data=esc50] [--layers=pool5,conv6,conv7,conv8] [--C=0.01]
    SOUNDNET_DATA=data/ python benchmarks/evaluate.py --growth [--data=esc50] [--layers=pool5]

The first fold is held out. The two take turns on the same windows in one process. --growth: Newton's method alone on
parts of the windows, and for some of the classes, against all.
"""

import argparse
import dataclasses
import os
import pathlib
import time

import numpy as np
from sklearn.svm import LinearSVC

from soundnet_tf.evaluation import datasets, embedders, features, newton, svm
from soundnet_tf.evaluation.protocol import PROTOCOLS, window_all


def timed(work):
    """What it gives, and seconds of processor time and by the clock."""
    began = time.process_time(), time.perf_counter()
    found = work()
    return found, time.process_time() - began[0], time.perf_counter() - began[1]


def main():
    """Measure, and print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument('--data', default='esc50')
    parser.add_argument('--layers', default='pool5,conv6,conv7,conv8')
    parser.add_argument('--C', type=float, default=0.01)
    parser.add_argument('--growth', action='store_true')
    options = parser.parse_args()
    if 'SOUNDNET_DATA' not in os.environ:
        print('SOUNDNET_DATA does not name a folder of real data: nothing is measured')
        return
    dataset = datasets.load(pathlib.Path(os.environ['SOUNDNET_DATA']) / options.data)
    embedder, layers = embedders.make('soundnet8'), options.layers.split(',')
    protocol = dataclasses.replace(PROTOCOLS['esc'], C=(options.C,))
    values, cpu, clock = timed(lambda: features.of_layers(dataset, embedder, layers, protocol.clip_s, protocol.gain))
    print(f'{len(dataset.clips)} clips, features of {len(layers)} layers: {cpu:.1f} s of processor time, {clock:.1f} s')
    train = [index for index, clip in enumerate(dataset.clips) if clip.fold != dataset.folds[0]]
    if options.growth:
        growth(dataset, window_all(dataset, values[layers[0]], protocol, embedder, layers[0]), train, options.C)
        return
    print('\n| layer | windows x features | ours, s (clock) | liblinear, s (clock) | times as fast (clock) | apart |')
    print('|---|---|---|---|---|---|')
    for layer in layers:
        windowed = window_all(dataset, values.pop(layer), protocol, embedder, layer)
        own = np.concatenate([windowed[clip] for clip in train])
        targets = np.repeat(np.array(dataset.targets)[train], [len(windowed[clip]) for clip in train])
        ours, *took = timed(lambda own=own, targets=targets: svm.linear_svm(own, targets, options.C))
        reference = LinearSVC(C=options.C, dual='auto', random_state=0, max_iter=10_000)
        theirs, *other = timed(lambda own=own, targets=targets, it=reference: it.fit(own, targets))
        apart = max(abs(ours.decision_function(w) - theirs.decision_function(w)).max() for w in windowed[::9])
        ratios = [b / a for a, b in zip(took, other, strict=True)]
        print(
            f'| {layer} | {len(own)} x {own.shape[1]} '
            f'| {took[0]:.1f} ({took[1]:.1f}) | {other[0]:.1f} ({other[1]:.1f}) '
            f'| {ratios[0]:.1f} ({ratios[1]:.1f}) | {apart:.4f} |',
            flush=True,
        )


def growth(dataset, windowed, train, c):
    """Print the seconds for each part, and how many times those of the part before it."""
    targets, classes = np.array(dataset.targets), np.arange(len(dataset.classes))
    print('\n| windows | classes | s (clock) | times the row before |')
    print('|---|---|---|---|')
    parts = [(4, len(classes)), (2, len(classes)), (1, len(classes)), (1, len(classes) // 2), (1, len(classes) // 4)]
    before = None
    for every, count in parts:
        clips = train[::every]
        own = np.concatenate([windowed[clip] for clip in clips])
        of_window = np.repeat(targets[clips], [len(windowed[clip]) for clip in clips])
        signs = np.where(of_window[:, None] == classes[:count], 1, -1)
        _, cpu, clock = timed(lambda own=own, signs=signs: newton.fit(own, signs, c))
        ratio = f'{clock / before:.2f}' if before else ''
        print(f'| {len(own)} | {count} | {cpu:.1f} ({clock:.1f}) | {ratio} |', flush=True)
        before = clock


if __name__ == '__main__':
    main()
