"""The acoustic scenes of the DCASE challenges, as their archives are unpacked.

2013:       bus01.wav ... tubestation10.wav in one folder, or in one below it
since 2016: meta.txt or meta.csv (path, scene and perhaps a recording), evaluation_setup/fold1_evaluate.txt or .csv, ...
"""

import pathlib
import re
from collections.abc import Iterator

from soundnet_tf import storage
from soundnet_tf.errors import SoundNetError
from soundnet_tf.inference import files

Annotation = tuple[str, str, int | None, str]
"""Path, scene, fold, recording."""

SCENES_2013 = {
    'bus', 'busystreet', 'office', 'openairmarket', 'park', 'quietstreet', 'restaurant', 'supermarket', 'tube',
    'tubestation',
}  # fmt: skip

_2013 = re.compile(r'([a-z]+)\d\d\.\w+', re.IGNORECASE)
_FOLD = re.compile(r'fold(\d+)_(train|evaluate)\.(txt|csv)')


def meta_file(path: pathlib.Path) -> pathlib.Path | None:
    """The list of all clips, if the folder has one."""
    return next((file for file in (path / 'meta.txt', path / 'meta.csv') if file.is_file()), None)


def rows(path: pathlib.Path) -> Iterator[Annotation]:
    """The clips of `meta.*`, each in the fold whose `evaluation_setup/fold<k>_evaluate.*` lists it.

    Clips that no fold tests have no fold; clips that no fold uses at all are left out, as in the challenge.
    """
    meta = meta_file(path)
    if meta is None:
        raise SoundNetError(f'{path}: neither meta.txt nor meta.csv. Use the folder of a DCASE scene set')
    fold_of, learned = dict[str, int](), set[str]()
    for setup in sorted((path / 'evaluation_setup').glob('fold*')):
        match = _FOLD.fullmatch(setup.name)
        for where, cells in _lines(setup) if match else ():
            if match and match[2] == 'train':
                learned.add(cells[0])
            elif match and fold_of.setdefault(cells[0], int(match[1])) != int(match[1]):
                raise SoundNetError(f'{where}: {cells[0]} is already in test fold {fold_of[cells[0]]}')
    listed = set[str]()
    for where, cells in _lines(meta):
        if len(cells) < 2 or not cells[1]:
            raise SoundNetError(f'{where}: no scene. The columns are the path and the scene, separated by tabs')
        # Without a recording, files are named place_from_to, or scene-place-recording-part-device.
        source = cells[2] if len(cells) > 2 else re.split(r'[_.]', pathlib.PurePosixPath(cells[0]).name)[0]
        listed.add(cells[0])
        if learned and cells[0] not in learned and cells[0] not in fold_of:
            continue
        yield str(path / cells[0]), cells[1].replace('_', ' '), fold_of.get(cells[0]), source
    unknown = sorted((set(fold_of) | learned) - listed)
    if unknown:
        raise SoundNetError(f'{path}: evaluation_setup lists {unknown[0]}, which is not in {meta.name}')


def _lines(path: pathlib.Path) -> Iterator[tuple[str, list[str]]]:
    """The tab-separated cells of each line, with its file and number; without the header (`filename`)."""
    for number, cells in storage.csv_lines(path, delimiter='\t'):
        cells = [cell.strip() for cell in cells]
        if cells and cells[0] and cells[0] != 'filename':
            yield f'{path}: line {number}', cells


def scenes_2013(path: pathlib.Path) -> list[tuple[pathlib.Path, str]]:
    """Each file and its scene; empty if this is not a scene set of 2013.

    Its files are in the folder, or all in one folder below it, as the archives are unpacked: `scenes_stereo/`. Raises
    SoundNetError if several folders have the scenes of 2013, such as the public and the private set.
    """
    try:
        found = [pathlib.Path(file.path) for file in files.find([str(path)])]
    except SoundNetError:  # no sound
        return []
    inside: dict[pathlib.Path, list[pathlib.Path]] = {}
    for file in found:
        inside.setdefault(file.parent, []).append(file)
    if path in inside:
        return _scenes_of(inside[path])
    sets = [_scenes_of(own) for own in inside.values()]
    if len(sets) == 1:
        return sets[0]
    names = [{scene for _, scene in own} for own in sets]
    if names[0] and names[0] <= SCENES_2013 and all(own == names[0] for own in names):
        folders = ', '.join(str(folder.relative_to(path)) for folder in inside)
        raise SoundNetError(f'{path}: several folders with the scenes of DCASE 2013: {folders}. Use one of them')
    return []


def _scenes_of(sounds: list[pathlib.Path]) -> list[tuple[pathlib.Path, str]]:
    """Each file and its scene; empty if others are among them, or there is only one scene."""
    matches = [_2013.fullmatch(file.name) for file in sounds]
    found = [(file, match[1].lower()) for file, match in zip(sounds, matches, strict=True) if match]
    return found if len(found) == len(sounds) and len({scene for _, scene in found}) > 1 else []
