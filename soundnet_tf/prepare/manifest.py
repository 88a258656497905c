"""Which videos: a folder, a glob, a list of files, or a CSV manifest."""

import csv
import dataclasses
import glob
import os
import pathlib
from collections.abc import Sequence

from soundnet_tf.errors import SoundNetError

EXTENSIONS = frozenset('3gp avi flv m4v mkv mov mp4 mpeg mpg mts ogv ts webm wmv'.split())  # noqa: SIM905


@dataclasses.dataclass(frozen=True)
class Video:
    """A file, and the name that is its own in the dataset."""

    id: str
    path: str


def videos(sources: Sequence[str]) -> list[Video]:
    """The videos of folders (searched through), globs, files and CSV manifests, ordered by id.

    A manifest has a header line with `path` and, optionally, `id`; its paths are relative to it. An
    id is otherwise the path as the manifest has it, or below the folder that was named, or that the
    glob searches. Paths come absolute, so that a run can be resumed from another folder. Raises
    SoundNetError where a source holds no video, and where two videos would have the same id.
    """
    found: dict[str, Video] = {}
    for source in sources:
        more = _expand(source)
        if not more:
            raise SoundNetError(f'{source} holds no video: give a folder, a glob, a video or a CSV with a path column')
        for id, path in more:
            # A file's name may be any bytes; an id has to be text.
            video = Video(os.fsencode(id).decode(errors='replace'), os.path.abspath(path))
            other = found.setdefault(video.id, video)
            if other != video:
                raise SoundNetError(
                    f'{other.path} and {video.path} would both be {video.id!r}: '
                    'name them apart in a CSV with an id column'
                )
    return sorted(found.values(), key=lambda video: video.id)


def _expand(source: str) -> list[tuple[str, str | pathlib.Path]]:
    """The id and the path of each video of one source."""
    path = pathlib.Path(source)
    if path.is_dir():
        return [(file.relative_to(path).as_posix(), file) for file in sorted(path.rglob('*')) if _is_video(file)]
    if path.suffix.lower() == '.csv' and path.exists():
        return _manifest(path)
    if path.is_file():
        return [(path.name, path)]
    if glob.has_magic(source):
        files = [pathlib.Path(file) for file in sorted(glob.glob(source, recursive=True))]
        top = _fixed_part(path)
        return [(file.relative_to(top).as_posix(), file) for file in files if file.is_file()]
    raise SoundNetError(f'there is no file or folder {source}')


def _is_video(path: pathlib.Path) -> bool:
    return path.suffix[1:].lower() in EXTENSIONS and not path.name.startswith('.') and path.is_file()


def _fixed_part(pattern: pathlib.Path) -> pathlib.Path:
    """The folder that a glob searches."""
    return next(parent for parent in pattern.parents if not glob.has_magic(str(parent)))


def _manifest(path: pathlib.Path) -> list[tuple[str, str | pathlib.Path]]:
    try:
        with path.open(newline='', encoding='utf-8-sig') as file:
            reader = csv.DictReader(file)
            columns = reader.fieldnames or ()
            if 'path' not in columns:
                there = f'it names {", ".join(columns)}' if columns else 'it is empty'
                raise SoundNetError(f'{path}: the first line must name a column path; {there}')
            rows = [(reader.line_num, row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SoundNetError(f'{path} cannot be read as CSV in UTF-8 ({error})') from error
    found = []
    for line, row in rows:
        named = (row['path'] or '').strip()
        if not named:
            raise SoundNetError(f'{path}: line {line} has no path')
        found.append(((row.get('id') or '').strip() or named, path.parent / named))
    return found
