"""Checkpoints of a run: written atomically, restored from the newest one that can be read."""

import contextlib
import pathlib
import re
import shutil
import tempfile
from collections.abc import Iterator

import tensorflow as tf

from soundnet_tf import records
from soundnet_tf.errors import SoundNetError

KEPT = 3


@contextlib.contextmanager
def writing(path: pathlib.Path) -> Iterator[None]:
    """Turn write errors of a run, such as a full disk, into SoundNetError."""
    try:
        yield
    except (OSError, tf.errors.OpError) as error:
        reason = records.words(error)
        raise SoundNetError(
            f'{path}: cannot be written ({reason}). Free some space or fix the path, and run the same command to resume'
        ) from error


class Checkpoints:
    """The last few checkpoints in a folder. TensorFlow writes to a temporary name first, and the index last.

    All of several workers take part in saving, since each holds a part of some variables. Only the
    `chief` writes to the folder, the others to a temporary one.
    """

    def __init__(self, what: tf.train.Checkpoint, folder: pathlib.Path, chief: bool = True) -> None:
        self._what, self._folder, self._chief = what, folder, chief

    def steps(self) -> list[int]:
        """The steps that have checkpoints, in ascending order."""
        names = [re.fullmatch(r'step-(\d+)\.index', path.name) for path in self._folder.glob('step-*.index')]
        return sorted(int(name[1]) for name in names if name)

    def restore(self) -> int | None:
        """Restore the newest checkpoint that can be read, and print which cannot. Returns its step, or None.

        Removes what a run left that was killed while it saved.
        """
        if self._chief:
            self._remove_drafts()
        damaged: list[int] = []
        for step in reversed(self.steps()):
            try:
                self._what.read(str(self._folder / f'step-{step}')).assert_consumed()
            # The errors that TensorFlow raises for damaged files.
            except (tf.errors.OpError, ValueError, AssertionError, IndexError) as error:
                reason = ' '.join(str(getattr(error, 'message', None) or error).split())[:200]
                print(f'{self._folder / f"step-{step}"}: damaged ({reason}). Resuming from the previous checkpoint')
                damaged.append(step)
            else:
                # Training repeats their steps and saves them again.
                for old in damaged if self._chief else ():
                    self._remove(old)
                return step
        if damaged:
            raise SoundNetError(
                f'{self._folder}: no checkpoint can be read. Remove {self._folder.parent} to start over'
            )
        return None

    def save(self, step: int) -> None:
        """Write a checkpoint, and remove all but the last KEPT."""
        if not self._chief:
            with tempfile.TemporaryDirectory(prefix='soundnet') as temporary:
                self._what.write(f'{temporary}/step-{step}')
            return
        path = self._folder / f'step-{step}'
        try:
            with writing(path):
                self._what.write(str(path))
        except SoundNetError:
            self._remove(step)
            self._remove_drafts()
            raise
        for old in self.steps()[:-KEPT]:
            self._remove(old)

    def _remove(self, step: int) -> None:
        for path in self._folder.glob(f'step-{step}.*'):
            path.unlink()

    def _remove_drafts(self) -> None:
        for path in self._folder.glob('step-*_temp'):
            shutil.rmtree(path, ignore_errors=True)

    def __str__(self) -> str:
        return ', '.join(str(self._folder / f'step-{step}') for step in self.steps()) or 'none'
