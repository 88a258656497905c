"""What the ear hears, unit by unit, as a report of the package on the held-out videos."""

import csv
import json
import pathlib
from collections.abc import Sequence

import numpy as np
import soundfile

from soundnet_tf import decoding, inference, saved
from soundnet_tf.audio import SAMPLE_RATE
from soundnet_tf.demo.ear import Heard
from soundnet_tf.demo.stage import KINDS, Scene
from soundnet_tf.inference import files
from soundnet_tf.visualize import report

VIDEOS = 5
"""In the sound that is shown over time, one of each kind."""


def draw(
    folder: pathlib.Path, net: pathlib.Path, run: pathlib.Path, test: Heard, scenes: Sequence[Scene]
) -> pathlib.Path:
    """Write the report `hears` into the demo's folder, with what it needs, and give the path of its page."""
    videos, given, out = folder / 'videos' / 'held_out', folder / 'given', folder / 'hears'
    given.mkdir(exist_ok=True)
    wanted = report.Wanted(
        units=24,
        top=5,
        labels=str(given / 'about.csv'),
        vision=str(given / 'seen'),
        timeline=str(given / 'medley.wav'),
        run=str(run),
        evaluation=str(given / 'confusion.json'),
    )
    # The report is made anew where any of them is newer, so they are written where the net is another one alone.
    confusion = {'classes': list(KINDS), 'confusion': test.confusion.tolist()}
    path = given / 'confusion.json'
    if not path.exists() or json.loads(path.read_text(encoding='utf-8')) != confusion:
        _write_given(given, videos, test, scenes)
        saved.write_json(path, confusion)
    report.write(inference.load(net), net, files.find([str(videos)]), out, wanted)
    return out / report.PAGE


def _write_given(given: pathlib.Path, videos: pathlib.Path, test: Heard, scenes: Sequence[Scene]) -> None:
    with (given / 'about.csv').open('w', newline='') as file:
        csv.writer(file).writerows([('path', 'label')])
        csv.writer(file).writerows((f'../videos/held_out/{scene.id}.mp4', scene.kind) for scene in scenes)
    (given / 'seen').mkdir(exist_ok=True)
    for id, seen in zip(test.ids, test.eye, strict=True):
        np.save(given / 'seen' / f'{pathlib.PurePath(id).stem}.npy', seen[None])
    first = {scene.kind: scene.id for scene in reversed(scenes)}
    sounds = [decoding.read(videos / f'{first[kind]}.mp4') for kind in KINDS[:VIDEOS] if kind in first]
    soundfile.write(given / 'medley.wav', np.concatenate(sounds), SAMPLE_RATE)
