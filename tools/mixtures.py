"""Write tracks that are made of pieces and mixtures of sounds, for nets that learn by ear from few recordings.

python -m tools.mixtures --data=ESC-50/ --data=ESC-10/ --folds=1,2,3 --tracks=1500 --out=runs/ear/learn
python -m tools.mixtures --data=ESC-50/ --folds=4 --tracks=150 --seed=1 --out=runs/ear/held_out

Each track is a sequence of random pieces of random sounds at random levels and speeds, or, half of the time, two such
sequences.
"""

import argparse
import pathlib

import numpy as np
import soundfile
import tqdm
from numpy.typing import NDArray

from soundnet_tf.audio import SAMPLE_RATE, decoding
from soundnet_tf.errors import BadAudio
from soundnet_tf.evaluation import datasets
from soundnet_tf.finetune.waveforms import FULL_SCALE, to_int16
from soundnet_tf.inference import files

PIECE_S = 2.0, 6.0
"""Seconds of a piece, at least and at most; a shorter sound is used whole."""

QUIETER_DB = 20.0
"""A piece is at most this much quieter than its sound."""

SPEED = 1.5
"""A piece is at most this much faster or slower than its sound: to a net these are more sounds."""

BACKWARDS = 0.25
"""The share of pieces that run backwards."""

FADE = SAMPLE_RATE // 10
"""Samples in which neighbouring pieces are faded into each other."""

Samples = NDArray[np.int16]


def labelled(data: str, folds: str | None, left_out: str | None) -> list[str]:
    """The paths of the clips of a data set that may be used."""
    dataset = datasets.load(data, test_only=left_out)
    wanted = {int(fold) for fold in folds.split(',')} if folds else {*dataset.folds, None}
    return [clip.path for clip in dataset.clips if clip.fold in wanted and not clip.test_only]


def sequence(sounds: list[Samples], samples: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """`[samples]` in [-1, 1]: random pieces, one after the other."""
    track = np.zeros(samples, np.float32)
    position = 0
    while position < samples:
        sound = sounds[rng.integers(len(sounds))]
        speed = SPEED ** rng.uniform(-1, 1)
        length = min(int(len(sound) / speed), round(rng.uniform(*PIECE_S) * SAMPLE_RATE))
        places = rng.uniform(0, len(sound) - length * speed) + np.arange(length) * speed
        piece = np.interp(places, np.arange(len(sound)), sound).astype(np.float32) / FULL_SCALE
        piece *= 10 ** (-rng.uniform(0, QUIETER_DB) / 20)
        piece = piece[::-1] if rng.uniform() < BACKWARDS else piece
        ramp = np.minimum(1, (np.arange(length, dtype=np.float32) + 1) / FADE)
        piece = piece * ramp * ramp[::-1]
        track[position : position + length] += piece[: samples - position]
        position += max(1, length - FADE)
    return track


def main() -> None:
    """Write the tracks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--data', action='append', default=[], help='labelled sounds, as for soundnet-finetune')
    parser.add_argument('--folds', help='the folds of --data to use (default: all)')
    parser.add_argument('--leave_out', help='a file with the names of clips of --data, one per line, not to use')
    parser.add_argument('--sounds', action='append', default=[], help='other sounds: a file, folder or glob')
    parser.add_argument('--out', required=True, help='the folder of the tracks')
    parser.add_argument('--tracks', type=int, default=1000, help='number of tracks')
    parser.add_argument('--seconds', type=float, default=30.0, help='of each track')
    parser.add_argument('--seed', type=int, default=0, help='of all choices')
    given = parser.parse_args()
    paths = [path for data in given.data for path in labelled(data, given.folds, given.leave_out)]
    paths += [file.path for file in files.find(given.sounds)] if given.sounds else []
    sounds = []
    for path in tqdm.tqdm(paths, unit='sound', desc='reading'):
        try:
            sounds.append(to_int16(decoding.read(path)))
        except BadAudio as error:
            tqdm.tqdm.write(f'left out: {error}')
    out, rng, samples = pathlib.Path(given.out), np.random.default_rng(given.seed), round(given.seconds * SAMPLE_RATE)
    out.mkdir(parents=True, exist_ok=True)
    for number in tqdm.trange(given.tracks, unit='track', desc='writing'):
        track = sequence(sounds, samples, rng)
        if rng.uniform() < 0.5:
            track += sequence(sounds, samples, rng)
        soundfile.write(out / f'{number:05d}.flac', np.clip(track, -1, 1), SAMPLE_RATE)


if __name__ == '__main__':
    main()
