"""Labelled sounds for the tests: a class is a pitch."""

import soundfile

from soundnet_tf.audio import SAMPLE_RATE
from soundnet_tf.testing import noise, tone

HERTZ = {'low': 150.0, 'middle': 900.0, 'high': 4000.0}


def sound(label, seed=0, seconds=1.5):
    return tone(seconds, HERTZ[label] * 1.01 ** (seed % 5), amplitude=0.1 + 0.05 * (seed % 4)) + noise(
        seconds, 0.02, seed
    )


def write(path, waveform):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, waveform, SAMPLE_RATE)
    return str(path)


def folders(top, clips=4, folds=2, classes=HERTZ):
    """`clips` of each class and fold, called as ESC-10 calls them, each a recording of its own."""
    for number, label in enumerate(classes):
        for fold in range(1, folds + 1):
            for index in range(clips):
                write(
                    top / label / f'{fold}-{100 * number + 10 * fold + index}-A.wav',
                    sound(label, seed=10 * fold + index),
                )
    return top
