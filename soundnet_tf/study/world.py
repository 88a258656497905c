"""The synthetic world of the demo as material of a study: teachers, records and labelled sounds.

Its teachers stand for the paper's. `things` classifies ten kinds of things (objects); `spots` the three places where
they belong (scenes); `weak_things` and `weak_spots` are trained on a sixth of the pictures, for AlexNet beside VGG. The
place follows from the kind, unlike in the real world.
"""

import csv
import dataclasses
import io
import pathlib
from collections.abc import Iterable
from typing import BinaryIO, cast

import numpy as np
import soundfile

from soundnet_tf import storage, teachers
from soundnet_tf.audio import SAMPLE_RATE
from soundnet_tf.demo import eye, world
from soundnet_tf.demo.stage import KINDS, Scene, scenes
from soundnet_tf.prepare import local, manifest, stages
from soundnet_tf.study import material
from soundnet_tf.study.material import Labelled, Material

SPOTS = {
    'home': ('clock', 'dog', 'drum'),
    'street': ('bell', 'engine', 'siren'),
    'outdoors': ('bird', 'fire', 'rain', 'waves'),
}

MATERIAL, STORY = 'material.json', 'world.json'


@dataclasses.dataclass(frozen=True)
class Scale:
    """The size of the world."""

    videos: int = 600
    """Without labels: the records."""
    labelled_videos: int = 160
    sounds: int = 200
    """With labels."""
    sound_s: float = 5.0
    video_s: float = 10.0
    pictures: int = 3000
    epochs: int = 10
    """For training the teachers."""
    folds: int = 4
    """Of labelled videos and sounds."""
    seed: int = 0


TINY = Scale(videos=8, labelled_videos=20, sounds=20, sound_s=2.0, pictures=240, epochs=1, folds=2)
"""For tests: complete, but too small to learn from."""


def make(folder: pathlib.Path, scale: Scale) -> Material:
    """The material in `folder`, created if missing. Raises SoundNetError if another world is there."""
    hint = f'Use another --out, or remove {folder}'
    storage.begin(folder / STORY, dataclasses.asdict(scale), hint=hint)
    path = folder / MATERIAL
    if not path.exists():
        # The seeds of the demo's world.
        unlabelled = scenes(scale.videos, 2 * scale.seed + 1)
        labelled = scenes(scale.labelled_videos, 2 * scale.seed + 2)
        world.write_world(folder / 'videos' / 'learned', unlabelled, scale.video_s)
        world.write_world(folder / 'videos' / 'held_out', labelled, scale.video_s)
        _list_videos(folder, labelled, scale)
        _write_sounds(folder / 'sounds', scale)
        _train_teachers(folder, scale)
        _prepare(folder, scale)
        sounds = Labelled('sounds.csv', 'esc50')
        heads = {'vgg': {'objects': 'things', 'scenes': 'spots'}}
        heads['alexnet'] = {role: f'weak_{head}' for role, head in heads['vgg'].items()}
        made = Material(
            'synthetic world',
            {'sounds': sounds},
            dict.fromkeys(heads, 'records'),
            heads,
            'videos.csv',
            'things.keras',
            eye.PENULTIMATE,
            published=False,
        )
        material.write(made, path)
    return material.read(path)


def _folds(scenes: list[Scene], folds: int) -> list[int]:
    """Stratified folds."""
    seen = dict.fromkeys(KINDS, 0)
    assigned = []
    for scene in scenes:
        assigned.append(seen[scene.kind] % folds + 1)
        seen[scene.kind] += 1
    return assigned


def _list_videos(folder: pathlib.Path, labelled: list[Scene], scale: Scale) -> None:
    rows = [
        [f'videos/held_out/{scene.id}.mp4', ';'.join(filter(None, [scene.kind, scene.other])), fold]
        for scene, fold in zip(labelled, _folds(labelled, scale.folds), strict=True)
    ]
    _write_csv(folder / 'videos.csv', [['path', 'labels', 'fold'], *rows])


def _write_sounds(folder: pathlib.Path, scale: Scale) -> None:
    # One kind each, so that labels are unambiguous.
    labelled = scenes(scale.sounds, 2 * scale.seed + 5, company=0.0)
    rows: list[list[object]] = []
    for scene, fold in zip(labelled, _folds(labelled, scale.folds), strict=True):
        path = folder / f'{scene.id}.flac'
        if not path.exists():
            with storage.whole_file(path) as file:
                soundfile.write(cast(BinaryIO, file), world.sound(scene, scale.sound_s), SAMPLE_RATE, format='FLAC')
        rows.append([f'sounds/{path.name}', scene.kind, fold])
    _write_csv(folder.parent / 'sounds.csv', [['path', 'label', 'fold'], *rows])


def _write_csv(path: pathlib.Path, rows: Iterable[Iterable[object]]) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator='\n').writerows(rows)
    storage.write_text(path, text.getvalue())


def _train_teachers(folder: pathlib.Path, scale: Scale) -> None:
    heads = {'things': KINDS, 'spots': tuple(SPOTS)}
    spot_of = np.array([[kind in kinds for kinds in SPOTS.values()].index(True) for kind in KINDS])
    if all((folder / f'{weak}{name}.keras').exists() for name in heads for weak in ('', 'weak_')):
        return
    pictures, kinds = world.labelled_frames(scale.pictures, 2 * scale.seed + 3)
    targets = {'things': kinds, 'spots': spot_of[kinds]}
    for name, classes in heads.items():
        for weak, count in (('', len(pictures)), ('weak_', len(pictures) // 6)):
            path = folder / f'{weak}{name}.keras'
            storage.write_text(path.with_suffix('.txt'), '\n'.join(classes) + '\n')
            if not path.exists():
                few = pictures[:count], targets[name][:count]
                right = eye.learn(path, *few, scale.epochs, scale.seed, len(classes))
                print(f'{weak}{name}: accuracy {right:.0%} on held-out pictures', flush=True)


def _prepare(folder: pathlib.Path, scale: Scale) -> None:
    names = [f'{weak}{name}' for weak in ('', 'weak_') for name in ('things', 'spots')]
    seeing = teachers.parse_all([f'{name}={folder / name}.keras,labels={folder / name}.txt,crop=1' for name in names])
    videos = manifest.videos([str(folder / 'videos' / 'learned')])
    print(local.run(videos, seeing, folder / 'records', stages.Settings(clip_s=scale.video_s)))
