"""Which videos: a folder, a glob, a list of files or web addresses, or a CSV manifest."""

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
"""Between a video's id and where a later clip of it begins, as in web addresses."""

_ADDRESS = re.compile('[a-z][a-z0-9+.-]*://', re.IGNORECASE)
_SHA256 = re.compile('[0-9a-f]{64}', re.IGNORECASE)


# With slots: a manifest may have millions of rows.
@dataclasses.dataclass(frozen=True, slots=True)
class Video:
    """A file or an address, and the name that is its own in the dataset."""

    id: str
    path: str
    sha256: str = ''
    """Of the file's bytes, in lower-case hex digits, where the manifest gives it."""


def videos(sources: Sequence[str], suffixes: Collection[str] = VIDEO_SUFFIXES) -> list[Video]:
    """The videos of folders (searched through), globs, files, addresses and CSV manifests, ordered by id.

    A manifest has a header line with `path` and, optionally, `id` and `sha256`; other columns are for
    its readers. Its paths are relative to it, or addresses. An id is otherwise the path as the
    manifest has it, or below the folder that was named, or that the glob searches. Paths of files
    come absolute, so that a run can be resumed from another folder. Of a folder, what has one of the
    `suffixes` is taken. Raises SoundNetError where a source holds no video, and where two videos
    would have the same id.
    """
    found: dict[str, Video] = {}
    for source in sources:
        empty = True
        for video in _expand(source, suffixes):
            empty = False
            if CLIP_MARK in video.id:
                raise SoundNetError(
                    f'{source}: the id {video.id!r} has {CLIP_MARK}, which marks clips: give another id'
                )
            other = found.setdefault(video.id, video)
            if other is not video and other != video:
                raise SoundNetError(_clash(other, video))
        if empty:
            raise SoundNetError(f'{source} holds no video: give a folder, a glob, a video or a CSV with a path column')
    return sorted(found.values(), key=operator.attrgetter('id'))


def is_remote(path: str) -> bool:
    """Whether a path is an address, as https://x/y.mp4, and no file's name."""
    return _ADDRESS.match(path) is not None


def _clash(one: Video, other: Video) -> str:
    if one.path == other.path:
        return f'{one.path} is named twice, with different sha256'
    return f'{one.path} and {other.path} would both be {one.id!r}: name them apart in a CSV with an id column'


def _expand(source: str, suffixes: Collection[str]) -> Iterator[Video]:
    """The videos of one source."""
    if is_remote(source):
        if source.lower().endswith('.csv'):
            raise SoundNetError(f'{source} is a manifest that lies elsewhere: fetch it, and name the file')
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
        raise SoundNetError(f'there is no file or folder {source}')
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
                there = f'it names {", ".join(columns)}' if columns else 'it is empty'
                raise SoundNetError(f'{path}: the first line must name a column path; {there}')
            # A column that is not there is read from a last cell, which is empty.
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
        raise SoundNetError(f'{path} cannot be read as CSV in UTF-8 ({error})') from error


def _video(folder: str, named: str, id: str, sha256: str) -> Video:
    if not named:
        raise ValueError('has no path')
    if sha256 and not _SHA256.fullmatch(sha256):
        raise ValueError(f'has {sha256!r} as sha256, which is 64 hex digits')
    path = named if is_remote(named) else os.path.normpath(os.path.join(folder, named))
    return Video(id or named, path, sha256.lower())
