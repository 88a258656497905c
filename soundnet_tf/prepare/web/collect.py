"""Words become a manifest: the videos that Flickr finds for them, with licences and owners.

So the paper's two million videos were found, by popular tags and the words of dictionaries.

The manifest appears whole, at the end. A journal beside it, OUT.journal, remembers each step, so that a
stopped run goes on; it stays, so that a finished manifest can be given more words.
"""

import dataclasses
import os
import pathlib
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from tqdm import tqdm

from soundnet_tf.errors import SoundNetError
from soundnet_tf.prepare.web.flickr import Flickr, Licence, Prefer
from soundnet_tf.prepare.web.journal import COLUMNS, Journal
from soundnet_tf.web.client import Refused

OTHER_LICENCE = 'licence'


@dataclasses.dataclass
class Report:
    """What a manifest holds, and from how many of the words."""

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
    most: int | None = None,
    most_per_word: int | None = None,
) -> Report:
    """Write the manifest `out` of the videos that Flickr finds for the words, of these licences only.

    Stops after `most` videos. Raises SoundNetError where `out` was begun with other settings, and
    where Flickr answers nothing any more; what was found until then is remembered.
    """
    # Before anything is written: a mistake leaves nothing behind.
    allowed = _allowed(flickr.licences(), licences)
    settings = {'licences': sorted(licences), 'prefer': prefer, 'most_per_word': most_per_word}
    failed = {}
    with Journal(pathlib.Path(out), settings) as journal:
        with tqdm(words, unit='word', desc='collecting') as bar:
            for word in bar:
                if most and journal.videos >= most:
                    break
                try:
                    for videos in _collect_word(word, journal, flickr, allowed, prefer, most, most_per_word):
                        bar.set_postfix(videos=videos, refresh=videos % 10 == 0)
                except Refused as refused:
                    tqdm.write(f'{word}: {refused}', file=sys.stderr)
                    failed[word] = str(refused)
        journal.write_manifest()
        finished = sum(word in journal.words for word in words)
        return Report(out, journal.videos, finished, len(words), journal.skipped, failed)


def _allowed(table: Mapping[str, Licence], names: Sequence[str]) -> dict[str, Licence]:
    """The rows of Flickr's table that have one of the short names; `all` is every one."""
    known = {licence.name for licence in table.values()}
    if unknown := set(names) - known - {'all'}:
        raise SoundNetError(f'Flickr has no licence {min(unknown)!r}: choose among {", ".join(sorted(known))}, or all')
    return {number: licence for number, licence in table.items() if 'all' in names or licence.name in names}


def _collect_word(
    word: str,
    journal: Journal,
    flickr: Flickr,
    allowed: Mapping[str, Licence],
    prefer: Prefer,
    most: int | None,
    most_per_word: int | None,
) -> Iterator[int]:
    """Gives after each new video how many there are by now."""
    if word in journal.words:
        return
    duplicates = 0
    for photo in flickr.search(word, list(allowed), journal.until, most_per_word):
        if most_per_word and journal.found[word] >= most_per_word:
            break
        if most and journal.videos >= most:
            return
        id, licence = photo['id'], allowed.get(str(photo.get('license')))
        if id in journal.seen:
            # What a stopped run had found for this same word is none.
            duplicates += journal.seen[id] != word
        elif licence is None:
            journal.note(skipped=id, query=word, reason=OTHER_LICENCE)
        else:
            try:
                journal.note(video=_row(photo, flickr.source(id, prefer), licence, word))
                yield journal.videos
            except Refused as refused:
                journal.note(skipped=id, query=word, reason=str(refused))
    journal.note(finished=word, duplicates=duplicates)


def _row(photo: Mapping[str, Any], source: str, licence: Licence, word: str) -> dict[str, str]:
    """The line of a video in the manifest."""
    page = f'https://www.flickr.com/photos/{photo["owner"]}/{photo["id"]}/'
    about = (photo.get('ownername') or photo['owner'], photo.get('title', ''), page, photo.get('tags', ''), word)
    cells = (photo['id'], source, licence.name, licence.url, *about)
    return dict(zip(COLUMNS, (' '.join(str(cell).split()) for cell in cells), strict=True))


def read_words(arguments: Iterable[str]) -> list[str]:
    """Words, and those of files that are named, one to a line, with # before comments; each comes once."""
    words: dict[str, str] = {}
    for argument in arguments:
        lines = [argument]
        if os.path.isfile(argument):
            try:
                text = pathlib.Path(argument).read_text(encoding='utf-8-sig')
            except UnicodeDecodeError:
                raise SoundNetError(f'{argument} is no text in UTF-8: a file of words has one on each line') from None
            lines = [line.partition('#')[0] for line in text.splitlines()]
        for word in (' '.join(line.split()) for line in lines):
            if word:
                words.setdefault(word.casefold(), word)
    if not words:
        raise SoundNetError('name words to search for, or files that hold them')
    return list(words.values())
