"""The videos, teachers and settings of a dataset, saved so that a stopped run resumes only with the same ones."""

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
    """Everything that determines the records."""
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
def lock(folder: str, plan: dict[str, Any]) -> Iterator[None]:
    """Start a folder with its plan, or resume one with the same plan, and lock it against other runs.

    Buckets have no locks: there, you must not start two runs at once. Raises SoundNetError if the folder
    is locked, has another plan or cannot be written.
    """
    with contextlib.ExitStack() as held:
        try:
            before = _begin(folder, plan, held)
        except json.JSONDecodeError as error:
            raise SoundNetError(f'{folder}/{PLAN}: damaged ({error}). Remove {folder} to start over') from error
        except tf.errors.OpError as error:
            raise SoundNetError(f'{folder}: cannot be written ({records.words(error)}). Use another --out') from error
        except OSError as error:
            raise SoundNetError(f'{folder}: cannot be written ({error.strerror}). Use another --out') from error
        # Through JSON, like the saved one.
        storage.check_same(folder, before, json.loads(json.dumps(plan)), WAY_OUT)
        yield


def _begin(folder: str, plan: dict[str, Any], held: contextlib.ExitStack) -> Any:
    """The plan that the folder was started with; this one, if it is new."""
    path = f'{folder}/{PLAN}'
    tf.io.gfile.makedirs(folder)
    if not is_remote(folder):
        # A separate file, which is never replaced, and opened for writing, since network disks need that for a lock.
        file = pathlib.Path(folder, LOCK).open('ab')  # noqa: SIM115  held until the run ends
        if not storage.lock(held.enter_context(file)):
            raise SoundNetError(f'{folder}: another run is writing to it. Wait for it, or stop it first')
    if not tf.io.gfile.exists(path):
        if records.listed(folder, 'records-*'):
            raise SoundNetError(f'{folder}: has records but no {PLAN}. Use another --out')
        records.write_text(path, json.dumps(plan, indent=2) + '\n')
    with tf.io.gfile.GFile(path) as file:
        return json.loads(file.read())


def _digest(lines: Iterable[str]) -> str:
    return hashlib.sha256('\n'.join(lines).encode(errors='surrogateescape')).hexdigest()[:16]
