"""Errors that the user can fix.

Every message is one line with the file or value, what is wrong, and what to do.
Commands print it and exit with status 2; a bug keeps its traceback.
"""

from typing import Any


class SoundNetError(Exception):
    """The base class of all errors of this package that a user can fix."""

    status = 2
    """The exit status of a command."""


class ShortClip(SoundNetError, ValueError):
    """The sound is too short for one time step of the requested layer."""


class UnknownLayer(SoundNetError, ValueError):
    """The net has no layer or head of that name."""


class BadAudio(SoundNetError, ValueError):
    """The bytes or samples are not usable sound."""


class BadRecord(SoundNetError, ValueError):
    """A record, or a folder of records, lacks what training needs."""


class WeightsMismatch(SoundNetError, ValueError):
    """Saved weights do not fit the net."""


class LostWorker(SoundNetError):
    """Another worker failed; this one did nothing wrong."""

    status = 1


class ExportRefused(SoundNetError):
    """An export does not compute what the net does, and was deleted; the user did nothing wrong."""

    status = 1


class MissingTool(SoundNetError, ImportError):
    """An optional package is needed and not installed."""

    def __init__(self, package: str, purpose: str, extra: str | None = None):
        wanted = f'soundnet_tf[{extra}]' if extra else package
        super().__init__(f"{purpose} needs {package}, which is not installed: pip install '{wanted}'")
        self._made_of = package, purpose, extra

    def __reduce__(self) -> tuple[Any, ...]:
        return MissingTool, self._made_of  # by its text alone an error of another process could not be made again
