"""Collect videos from Flickr by keyword into a manifest, with licences and owners.

The paper found its two million videos like this, by popular tags and dictionary words.

The manifest is written at the end. A journal beside it, OUT.journal, records each step, so that a
stopped run resumes; it is kept, so that words can be added to a finished manifest.
"""

import dataclasses
import os
import pathlib
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from tqdm import tqdm

from soundnet_tf import progress, storage
from soundnet_tf.errors import SoundNetError
from soundnet_tf.prepare.web.flickr import Flickr, Licence, Prefer
from soundnet_tf.prepare.web.journal import COLUMNS, Journal
from soundnet_tf.web.client import PermanentError

OTHER_LICENCE = 'licence'


@dataclasses.dataclass
class Report:
    """The number of videos and finished words, and what was skipped or failed."""

    out: str
    videos: int
    words: int
    of_words: int
    skipped: Mapping[str, int]
    failed: Mapping[str, str]

    def __str__(self) -> str:
        of = '' if self.words == self.of_words else f'{self.words} of '
        line = f'{_many(self.videos, "video")} from {of}{_many(self.of_words, "word")} in {self.out}'
        if self.skipped:
            counts = sorted(self.skipped.items(), key=lambda item: -item[1])
            line += f'; {sum(self.skipped.values())} skipped: ' + ', '.join(f'{n} {reason}' for reason, n in counts)
        return line + (f'; {_many(len(self.failed), "word")} failed' if self.failed else '')


def _many(count: int, what: str) -> str:
    return f'{count} {what}' if count == 1 else f'{count} {what}s'


def collect(
    words: Sequence[str],
    out: str,
    flickr: Flickr,
    licences: Sequence[str],
    *,
    prefer: Prefer = 'small',
    max_videos: int | None = None,
    max_per_word: int | None = None,
) -> Report:
    """Write the manifest `out` of the videos that Flickr finds for the words, with these licences only.

    Stops after `max_videos` videos. Raises SoundNetError if `out` was started with other settings, and if
    Flickr stops answering; what was found until then is saved.
    """
    # Before anything is written, so that an error leaves no file.
    allowed = _allowed(flickr.licences(), licences)
    settings = {'licences': sorted(licences), 'prefer': prefer, 'max_per_word': max_per_word}
    failed = {}
    with Journal(pathlib.Path(out), settings) as journal:
        with progress.bar(words, unit='word', desc='collecting', keep=True) as bar:
            for word in bar:
                if max_videos and journal.videos >= max_videos:
                    break
                try:
                    for videos in _collect_word(word, journal, flickr, allowed, prefer, max_videos, max_per_word):
                        bar.set_postfix(videos=videos, refresh=videos % 10 == 0)
                except PermanentError as refused:
                    tqdm.write(f'{word}: {refused}', file=sys.stderr)
                    failed[word] = str(refused)
        journal.write_manifest()
        finished = sum(word in journal.words for word in words)
        return Report(out, journal.videos, finished, len(words), journal.skipped, failed)


def _allowed(table: Mapping[str, Licence], names: Sequence[str]) -> dict[str, Licence]:
    """The rows of Flickr's table with one of the short names; `all` selects every one."""
    known = {licence.name for licence in table.values()}
    if unknown := set(names) - known - {'all'}:
        raise SoundNetError(f'unknown licence {min(unknown)!r}. Use {", ".join(sorted(known))}, or all')
    return {number: licence for number, licence in table.items() if 'all' in names or licence.name in names}


def _collect_word(
    word: str,
    journal: Journal,
    flickr: Flickr,
    allowed: Mapping[str, Licence],
    prefer: Prefer,
    max_videos: int | None,
    max_per_word: int | None,
) -> Iterator[int]:
    """Yields the number of videos after each new one."""
    if word in journal.words:
        return
    duplicates = 0
    for photo in flickr.search(word, list(allowed), journal.until, max_per_word):
        if max_per_word and journal.found[word] >= max_per_word:
            break
        if max_videos and journal.videos >= max_videos:
            return
        id, licence = photo['id'], allowed.get(str(photo.get('license')))
        if id in journal.seen:
            # A video that a stopped run found for the same word is not a duplicate.
            duplicates += journal.seen[id] != word
        elif licence is None:
            journal.note(skipped=id, query=word, reason=OTHER_LICENCE)
        else:
            try:
                journal.note(video=_row(photo, flickr.source(id, prefer), licence, word))
                yield journal.videos
            except PermanentError as refused:
                journal.note(skipped=id, query=word, reason=str(refused))
    journal.note(finished=word, duplicates=duplicates)


def _row(photo: Mapping[str, Any], source: str, licence: Licence, word: str) -> dict[str, str]:
    """The line of a video in the manifest."""
    page = f'https://www.flickr.com/photos/{photo["owner"]}/{photo["id"]}/'
    about = (photo.get('ownername') or photo['owner'], photo.get('title', ''), page, photo.get('tags', ''), word)
    cells = (photo['id'], source, licence.name, licence.url, *about)
    return dict(zip(COLUMNS, (' '.join(str(cell).split()) for cell in cells), strict=True))


def read_words(arguments: Iterable[str]) -> list[str]:
    """Unique words from arguments and from files, which have one per line and # before comments."""
    words: dict[str, str] = {}
    for argument in arguments:
        lines = [argument]
        if os.path.isfile(argument):
            text = storage.read_text(argument, 'Pass a text file with one word per line')
            lines = [line.partition('#')[0] for line in text.splitlines()]
        for word in (' '.join(line.split()) for line in lines):
            if word:
                words.setdefault(word.casefold(), word)
    if not words:
        raise SoundNetError('no words: pass words to search for, or files with one per line')
    return list(words.values())
