"""What a folder of records is being made from, written down so that a stopped run goes on only with the same."""

import contextlib
import dataclasses
import hashlib
import json
import os
import pathlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from soundnet_tf.errors import SoundNetError
from soundnet_tf.prepare.manifest import Video
from soundnet_tf.prepare.stages import Settings
from soundnet_tf.teachers import Teacher

PLAN = 'plan.json'


def of(videos: Sequence[Video], teachers: Sequence[Teacher], settings: Settings, shards: int) -> dict[str, Any]:
    """All that the records follow from."""
    return {
        'videos': {'count': len(videos), 'sha256': _digest(f'{video.id}\t{video.path}' for video in videos)},
        'teachers': {
            teacher.name: {'source': teacher.source, 'kind': teacher.kind, 'labels_sha256': _digest(teacher.labels)}
            for teacher in teachers
        },
        'settings': dataclasses.asdict(settings),
        'shards': shards,
    }


@contextlib.contextmanager
def held(folder: pathlib.Path, plan: dict[str, Any]) -> Iterator[None]:
    """Begin a folder with its plan, or go on with the same one; no other run writes there in the meantime.

    Raises SoundNetError where that cannot be.
    """
    path = folder / PLAN
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            if any(folder.glob('records-*')):
                raise SoundNetError(f'{folder} holds records but no {PLAN}: choose another folder')
            _write(path, plan)
        with path.open(encoding='utf-8') as file, _locked(file, folder):
            _agree(folder, json.load(file), plan)
            yield
    except json.JSONDecodeError as error:
        raise SoundNetError(f'{path} is damaged ({error}): remove {folder} to start over') from error
    except (FileExistsError, NotADirectoryError, PermissionError) as error:
        raise SoundNetError(f'{error.filename or folder} cannot be written ({error.strerror})') from error


def _write(path: pathlib.Path, plan: dict[str, Any]) -> None:
    draft = path.with_suffix('.part')
    draft.write_text(json.dumps(plan, indent=2) + '\n', encoding='utf-8')
    os.replace(draft, path)


@contextlib.contextmanager
def _locked(file: Any, folder: pathlib.Path) -> Iterator[None]:
    """A lock that ends with the process, however it ends."""
    try:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise SoundNetError(f'another run is writing to {folder}: wait for it, or stop it first') from None
    except (ImportError, OSError):
        pass  # no locks on this system, or on this kind of disk
    yield


def _agree(folder: pathlib.Path, begun: Any, plan: dict[str, Any]) -> None:
    # Through JSON, as the other came.
    before, now = _flat(begun), _flat(json.loads(json.dumps(plan)))
    other = [key for key in sorted({*before, *now}) if before.get(key) != now.get(key)]
    if other:
        said = '; '.join(f'{key} was {before.get(key, "not there")}, is {now.get(key, "not there")}' for key in other)
        raise SoundNetError(f'{folder} was begun differently ({said}): choose another folder, or remove it')


def _flat(values: Any, key: str = '') -> dict[str, Any]:
    """`{'settings': {'min_s': 1}}` as `{'settings min_s': 1}`."""
    if not isinstance(values, dict):
        return {key: values}
    return {k: v for name, value in values.items() for k, v in _flat(value, f'{key} {name}'.strip()).items()}


def _digest(lines: Iterable[str]) -> str:
    return hashlib.sha256('\n'.join(lines).encode(errors='surrogateescape')).hexdigest()[:16]
