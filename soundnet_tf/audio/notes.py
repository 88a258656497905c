"""What a user should know about a file that was read: what of it is missing, or was filled with silence."""

import dataclasses
import os
from collections.abc import Callable, Iterable, Sequence

from soundnet_tf.errors import BadAudio


@dataclasses.dataclass(frozen=True)
class Note:
    """One finding: `what`, where in the decoded sound, and how much, both in seconds; 0 if it is not known.

    `filled` where silence of this length stands at that place. Not `incomplete` is what only helps to understand the
    result.
    """

    what: str
    at_s: float = 0.0
    seconds: float = 0.0
    filled: bool = False
    incomplete: bool = True


Report = Callable[[Note], None]


class Incomplete(BadAudio):
    """A file that is not complete, where only complete ones are wanted."""


def accept(note: Note) -> None:
    """The check of files that need not be complete."""


def refuse(note: Note) -> None:
    """The check of `strict`: raise Incomplete for anything missing."""
    if note.incomplete:
        raise Incomplete(f'incomplete: {lines([note])[0]}. Copy or download it again, or read it without --strict')


def check_of(strict: bool) -> Report:
    """The check for files that must be complete, or need not."""
    return refuse if strict else accept


def of(sound: object) -> Sequence[Note]:
    """The notes on a sound that was read, if it came from a file."""
    return getattr(sound, 'notes', ())


def lines(notes: Iterable[Note]) -> list[str]:
    """Notes as text, alike ones in one line, with the first place and the total."""
    groups: dict[str, list[Note]] = {}
    for note in notes:
        groups.setdefault(note.what, []).append(note)
    return [_line(what, group) for what, group in groups.items()]


def _line(what: str, group: list[Note]) -> str:
    total = sum(note.seconds for note in group)
    parts, first = [f'{total:,.2f} s'] if total else [], group[0]
    if first.at_s or total:
        parts.append(
            f'at {first.at_s:,.2f} s' if len(group) == 1 else f'{len(group)} times from {first.at_s:,.2f} s on'
        )
    return f'{what} ({", ".join(parts)})' if parts else what


def log(path: str | os.PathLike[str], notes: Sequence[Note]) -> None:
    """Log them as warnings, where nothing else shows them."""
    for line in lines(notes):
        from absl import logging

        logging.warning('%s: %s', os.fspath(path), line)
