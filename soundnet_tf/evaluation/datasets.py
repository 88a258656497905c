"""Labelled sounds, from a CSV, a folder for each class, or the layouts of ESC-50 and the DCASE scenes.

dataset = datasets.load('sounds.csv')      # columns path, label and, optionally, fold and source
dataset = datasets.load('esc10/')          # esc10/dog/1-30226-A.ogg, ...
dataset = datasets.load('ESC-50/', esc10=True)
dataset = datasets.load('TAU-urban-acoustic-scenes-2019/')
print(dataset.table())
"""

import collections
import dataclasses
import functools
import hashlib
import os
import pathlib
import random
import re
from collections.abc import Callable, Sequence

from soundnet_tf import storage
from soundnet_tf.audio import SOUND_SUFFIXES
from soundnet_tf.errors import BadAudio, SoundNetError
from soundnet_tf.evaluation import csv_rows, dcase
from soundnet_tf.evaluation.text_tables import columns
from soundnet_tf.inference import files

Path = str | os.PathLike[str]

_ESC = re.compile(r'(\d+)-([^-]+)-([A-Z])(-\d+)?')
"""Clips of ESC-10 and ESC-50: `fold-source-take`, in newer releases `fold-source-take-target`."""

_NUMBERED = re.compile(r'\d+ *- *(?=\S)')
"""The prefix of numbered class folders: `001 - Dog bark`."""


@dataclasses.dataclass(frozen=True, slots=True)
class LabelledClip:
    """A sound file and its class."""

    path: str
    label: str
    fold: int | None = None
    source: str = ''
    """The recording that the clip was cut from, if known: a split must not have one recording on both sides."""
    test_only: bool = False
    """Whether it is only tested on, in its fold, and never trained on."""


@dataclasses.dataclass(frozen=True)
class DataSet:
    """Clips of two classes or more. `name` is also the name of a head for these classes."""

    name: str
    classes: tuple[str, ...]
    clips: tuple[LabelledClip, ...]

    def __post_init__(self) -> None:
        if not re.fullmatch(r'\w[\w.-]*', self.name):
            raise SoundNetError(f"{self.name!r}: invalid name for a head. Use letters, digits, '_', '-' and '.'")
        counts = collections.Counter(clip.label for clip in self.clips)
        for label in self.classes:
            if not counts[label]:
                raise SoundNetError(f'{self.name}: class {label!r} has no clip. Add clips, or remove the class')
        if len(self.classes) < 2:
            found = f'only one class, {self.classes[0]!r}' if self.classes else 'no clips'
            raise SoundNetError(f'{self.name}: {found}. Use two classes or more')
        unknown = sorted(set(counts) - set(self.classes))
        if unknown:
            raise SoundNetError(
                f'{self.name}: label {unknown[0]!r} is not one of the classes {", ".join(self.classes)}'
            )
        twice = [path for path, n in collections.Counter(clip.path for clip in self.clips).items() if n > 1]
        if twice:
            raise SoundNetError(f'{self.name}: {twice[0]} is listed twice. List each clip once')

    @property
    def folds(self) -> tuple[int, ...]:
        """The folds in order; empty if the clips have none."""
        return tuple(sorted({clip.fold for clip in self.clips if clip.fold is not None}))

    @property
    def targets(self) -> list[int]:
        """The class of each clip as an index into `classes`."""
        index = {label: number for number, label in enumerate(self.classes)}
        return [index[clip.label] for clip in self.clips]

    @property
    def learnable(self) -> list[str]:
        """The paths of the clips that may be trained on."""
        return [clip.path for clip in self.clips if not clip.test_only]

    def relative_paths(self) -> list[str]:
        """The path of each clip below the folder that has all of them."""
        paths = [os.path.abspath(clip.path) for clip in self.clips]
        top = os.path.commonpath([os.path.dirname(path) for path in paths])
        return [os.path.relpath(path, top) for path in paths]

    def fingerprint(self) -> str:
        """A hash of each clip's name, size, label, fold and source; it does not depend on the folder."""
        about = [
            (name, os.path.getsize(clip.path), clip.label, clip.fold, clip.source, *(['test only'] * clip.test_only))
            for name, clip in zip(self.relative_paths(), self.clips, strict=True)
        ]
        return hashlib.sha256(repr((self.name, self.classes, sorted(about, key=repr))).encode()).hexdigest()

    def identifiers(self, clip: int) -> frozenset[str]:
        """Identifiers of a clip that are the same in every data set: a hash of its file's content.

        Files named as in ESC-10 and ESC-50, which have the same clips in other formats, also get their recording and
        take, `26806-A`, if the recording has a Freesound number: short numbers are not unique.
        """
        path = self.clips[clip].path
        named = _esc_name(path)
        if named and named[2].isdecimal() and len(named[2]) >= 4:
            return frozenset({content(path), f'{named[2]}-{named[3]}'})
        return frozenset({content(path)})

    def table(self) -> str:
        """Clips per class and fold, as text."""
        counts = collections.Counter((clip.label, clip.fold) for clip in self.clips)
        folds = [*self.folds, *([None] if any(clip.fold is None for clip in self.clips) and self.folds else [])]
        head = [self.name, *(f'fold {fold}' if fold is not None else 'no fold' for fold in folds), 'all']
        rows = [[label, *(counts[label, fold] for fold in folds)] for label in self.classes]
        rows = [[*row, sum(n for (label, _), n in counts.items() if label == row[0])] for row in rows]
        total = ['all', *(sum(row[column] for row in rows) for column in range(1, len(head)))]
        return columns([head, *rows, total])


def _esc_name(path: str) -> re.Match[str] | None:
    return _ESC.fullmatch(pathlib.PurePath(path).stem)


@functools.cache
def content(path: str) -> str:
    """A hash of the file's content."""
    return storage.sha256(path)[:16]


def load(path: Path, *, name: str | None = None, esc10: bool = False, test_only: Path | None = None) -> DataSet:
    """The data set at `path`: a CSV, or a folder in one of the layouts of `LAYOUTS`, which is detected.

    These are ESC-50's (`meta/esc50.csv` beside `audio/`), that of the DCASE scenes since 2016 (`meta.txt` or `meta.csv`
    beside `evaluation_setup/`), that of 2013 (`bus01.wav`, ..., in the folder or in one below it), and a folder for
    each class. `name` is by default that of the file or folder; `esc10` selects the ten classes of ESC-10 from ESC-50,
    `test_only` is a list for `mark_test_only`.
    Raises SoundNetError if the layout is none of these, BadAudio if clips are missing.
    """
    path = pathlib.Path(path)
    if not path.exists():
        raise SoundNetError(f'{path}: no such file or folder. Check the path')
    if path.suffix.lower() in SOUND_SUFFIXES and path.is_file():
        raise SoundNetError(f'{path}: a sound file. Pass a CSV file, or a folder with a folder for each class')
    layout = _layout(path)
    if esc10 and layout != 'esc50':
        raise SoundNetError(f'{path}: not ESC-50, it has no meta/esc50.csv. Use esc10 with the folder of ESC-50 only')
    if esc10:
        layout, name = 'esc10', name or 'esc10'
    dataset = LAYOUTS[layout](path, _head_name(name or path.resolve().stem))
    missing = [clip.path for clip in dataset.clips if not os.path.isfile(clip.path)]
    if missing:
        raise BadAudio(
            f'{path}: {len(missing)} of {len(dataset.clips)} clips are missing: {csv_rows.first_few(missing)}'
        )
    return mark_test_only(dataset, test_only) if test_only else dataset


def _layout(path: pathlib.Path) -> str:
    if path.is_file():
        return 'csv'
    if (path / 'meta' / 'esc50.csv').is_file():
        return 'esc50'
    if dcase.meta_file(path) is not None:
        return 'dcase'
    return 'dcase2013' if dcase.scenes_2013(path) else 'folders'


def _head_name(name: str) -> str:
    """A valid head name from that of a file or folder: `ESC-50 master` gives `esc_50_master`."""
    fitting = re.sub(r'[^a-z0-9]+', '_', name.lower()).strip('_')
    return fitting or name


def from_csv(path: pathlib.Path, name: str) -> DataSet:
    """Columns path (relative to the CSV) and label, optionally fold (a whole number) and source; others are ignored."""
    clips = [
        LabelledClip(
            os.path.normpath(path.parent / row['path']), row['label'], csv_rows.fold(row['fold'], where), row['source']
        )
        for where, row in csv_rows.rows(path, ('path', 'label'), ('fold', 'source'))
    ]
    return DataSet(name, tuple(sorted({clip.label for clip in clips})), tuple(clips))


def from_folders(path: pathlib.Path, name: str) -> DataSet:
    """A folder for each class, with sound files at any depth; the classes in the order of the folders' names.

    Numbers before a class's name are dropped. If all files are named as in ESC-10, `fold-source-take.ogg`, the
    names give fold and source. Raises SoundNetError if most files are named so and some are not.
    """
    folders = sorted(folder for folder in path.iterdir() if folder.is_dir() and folder.name[0] != '.')
    if not folders:
        raise SoundNetError(f'{path}: no class folders. Use a CSV, or a folder with a folder of sounds for each class')
    labels = [_NUMBERED.sub('', folder.name, count=1) for folder in folders]
    if len(set(labels)) < len(labels):
        labels = [folder.name for folder in folders]
    paths = [(file.path, label) for label, folder in zip(labels, folders, strict=True) for file in _sounds(folder)]
    named = [_esc_name(file) for file, _ in paths]
    odd = [file for (file, _), match in zip(paths, named, strict=True) if not match]
    if 0 < len(odd) < len(paths) / 2:
        raise SoundNetError(
            f'{odd[0]}: not named fold-recording-take, as {len(paths) - len(odd)} of {len(paths)} files are. '
            'Rename or remove it, or use a CSV with columns path, label, fold and source'
        )
    clips = [
        LabelledClip(file, label, int(match[1]), match[2]) if match and not odd else LabelledClip(file, label)
        for (file, label), match in zip(paths, named, strict=True)
    ]
    return DataSet(name, tuple(labels), tuple(clips))


def _sounds(folder: pathlib.Path) -> list[files.SoundFile]:
    try:
        return files.find([str(folder)])
    except SoundNetError as error:
        raise SoundNetError(f'class folder {error}. Add sounds, or remove the folder') from None


def from_esc50(path: pathlib.Path, name: str, *, esc10: bool = False) -> DataSet:
    """ESC-50 as its repository has it; classes in the order of their targets, `sea_waves` as `sea waves`."""
    clips, targets = [], {}
    for where, row in csv_rows.rows(
        path / 'meta' / 'esc50.csv', ('filename', 'fold', 'target', 'category', 'esc10'), ('src_file',)
    ):
        if esc10 and row['esc10'].lower() != 'true':
            continue
        label = row['category'].replace('_', ' ')
        targets[label] = csv_rows.integer(row['target'], 'target', where)
        audio = str(path / 'audio' / row['filename'])
        clips.append(LabelledClip(audio, label, csv_rows.fold(row['fold'], where), row['src_file']))
    return DataSet(name, tuple(sorted(targets, key=targets.__getitem__)), tuple(clips))


def from_dcase(path: pathlib.Path, name: str) -> DataSet:
    """DCASE acoustic scenes since 2016; a clip that is in no test fold has no fold, and is always used for training."""
    clips = [LabelledClip(*row) for row in dcase.rows(path)]
    return DataSet(name, tuple(sorted({clip.label for clip in clips})), tuple(clips))


def from_dcase2013(path: pathlib.Path, name: str) -> DataSet:
    """The scenes of DCASE 2013, `bus01.wav` to `tubestation10.wav`, which come without folds."""
    clips = [LabelledClip(str(file), label) for file, label in dcase.scenes_2013(path)]
    return DataSet(name, tuple(sorted({clip.label for clip in clips})), tuple(clips))


def assign_folds(dataset: DataSet, folds: int, seed: int = 0) -> DataSet:
    """The same clips in `folds` random folds of about equal size, stratified by class, recordings whole.

    For data sets without folds. Raises SoundNetError if a class has fewer recordings than folds.
    """
    rng, fold_of = random.Random(seed), dict[str, int]()
    for label in dataset.classes:
        own = sorted({clip.source or clip.path for clip in dataset.clips if clip.label == label} - set(fold_of))
        if folds < 2 or len(own) < folds:
            raise SoundNetError(
                f'{dataset.name}: {label!r} has {len(own)} recordings, not enough for {folds} folds. '
                'Use at least 2 folds, and at most as many as the smallest class has recordings'
            )
        rng.shuffle(own)
        # Each class starts with another fold, so that remainders do not all go to the first folds.
        begin = len(fold_of)
        fold_of |= {source: (begin + index) % folds + 1 for index, source in enumerate(own)}
    clips = tuple(dataclasses.replace(clip, fold=fold_of[clip.source or clip.path]) for clip in dataset.clips)
    return dataclasses.replace(dataset, clips=clips)


def mark_test_only(dataset: DataSet, path: Path) -> DataSet:
    """The same clips; those that `path` lists are `test_only`, such as clips under a licence that forbids training.

    The list has a clip per line, or per row of a table (CSV, TSV) in its first column: the name of its file, with or
    without the suffix, and for clips of ESC-50 with or without the class number. Other lines, such as a header, are
    ignored. Raises SoundNetError if no line names a clip.
    """
    lines = storage.read_text(pathlib.Path(path)).splitlines()
    listed = {name.strip() for line in lines for name in (line, re.split(r'[\t,;]', line)[0])}
    clips = tuple(
        dataclasses.replace(clip, test_only=not listed.isdisjoint(_names_of(clip.path))) for clip in dataset.clips
    )
    if not any(clip.test_only for clip in clips):
        raise SoundNetError(f'{path}: no line names a clip of {dataset.name}. List file names, one per line')
    return dataclasses.replace(dataset, clips=clips)


def _names_of(path: str) -> set[str]:
    file = pathlib.PurePath(path)
    named = _esc_name(path)
    return {file.name, file.stem, *([f'{named[1]}-{named[2]}-{named[3]}'] if named else [])}


LAYOUTS: dict[str, Callable[[pathlib.Path, str], DataSet]] = {
    'csv': from_csv,
    'folders': from_folders,
    'esc50': from_esc50,
    'dcase': from_dcase,
    'dcase2013': from_dcase2013,
    'esc10': lambda path, name: from_esc50(path, name, esc10=True),
}
"""By name: a path and a name to a data set."""


def raise_unreadable(bad: Sequence[tuple[str, BadAudio]], clips: int) -> None:
    """Raise the error of the first unreadable clip and list the others; do nothing without any."""
    if not bad:
        return
    (_, first), *others = bad
    if not others:
        raise first
    names = csv_rows.first_few([path for path, _ in others])
    raise BadAudio(f'{first}. {len(others)} more of {clips} clips cannot be read: {names}')
