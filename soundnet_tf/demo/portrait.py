"""Visualize the units of the ear with the package's own report, on the held-out videos."""

import csv
import io
import json
import pathlib
from collections.abc import Sequence

import numpy as np
import soundfile

from soundnet_tf import inference, storage
from soundnet_tf.audio import SAMPLE_RATE, decoding
from soundnet_tf.demo.ear import Predictions
from soundnet_tf.demo.stage import KINDS, Scene
from soundnet_tf.inference import files
from soundnet_tf.visualize import report

VIDEOS = 5
"""Number of videos, each of another kind, in the sound shown over time."""


def draw(
    folder: pathlib.Path, net: pathlib.Path, run: pathlib.Path, test: Predictions, scenes: Sequence[Scene]
) -> pathlib.Path:
    """Write the report `hears` and its inputs into the demo's folder, and return the path of its page."""
    videos, given, out = folder / 'videos' / 'held_out', folder / 'given', folder / 'hears'
    wanted = report.Wanted(
        units=24,
        top=5,
        labels=str(given / 'about.csv'),
        vision=str(given / 'seen'),
        timeline=str(given / 'medley.wav'),
        run=str(run),
        evaluation=str(given / 'confusion.json'),
    )
    for name, data in _inputs(videos, test, scenes).items():
        path = given / name
        # The report is written again if any of its inputs is newer.
        if not path.exists() or path.read_bytes() != data:
            storage.write_bytes(path, data)
    report.write(inference.load(net), net, files.find([str(videos)]), out, wanted)
    return out / report.PAGE


def _inputs(videos: pathlib.Path, test: Predictions, scenes: Sequence[Scene]) -> dict[str, bytes]:
    """Inputs of the report other than the sounds, by file name."""
    about, medley = io.StringIO(), io.BytesIO()
    csv.writer(about).writerows(
        [('path', 'label'), *((f'../videos/held_out/{scene.id}.mp4', scene.kind) for scene in scenes)]
    )
    first = {scene.kind: scene.id for scene in reversed(scenes)}
    sounds = [decoding.read(videos / f'{first[kind]}.mp4') for kind in KINDS[:VIDEOS] if kind in first]
    soundfile.write(medley, np.concatenate(sounds), SAMPLE_RATE, format='WAV')
    found = {'about.csv': about.getvalue().encode(), 'medley.wav': medley.getvalue()}
    for id, seen in zip(test.ids, test.eye, strict=True):
        array = io.BytesIO()
        np.save(array, seen[None])
        found[f'seen/{pathlib.PurePath(id).stem}.npy'] = array.getvalue()
    confusion = {'classes': list(KINDS), 'confusion': test.confusion.tolist()}
    return found | {'confusion.json': json.dumps(confusion).encode()}
