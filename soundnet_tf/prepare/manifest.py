"""Videos to prepare: from folders, globs, files, web addresses and CSV manifests."""

import csv
import dataclasses
import glob
import operator
import os
import pathlib
import re
from collections.abc import Collection, Iterator, Sequence

from soundnet_tf.audio import VIDEO_SUFFIXES
from soundnet_tf.errors import SoundNetError

CLIP_MARK = '#t='
"""Between a video's id and the start of a later clip, as in web addresses."""

_ADDRESS = re.compile('[a-z][a-z0-9+.-]*://', re.IGNORECASE)
_SHA256 = re.compile('[0-9a-f]{64}', re.IGNORECASE)


# With slots: a manifest may have millions of rows.
@dataclasses.dataclass(frozen=True, slots=True)
class Video:
    """A file or an address, and its unique id in the dataset."""

    id: str
    path: str
    sha256: str = ''
    """Of the file's bytes, in lower-case hex digits, if the manifest has it."""


def videos(sources: Sequence[str], suffixes: Collection[str] = VIDEO_SUFFIXES) -> list[Video]:
    """The videos of folders (searched through), globs, files, addresses and CSV manifests, ordered by id.

    A manifest has a header line with `path` and, optionally, `id` and `sha256`; other columns are
    ignored. Its paths are relative to it, or addresses. The default id is the path as in the manifest,
    or relative to the folder, or to the folder that the glob searches. Paths are absolute, so that a run
    can be resumed from another folder. In folders, files with one of the `suffixes` are found. Raises
    SoundNetError if a source has no video, and if two videos have the same id.
    """
    found: dict[str, Video] = {}
    for source in sources:
        empty = True
        for video in _expand(source, suffixes):
            empty = False
            if CLIP_MARK in video.id:
                raise SoundNetError(f'{source}: the id {video.id!r} has {CLIP_MARK}, which marks clips. Use another id')
            other = found.setdefault(video.id, video)
            if other is not video and other != video:
                raise SoundNetError(_clash(other, video))
        if empty:
            raise SoundNetError(f'{source}: no videos. Pass a folder, a glob, a video or a CSV with a path column')
    return sorted(found.values(), key=operator.attrgetter('id'))


def is_remote(path: str) -> bool:
    """Whether a path is an address, such as https://x/y.mp4."""
    return _ADDRESS.match(path) is not None


def _clash(one: Video, other: Video) -> str:
    if one.path == other.path:
        return f'{one.path}: listed twice, with different sha256. Keep one of the lines'
    return f'{one.path} and {other.path}: both have the id {one.id!r}. Use a CSV with an id column'


def _expand(source: str, suffixes: Collection[str]) -> Iterator[Video]:
    """The videos of one source."""
    if is_remote(source):
        if source.lower().endswith('.csv'):
            raise SoundNetError(f'{source}: a manifest must be a local file. Download it, and pass the file')
        yield Video(source, source)
        return
    path = pathlib.Path(source)
    if path.is_dir():
        files, top = [file for file in sorted(path.rglob('*')) if _is_video(file, suffixes)], path
    elif path.suffix.lower() == '.csv' and path.exists():
        yield from _manifest(path)
        return
    elif path.is_file():
        files, top = [path], path.parent
    elif glob.has_magic(source):
        names = sorted(glob.glob(source, recursive=True))
        files, top = [pathlib.Path(name) for name in names if os.path.isfile(name)], _fixed_part(path)
    else:
        raise SoundNetError(f'{source}: no such file or folder. Check the path')
    for file in files:
        # A file's name may be any bytes; an id has to be text.
        id = os.fsencode(file.relative_to(top).as_posix()).decode(errors='replace')
        yield Video(id, os.path.abspath(file))


def _is_video(path: pathlib.Path, suffixes: Collection[str]) -> bool:
    return path.suffix.lower() in suffixes and not path.name.startswith('.') and path.is_file()


def _fixed_part(pattern: pathlib.Path) -> pathlib.Path:
    """The folder that a glob searches."""
    return next(parent for parent in pattern.parents if not glob.has_magic(str(parent)))


def _manifest(path: pathlib.Path) -> Iterator[Video]:
    folder = os.path.abspath(path.parent)
    try:
        with path.open(newline='', encoding='utf-8-sig') as file:
            reader = csv.reader(file)
            columns = next(reader, [])
            if 'path' not in columns:
                there = f'its columns are {", ".join(columns)}' if columns else 'it is empty'
                raise SoundNetError(f'{path}: no column path ({there}). Add a header line with a column path')
            # Missing columns are read from an empty last cell.
            at = [columns.index(name) if name in columns else -1 for name in ('path', 'id', 'sha256')]
            blank = [''] * len(columns)
            for row in reader:
                if row:
                    cells = [*row, *blank]
                    try:
                        yield _video(folder, *(cells[index].strip() for index in at))
                    except ValueError as error:
                        raise SoundNetError(f'{path}: line {reader.line_num} {error}') from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SoundNetError(f'{path}: cannot be read as UTF-8 CSV ({error})') from error


def _video(folder: str, given: str, id: str, sha256: str) -> Video:
    if not given:
        raise ValueError('has no path')
    if sha256 and not _SHA256.fullmatch(sha256):
        raise ValueError(f'has the sha256 {sha256!r}, not 64 hex digits')
    path = given if is_remote(given) else os.path.normpath(os.path.join(folder, given))
    return Video(id or given, path, sha256.lower())
