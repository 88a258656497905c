"""Checkpoints of a run: whole or not at all, and the newest that is whole to go on from."""

import pathlib
import re
import tempfile

import tensorflow as tf

from soundnet_tf.errors import SoundNetError

KEPT = 3


class Checkpoints:
    """The last few checkpoints in a folder. TensorFlow writes each under another name first, and its index last.

    Under several workers all take part in saving, since each has a part of some variables; only the
    `chief` writes to the folder, the others to one that is thrown away.
    """

    def __init__(self, what: tf.train.Checkpoint, folder: pathlib.Path, chief: bool = True) -> None:
        self._what, self._folder, self._chief = what, folder, chief

    def steps(self) -> list[int]:
        """Of which steps there are checkpoints, the newest last."""
        names = [re.fullmatch(r'step-(\d+)\.index', path.name) for path in self._folder.glob('step-*.index')]
        return sorted(int(name[1]) for name in names if name)

    def restore(self) -> int | None:
        """Go on from the newest checkpoint that is whole; says which were not. None where there is none at all."""
        damaged: list[int] = []
        for step in reversed(self.steps()):
            try:
                self._what.read(str(self._folder / f'step-{step}')).assert_consumed()
            # Whatever TensorFlow says of a file that it cannot make sense of.
            except (tf.errors.OpError, ValueError, AssertionError, IndexError) as error:
                said = ' '.join(str(getattr(error, 'message', None) or error).split())[:200]
                print(f'{self._folder / f"step-{step}"} is damaged ({said}): going on from the one before')
                damaged.append(step)
            else:
                # Their steps come again, and with them whole ones.
                for old in damaged if self._chief else ():
                    self._remove(old)
                return step
        if damaged:
            raise SoundNetError(f'{self._folder}: no checkpoint is whole: remove {self._folder.parent} to start over')
        return None

    def save(self, step: int) -> None:
        """Write a checkpoint, and remove those that are too many."""
        if not self._chief:
            with tempfile.TemporaryDirectory(prefix='soundnet') as thrown_away:
                self._what.write(f'{thrown_away}/step-{step}')
            return
        self._what.write(str(self._folder / f'step-{step}'))
        for old in self.steps()[:-KEPT]:
            self._remove(old)

    def _remove(self, step: int) -> None:
        for path in self._folder.glob(f'step-{step}.*'):
            path.unlink()

    def __str__(self) -> str:
        return ', '.join(str(self._folder / f'step-{step}') for step in self.steps()) or 'none yet'
