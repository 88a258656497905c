"""Videos to prepare: from folders, globs, files, web addresses and CSV manifests."""

import dataclasses
import glob
import operator
import os
import pathlib
import re
import urllib.parse
from collections.abc import Callable, Collection, Iterator, Sequence

from soundnet_tf import storage
from soundnet_tf.audio import VIDEO_SUFFIXES
from soundnet_tf.errors import SoundNetError
from soundnet_tf.prepare import cells

CLIP_MARK = '#t='
"""Between a video's id and the start of a later clip, as in web addresses."""

BAD_ROW, REFUSED = 'bad row', 'refused'
"""Reasons: a row of a manifest that cannot be used, and a path that is not opened."""

SCHEMES = ('http', 'https', 'gs', 's3', 'hdfs')
PLAYLISTS = ('.asx', '.concat', '.cue', '.ffconcat', '.m3u', '.m3u8', '.mpd', '.pls', '.ram', '.sdp', '.smil', '.xspf')
"""Suffixes of files that make a decoder open others."""

COLUMNS = ('path', 'id', 'sha256')
"""Of a manifest; others are ignored."""

_SHA256 = re.compile('[0-9a-f]{64}', re.IGNORECASE)
_SURROGATE = re.compile('[\ud800-\udfff]')
"""A byte that is not UTF-8."""
_SYSTEM = re.compile('/(?:proc|sys|dev(?!/shm/))(?:/|$)')


# With slots: a manifest may have millions of rows.
@dataclasses.dataclass(frozen=True, slots=True)
class Video:
    """A file or an address, and its unique id in the dataset."""

    id: str
    path: str
    sha256: str = ''
    """Of the file's bytes, in lower-case hex digits, if the manifest has it."""


@dataclasses.dataclass(frozen=True)
class Skipped:
    """A video or clip without a record: `reason` is counted, `detail` is listed."""

    id: str
    path: str
    reason: str
    detail: str = ''


def videos(
    sources: Sequence[str],
    suffixes: Collection[str] = VIDEO_SUFFIXES,
    skip: Callable[[Skipped], None] | None = None,
) -> list[Video]:
    """The videos of folders (searched through), globs, files, addresses and CSV manifests, ordered by id.

    A manifest has a header line with `path` and, optionally, `id` and `sha256`; other columns are
    ignored. Its paths are relative to it, or addresses. The default id is the path as in the manifest,
    or relative to the folder, or to the folder that the glob searches. Paths are absolute, so that a run
    can be resumed from another folder. In folders, files with one of the `suffixes` are found.

    `skip` is called with each row, and each file, that cannot be used; without it, the first one is an error. Raises
    SoundNetError if a source has no video that can be used, and if two files have the same id.
    """
    found: dict[str, Video] = {}
    for source in sources:
        good, bad = 0, list[Skipped]()
        for line, video in _expand(source, suffixes):
            wrong = video if isinstance(video, Skipped) else _misfit(video, line, found)
            if isinstance(video, Video) and wrong is None:
                good += 1
                found.setdefault(video.id, video)
            elif wrong and skip is None:
                raise SoundNetError(f'{source}: {wrong.detail}')
            elif wrong:
                bad.append(wrong)
        if bad and not good:
            said = '; '.join(wrong.detail for wrong in bad[:3])
            more = f'; and {len(bad) - 3:,} more' if len(bad) > 3 else ''
            raise SoundNetError(f'{source}: no video can be used ({said}{more}). Fix them, or pass others')
        if not good:
            raise SoundNetError(f'{source}: no videos. Pass a folder, a glob, a video or a CSV with a path column')
        for wrong in bad:
            assert skip is not None
            skip(dataclasses.replace(wrong, detail=f'{source}: {wrong.detail}'))
    return sorted(found.values(), key=operator.attrgetter('id'))


def refusal(path: str) -> str:
    """Why a path is never opened, whatever it holds; empty for others."""
    if storage.is_remote(path):
        try:
            parts = urllib.parse.urlsplit(path)
        except ValueError:
            return 'invalid address'
        if parts.scheme not in SCHEMES:
            return f'{parts.scheme}:// is not supported. Use a path, or {"://, ".join(SCHEMES)}://'
        path = urllib.parse.unquote(parts.path)
    elif _SYSTEM.match(path):
        return 'a device or a file of the system'
    if (suffix := pathlib.PurePosixPath(path).suffix.lower()) in PLAYLISTS:
        return f'a list of other files ({suffix}), which are not opened. List the files themselves'
    return ''


def _misfit(video: Video, line: int, found: dict[str, Video]) -> Skipped | None:
    """Why a video cannot be used beside those that were found. Raises SoundNetError for two files of one id."""
    at = f'line {line}: ' if line else ''
    if CLIP_MARK in video.id:
        why = f'the id {video.id!r} has {CLIP_MARK}, which marks clips. Use another id'
        return Skipped(video.id, video.path, BAD_ROW, at + why)
    if why := refusal(video.path):
        return Skipped(video.id, video.path, REFUSED, f'{at}{storage.printable(video.path)}: {why}')
    other = found.get(video.id, video)
    if other == video:
        return None
    if not line:
        raise SoundNetError(
            f'{other.path} and {video.path}: both have the id {video.id!r}. Use a CSV with an id column'
        )
    again = 'lists the same path again, with another sha256'
    why = again if other.path == video.path else f'has the id {video.id!r} of {other.path}'
    return Skipped(video.id, video.path, BAD_ROW, f'line {line} {why}')


def _expand(source: str, suffixes: Collection[str]) -> Iterator[tuple[int, Video | Skipped]]:
    """The videos of one source, each with its line in a manifest, or 0."""
    if storage.is_remote(source):
        if source.lower().endswith('.csv'):
            raise SoundNetError(f'{source}: a manifest must be a local file. Download it, and pass the file')
        yield 0, Video(source, source)
        return
    path = pathlib.Path(source)
    if why := refusal(os.path.abspath(source)):
        yield 0, Skipped('', source, REFUSED, why)
        return
    with storage.readable(source, 'Check the path'):
        is_folder = path.is_dir()
    if is_folder:
        files, top = [file for file in sorted(path.rglob('*')) if _is_video(file, suffixes)], path
    elif path.suffix.lower() == '.csv' and path.exists():
        yield from _manifest(path)
        return
    elif os.path.lexists(source):
        files, top = [path], path.parent
    elif glob.has_magic(source):
        names = sorted(glob.glob(source, recursive=True))
        files, top = [pathlib.Path(name) for name in names if not os.path.isdir(name)], _fixed_part(path)
    else:
        raise SoundNetError(f'{storage.printable(source)}: no such file or folder. Check the path')
    for file in files:
        # A file's name may be any bytes; an id has to be text.
        id = os.fsencode(file.relative_to(top).as_posix()).decode(errors='replace')
        if kind := storage.not_a_file(file):
            at = '' if file == path else f'{storage.printable(os.fspath(file))}: '
            yield 0, Skipped(id, os.path.abspath(file), REFUSED, f'{at}{kind}, not a regular file')
        else:
            yield 0, Video(id, os.path.abspath(file))


def _is_video(path: pathlib.Path, suffixes: Collection[str]) -> bool:
    return path.suffix.lower() in suffixes and not path.name.startswith('.') and not path.is_dir()


def _fixed_part(pattern: pathlib.Path) -> pathlib.Path:
    """The folder that a glob searches."""
    return next(parent for parent in pattern.parents if not glob.has_magic(str(parent)))


def _manifest(path: pathlib.Path) -> Iterator[tuple[int, Video | Skipped]]:
    folder = os.path.abspath(path.parent)
    # A row that is not UTF-8 is one bad row.
    rows = storage.csv_rows(path, 'Save it as CSV in UTF-8', undecodable='surrogateescape')
    _, columns = next(rows, (0, []))
    _check_header(path, columns)
    # Missing columns are read from an empty last cell.
    at = [columns.index(name) if name in columns else -1 for name in COLUMNS]
    blank = [''] * len(columns)
    for number, row in rows:
        if isinstance(row, str):
            yield number, Skipped('', '', BAD_ROW, f'line {number} {row}')
            continue
        padded = [*row, *blank]
        given, id, sha256 = (cells.plain(padded[index]).strip() for index in at)
        if wrong := _wrong(given, id, sha256, row, len(columns)):
            id, given = (text.encode(errors='replace').decode() for text in (id, given))
            yield number, Skipped(id, given, BAD_ROW, f'line {number} {wrong}')
        else:
            local = given if storage.is_remote(given) else os.path.normpath(os.path.join(folder, given))
            yield number, Video(id or given, local, sha256.lower())


def _check_header(path: pathlib.Path, columns: Sequence[str] | str) -> None:
    if isinstance(columns, str):
        raise SoundNetError(f'{path}: line 1 {columns}. Add a header line with a column path')
    # Zero bytes: UTF-16, as spreadsheets save "Unicode text".
    if 'path' not in columns and any(_SURROGATE.search(name) or '\0' in name for name in columns):
        raise SoundNetError(f'{path}: not text in UTF-8. Save it as CSV in UTF-8')
    if 'path' not in columns:
        there = f'its columns are {storage.printable(", ".join(columns))[:200]}' if columns else 'it is empty'
        raise SoundNetError(f'{path}: no column path ({there}). Add a header line with a column path')
    for name in COLUMNS:
        if columns.count(name) > 1:
            raise SoundNetError(f'{path}: {columns.count(name)} columns {name}. Rename all but one')


def _wrong(given: str, id: str, sha256: str, row: Sequence[str], columns: int) -> str:
    """Why a row cannot be used; empty if it can."""
    if any(cell.strip() for cell in row[columns:]):
        return f'has {len(row)} cells for {columns} columns. Quote cells that have commas'
    if not given:
        return 'has no path'
    text = given + id
    if _SURROGATE.search(text):
        return 'is not UTF-8'
    if not text.isprintable() and re.search(r'[\0\r\n]', text):
        return 'has a line break or a zero byte in its path or id. Close its quotes'
    if id != given and (id.startswith('/') or '..' in id.split('/')):
        return f'has the id {storage.printable(id)[:80]!r}, which leads out of a folder. Leave out .. and the first /'
    if sha256 and not _SHA256.fullmatch(sha256):
        return f'has the sha256 {storage.printable(sha256)[:80]!r}, not 64 hex digits'
    return ''
