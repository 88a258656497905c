"""What a folder of records is being made from, written down so that a stopped run goes on only with the same."""

import contextlib
import dataclasses
import hashlib
import json
import pathlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import tensorflow as tf

from soundnet_tf import records, storage
from soundnet_tf.errors import SoundNetError
from soundnet_tf.prepare.manifest import Video, is_remote
from soundnet_tf.prepare.stages import Settings
from soundnet_tf.teachers import Teacher

PLAN, LOCK = 'plan.json', 'lock'
WAY_OUT = 'Use another --out, or the same videos, teachers and settings'


def of(videos: Sequence[Video], teachers: Sequence[Teacher], settings: Settings, shards: int) -> dict[str, Any]:
    """All that the records follow from."""
    listed = (f'{video.id}\t{video.path}\t{video.sha256}' for video in videos)
    return {
        'videos': {'count': len(videos), 'sha256': _digest(listed)},
        'teachers': {
            teacher.name: {'source': teacher.source, 'kind': teacher.kind, 'labels_sha256': _digest(teacher.labels)}
            for teacher in teachers
        },
        'settings': dataclasses.asdict(settings),
        'shards': shards,
    }


@contextlib.contextmanager
def held(folder: str, plan: dict[str, Any]) -> Iterator[None]:
    """Begin a folder with its plan, or go on with the same one; no other run writes there in the meantime.

    Where there are no locks, as in a bucket, that is for the user to see to. Raises SoundNetError
    where it cannot be.
    """
    with contextlib.ExitStack() as lock:
        try:
            begun = _begin(folder, plan, lock)
        except json.JSONDecodeError as error:
            raise SoundNetError(f'{folder}/{PLAN} is damaged ({error}): remove {folder} to start over') from error
        except tf.errors.OpError as error:
            raise SoundNetError(f'{folder} cannot be written ({records.words(error)})') from error
        except OSError as error:
            raise SoundNetError(f'{folder} cannot be written ({error.strerror})') from error
        # Through JSON, as the other came.
        storage.check_same(folder, begun, json.loads(json.dumps(plan)), WAY_OUT)
        yield


def _begin(folder: str, plan: dict[str, Any], lock: contextlib.ExitStack) -> Any:
    """The plan that the folder was begun with, which is this one if it is new."""
    path = f'{folder}/{PLAN}'
    tf.io.gfile.makedirs(folder)
    if not is_remote(folder):
        # A file of its own, which nothing replaces, and opened for writing, as network disks want it for a lock.
        file = pathlib.Path(folder, LOCK).open('ab')  # noqa: SIM115  held until the run ends
        if not storage.lock(lock.enter_context(file)):
            raise SoundNetError(f'another run is writing to {folder}: wait for it, or stop it first')
    if not tf.io.gfile.exists(path):
        if records.listed(folder, 'records-*'):
            raise SoundNetError(f'{folder} holds records but no {PLAN}: choose another folder')
        records.write_text(path, json.dumps(plan, indent=2) + '\n')
    with tf.io.gfile.GFile(path) as file:
        return json.loads(file.read())


def _digest(lines: Iterable[str]) -> str:
    return hashlib.sha256('\n'.join(lines).encode(errors='surrogateescape')).hexdigest()[:16]
