"""The videos, teachers and settings of a dataset, saved so that a stopped run resumes only with the same ones.

Videos may be added later: they go into a new part, with shards of its own, and finished shards stay as they are.
"""

import contextlib
import dataclasses
import hashlib
import itertools
import json
import pathlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from soundnet_tf import records, storage
from soundnet_tf.errors import SoundNetError
from soundnet_tf.prepare.manifest import Video
from soundnet_tf.prepare.stages import Settings
from soundnet_tf.records import gfiles
from soundnet_tf.teachers import Teacher

PLAN = 'plan.json'
HINT = 'Use another --out, or the same teachers and settings'

VIDEOS_PER_SHARD = 256
MIN_SHARDS = 8
"""So that a small run that is stopped does not start over."""


@dataclasses.dataclass(frozen=True)
class Part:
    """Shards that were planned at once, and their videos: those that are still listed, and those that are not."""

    paths: Sequence[str]
    videos: Sequence[Video]
    removed: Sequence[Video] = ()


@dataclasses.dataclass(frozen=True)
class Layout:
    """The parts of a dataset."""

    parts: Sequence[Part]

    @property
    def paths(self) -> list[str]:
        """All shards, in order."""
        return [path for part in self.parts for path in part.paths]

    @property
    def ends(self) -> tuple[int, ...]:
        """Per part, the number of its last shard plus one."""
        return tuple(itertools.accumulate(len(part.paths) for part in self.parts))


@contextlib.contextmanager
def lock(
    folder: str,
    videos: Sequence[Video],
    teachers: Sequence[Teacher],
    settings: Settings,
    number: int | None = None,
) -> Iterator[Layout]:
    """Start a folder, resume one of the same teachers and settings, or add videos to it; lock it against other runs.

    `number` is that of the shards of the videos that are new. Buckets have no locks: there, you must not start two
    runs at once. Raises SoundNetError if the folder is locked, was started with other settings, has a video of another
    path, or cannot be written.
    """
    # Through JSON, like the saved ones.
    fixed = json.loads(json.dumps({'teachers': _about(teachers), 'settings': dataclasses.asdict(settings)}))
    with contextlib.ExitStack() as held:
        try:
            layout = _begin(folder, videos, fixed, number, held)
        except OSError as error:
            raise SoundNetError(f'{folder}: cannot be written ({records.words(error)}). Use another --out') from error
        yield layout


def _about(teachers: Sequence[Teacher]) -> dict[str, Any]:
    return {
        teacher.name: {'source': teacher.source, 'kind': teacher.kind, 'labels_sha256': _digest(teacher.labels)}
        for teacher in teachers
    }


def _begin(
    folder: str, videos: Sequence[Video], fixed: dict[str, Any], number: int | None, held: contextlib.ExitStack
) -> Layout:
    path, planned = f'{folder}/{PLAN}', list[Any]()
    if storage.is_remote(folder):
        gfiles.makedirs(folder)
    else:
        held.enter_context(storage.claimed(pathlib.Path(folder)))
    if gfiles.exists(path):
        hint = f'Remove {folder} to start over'
        before = storage.parse_json(gfiles.read(path), path, hint)
        with storage.readable(path, hint):
            planned = [(int(part['shards']), str(part['sha256'])) for part in before.pop('parts')]
        storage.check_same(folder, before, fixed, HINT)
    elif records.listed(folder, 'records-*'):
        raise SoundNetError(f'{folder}: has records but no {PLAN}. Use another --out')
    listed, members, removed = {video.id: video for video in videos}, list[list[Video]](), list[list[Video]]()
    for index, (_, digest) in enumerate(planned):
        known = _read_list(folder, index, digest)
        removed.append([video for video in known if video.id not in listed])
        members.append([listed.pop(video.id) for video in known if video.id in listed])
        _check_unchanged(folder, members[-1], {video.id: video for video in known})
    if listed or not planned:
        shards = number or (-(-len(listed) // VIDEOS_PER_SHARD) if planned else number_of(videos))
        # The list first: a plan never has a part without one.
        digest = _write_list(folder, len(planned), list(listed.values()))
        planned.append((shards, digest))
        members.append(list(listed.values()))
        removed.append([])
        parts = [{'shards': shards, 'sha256': digest} for shards, digest in planned]
        records.write_text(path, json.dumps({'parts': parts, **fixed}, indent=2) + '\n')
    elif number and number not in {shards for shards, _ in planned}:
        storage.check_same(folder, {'shards': planned[0][0]}, {'shards': number}, HINT)
    ends = list(itertools.accumulate(shards for shards, _ in planned))
    paths, begins = records.shard_paths(folder, *ends), [0, *ends]
    return Layout([Part(paths[a:b], *some) for a, b, *some in zip(begins[:-1], ends, members, removed, strict=True)])


def number_of(videos: Sequence[Video]) -> int:
    """The default number of shards of a new dataset."""
    return max(MIN_SHARDS, -(-len(videos) // VIDEOS_PER_SHARD))


def _check_unchanged(folder: str, videos: Sequence[Video], known: dict[str, Video]) -> None:
    changed = [video for video in videos if video != known[video.id]]
    if changed:
        was, now = known[changed[0].id], changed[0]
        what = f'the path {was.path}, now {now.path}' if was.path != now.path else 'another sha256'
        raise SoundNetError(
            f'{folder}: {len(changed)} videos have another path or sha256 than when they were added; {now.id} had '
            f'{what}. '
            'Use other ids for them, or another --out'
        )


def _list_path(folder: str, part: int) -> str:
    return f'{folder}/videos-{part:05d}.jsonl'


def _write_list(folder: str, part: int, videos: Sequence[Video]) -> str:
    """The list of a part, a line of JSON per video: ASCII, whatever bytes a file's name has."""
    lines = [json.dumps([video.id, video.path, video.sha256]) for video in videos]
    records.write_text(_list_path(folder, part), ''.join(f'{line}\n' for line in lines))
    return _digest(lines)


def _read_list(folder: str, part: int, digest: str) -> list[Video]:
    path, hint = _list_path(folder, part), f'Remove {folder} to start over'
    with storage.readable(path, hint):
        lines = gfiles.read(path).decode().splitlines() if gfiles.exists(path) else []
        if _digest(lines) != digest:
            raise ValueError('it is not the list that was written')
        return [Video(*json.loads(line)) for line in lines]


def _digest(lines: Iterable[str]) -> str:
    return hashlib.sha256('\n'.join(lines).encode(errors='surrogateescape')).hexdigest()[:16]
