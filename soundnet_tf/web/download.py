"""Download one file through HTTP; interrupted downloads resume."""

import dataclasses
import os
import pathlib
import re
import time
from collections.abc import Callable
from typing import IO, Any

import requests

from soundnet_tf import storage
from soundnet_tf.web import words
from soundnet_tf.web.client import ERRORS, Client, PermanentError, RetryableError, times

CHUNK_BYTES = 1 << 18
MAX_BYTES = (1 << 63) - 1


@dataclasses.dataclass(frozen=True)
class Limits:
    """When to stop trying."""

    tries: int
    """In a row without a new byte."""
    max_s: float
    max_bytes: int


class Download:
    """Download to `file`, open for appending; what it already holds is resumed.

    It resumes only if the server confirms that the file is unchanged: the file `tag` keeps its ETag or
    Last-Modified until the end. `progress` is called with the bytes so far and the total, None if unknown.
    """

    def __init__(
        self,
        url: str,
        file: IO[bytes],
        tag: pathlib.Path,
        client: Client,
        limits: Limits,
        progress: Callable[[int, int | None], None] = lambda held, total: None,
    ):
        self._url, self._file, self._tag, self._client, self._limits = url, file, tag, client, limits
        self._report = progress
        self._until = time.monotonic() + limits.max_s
        self._total: int | None = None

    def run(self) -> None:
        """Download the whole file. Raises PermanentError, or the last RetryableError."""
        furthest, tried = self._held, 0
        while True:
            try:
                return self._once()
            except RetryableError as again:
                # Slow progress does not count as a failed try.
                tried = 1 if self._held > furthest else tried + 1
                furthest = max(furthest, self._held)
                wait_s = max(again.wait_s, self._client.backoff_s(tried))
                too_long = time.monotonic() + wait_s > self._until
                if too_long or tried >= self._limits.tries:
                    later = f'; retry after {again.wait_s:,.0f} s' if too_long and again.wait_s else ''
                    raise RetryableError(f'{again}{times(tried)}{later}') from None
                self._client.pause(wait_s)

    @property
    def _held(self) -> int:
        return self._file.seek(0, os.SEEK_END)

    def _once(self) -> None:
        tag = self._tag.read_text('latin-1') if self._tag.exists() else ''
        held = self._held if tag else 0
        # Ranges of a compressed response cannot be joined.
        headers = {'Accept-Encoding': 'identity'}
        if held:
            headers |= {'Range': f'bytes={held}-', 'If-Range': tag}
        expected = (200, 206, 416) if held else (200,)
        with self._client.request('GET', self._url, expected, headers=headers, stream=True) as response:
            if response.status_code == 200:
                self._begin(response.headers)
            else:
                self._resume(response, held, tag)
            if response.status_code != 416:
                self._check(response.headers)
                self._read(response.raw)

    def _resume(self, response: requests.Response, held: int, tag: str) -> None:
        """Append to the file. Raises RetryableError if what it holds does not match."""
        start, total = _range(response.headers.get('Content-Range', ''))
        # The range is empty if a run was stopped between the last byte and the renaming.
        whole = response.status_code == 416 and total == held
        # Some servers ignore If-Range.
        now = response.headers.get('ETag' if tag.startswith('"') else 'Last-Modified', tag)
        if not (start == held or whole) or now != tag or (self._total or total) != (total or self._total):
            self._discard()
            raise RetryableError('the file changed on the server')
        self._total = total or self._total

    def _begin(self, headers: Any) -> None:
        """Start from the first byte."""
        self._discard()
        tag = headers.get('ETag', '')
        # Only a strong ETag guarantees equal bytes.
        self._tag.write_text(tag if tag.startswith('"') else headers.get('Last-Modified', ''), 'latin-1')
        self._total = _count(headers.get('Content-Length', ''))

    def _discard(self) -> None:
        # First the bytes, then the tag, so that the tag never belongs to other bytes.
        self._file.truncate(0)
        self._tag.unlink(missing_ok=True)
        self._total = None

    def _check(self, headers: Any) -> None:
        if re.match(r'text/html|application/xhtml', headers.get('Content-Type', '').strip(), re.IGNORECASE):
            raise PermanentError('the server sent an HTML page instead of the file')
        if re.search('gzip|deflate|br|zstd|compress', headers.get('Content-Encoding', ''), re.IGNORECASE):
            raise PermanentError(
                f'the server compressed it ({words.said(headers["Content-Encoding"])}), which was not requested'
            )
        self._check_size(self._total or 0)

    def _check_size(self, size: int) -> None:
        if size > self._limits.max_bytes:
            raise PermanentError(f'{size:,} bytes, more than the limit of {self._limits.max_bytes:,}')

    def _read(self, body: Any) -> None:
        try:
            while chunk := body.read1(CHUNK_BYTES, decode_content=False):
                self._file.write(chunk)
                self._check_size(self._held)
                self._report(self._held, self._total)
                self._client.pause(0)
                if time.monotonic() > self._until:
                    raise RetryableError(f'only {self._progress} in {self._limits.max_s:,g} s')
        except ERRORS as error:
            failure = self._client.failure(error)
            if 'timed out' in str(failure):
                raise RetryableError(f'{failure}, with {self._progress}') from None
            raise RetryableError(f'the connection was closed after {self._progress}') from None
        if self._total is not None and self._held < self._total:
            raise RetryableError(f'the connection was closed after {self._progress}')
        if self._total is not None and self._held > self._total:
            self._discard()
            raise RetryableError('the server sent more bytes than announced')

    @property
    def _progress(self) -> str:
        return f'{self._held:,}{"" if self._total is None else f" of {self._total:,}"} bytes'


def whole_file(
    target: pathlib.Path,
    fill: Callable[[IO[bytes], pathlib.Path, pathlib.Path], None],
    pause: Callable[[float], object] = time.sleep,
) -> None:
    """Make the file `target` unless it exists, by one process at a time: others wait, see `storage.in_turn`.

    `fill(file, draft, tag)` downloads to TARGET.part, open for appending, which is renamed at the end. If it raises,
    this and TARGET.tag stay, for another run to resume.
    """
    if target.exists():
        return
    with storage.in_turn(target, pause):
        # Another run may have finished the file in the meantime.
        if not target.exists():
            draft, tag = (target.with_name(target.name + suffix) for suffix in ('.part', '.tag'))
            with draft.open('ab') as file:
                fill(file, draft, tag)
            os.replace(draft, target)
            tag.unlink(missing_ok=True)


def _range(text: str) -> tuple[int | None, int | None]:
    """First byte and total of a Content-Range; None if missing."""
    found = re.fullmatch(r'bytes\s+(?:(\d+)-\d+|\*)/(?:(\d+)|\*)', text.strip(), re.IGNORECASE)
    return (_count(found[1] or ''), _count(found[2] or '')) if found else (None, None)


def _count(text: str) -> int | None:
    """A number of bytes; None for anything else. More digits than any file has are the largest number."""
    digits = re.fullmatch('[0-9]+', text.strip())
    return min(int(digits[0][:20]), MAX_BYTES) if digits else None
