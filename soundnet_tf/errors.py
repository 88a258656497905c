"""What can go wrong in a way that the user can mend.

Every message is one line that names the file or value, says what was wrong and what to do.
The binaries print it and exit with status 2; a bug keeps its traceback.
"""


class SoundNetError(Exception):
    """The parent of all errors of this package that a user can mend."""

    status = 2
    """With which a binary exits."""


class ShortClip(SoundNetError, ValueError):
    """The sound is too short to give one frame of the layer that was asked for."""


class UnknownLayer(SoundNetError, ValueError):
    """The net has no layer or head of that name."""


class BadAudio(SoundNetError, ValueError):
    """The bytes or samples are not a sound that can be used."""


class BadRecord(SoundNetError, ValueError):
    """A record, or a folder of records, does not hold what training needs."""


class WeightsMismatch(SoundNetError, ValueError):
    """Saved weights do not fit the net that they should go into."""


class LostWorker(SoundNetError):
    """Another of several workers is gone: no mistake of this one."""

    status = 1


class ExportRefused(SoundNetError):
    """What was exported does not give the net's numbers, and was deleted: no mistake of the user's."""

    status = 1


class MissingTool(SoundNetError, ImportError):
    """An optional package is needed and not installed."""

    def __init__(self, package: str, purpose: str, extra: str | None = None):
        wanted = f'soundnet_tf[{extra}]' if extra else package
        super().__init__(f"{purpose} needs {package}, which is not installed: pip install '{wanted}'")
