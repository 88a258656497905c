"""The videos found so far, one line of JSON per step, beside the manifest."""

import collections
import csv
import io
import json
import pathlib
import time
from collections.abc import Iterator, Mapping
from typing import Any

from soundnet_tf import storage
from soundnet_tf.errors import SoundNetError
from soundnet_tf.prepare import cells

COLUMNS = ('id', 'path', 'licence', 'licence_url', 'owner', 'title', 'page', 'tags', 'query')
"""Of the manifest; soundnet-prepare reads the first two, the others are for users."""
DUPLICATE = 'duplicate'
AGAIN = 'Remove it to start over'


class Journal:
    """The journal of the manifest `out`; a step whose line is incomplete is repeated."""

    def __init__(self, out: pathlib.Path, settings: Mapping[str, Any]):
        """Start a journal, or resume the existing one. Raises SoundNetError if it is locked, damaged or different."""
        self.until, self.videos = int(time.time()), 0
        self.seen: dict[str, str] = {}
        """Every video seen, and the word that found it."""
        self.found: collections.Counter[str] = collections.Counter()
        """Videos of each word."""
        self.words: set[str] = set()
        """The finished ones."""
        self.skipped: collections.Counter[str] = collections.Counter()
        self._settings, self._out = dict(settings), out
        self._path = out.with_name(out.name + '.journal')
        if out.exists() and not self._path.exists():
            raise SoundNetError(f'{out}: exists without its {self._path.name}. Use another --out')
        storage.make_folder(out.parent)
        self._file = self._path.open('a+b')
        if not storage.lock(self._file):
            raise storage.in_use(out)
        self._load()

    def note(self, **entry: Any) -> None:
        """Record a step, on disk first."""
        self._file.write(json.dumps(entry).encode() + b'\n')
        self._file.flush()
        self._take(entry)

    def write_manifest(self) -> None:
        with storage.whole_file(self._out) as file:
            # Lone surrogates, which JSON allows and UTF-8 does not, become question marks.
            text = io.TextIOWrapper(file, 'utf-8', errors='replace', newline='')
            writer = csv.DictWriter(text, COLUMNS)
            writer.writeheader()
            rows = (entry['video'] for entry in self._entries() if 'video' in entry)
            writer.writerows({column: cells.neutral(cell) for column, cell in row.items()} for row in rows)
            text.detach()

    def __enter__(self) -> 'Journal':
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def _load(self) -> None:
        for number, entry in enumerate(self._entries(), 1):
            with storage.readable(self._where(number), AGAIN):
                self._take(entry)
        if not self._file.tell():
            self.note(settings=self._settings, until=self.until)

    def _entries(self) -> Iterator[dict[str, Any]]:
        self._file.seek(0)
        whole = 0
        for number, line in enumerate(self._file, 1):
            if not line.endswith(b'\n'):
                break  # a run was stopped while writing this line
            entry = storage.parse_json(line, self._where(number), AGAIN)
            whole += len(line)
            yield entry
        self._file.truncate(whole)
        self._file.seek(whole)

    def _where(self, line: int) -> str:
        return f'{self._path}: line {line}'

    def _take(self, entry: Mapping[str, Any]) -> None:
        if 'video' in entry:
            row = {column: str(entry['video'][column]) for column in COLUMNS}
            self.seen[row['id']] = row['query']
            self.found[row['query']] += 1
            self.videos += 1
        elif 'skipped' in entry:
            self.seen[entry['skipped']] = entry['query']
            self.skipped[entry['reason']] += 1
        elif 'finished' in entry:
            self.words.add(entry['finished'])
            self.skipped += collections.Counter({DUPLICATE: entry['duplicates']})
        else:
            self.until = entry['until']
            storage.check_same(self._out, entry['settings'], self._settings)
