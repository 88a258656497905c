"""One file comes through HTTP, in as many pieces as it takes."""

import dataclasses
import os
import pathlib
import re
import time
from collections.abc import Callable
from typing import IO, Any

import requests

from soundnet_tf.web.client import ERRORS, Again, Client, Refused, times

CHUNK_BYTES = 1 << 18


@dataclasses.dataclass(frozen=True)
class Limits:
    """When to give a file up."""

    tries: int
    """That bring no byte more than those before them, in a row."""
    longest_s: float
    most_bytes: int


class Download:
    """One file on its way: what `file`, open for appending, holds already is gone on with.

    That is done only where the server says that the file is still the same: its ETag, or its
    Last-Modified, lies in the file `tag` meanwhile. `tell` hears of each piece how many bytes there are,
    and how many there will be.
    """

    def __init__(
        self,
        url: str,
        file: IO[bytes],
        tag: pathlib.Path,
        client: Client,
        limits: Limits,
        tell: Callable[[int, int | None], None] = lambda held, total: None,
    ):
        self._url, self._file, self._tag, self._client, self._limits = url, file, tag, client, limits
        self._tell = tell
        self._until = time.monotonic() + limits.longest_s
        self._total: int | None = None

    def run(self) -> None:
        """Until the file is whole. Raises Refused, or the last Again."""
        furthest, tried = self._held, 0
        while True:
            try:
                return self._once()
            except Again as again:
                # Who gets on, however slowly, is not sent away.
                tried = 1 if self._held > furthest else tried + 1
                furthest = max(furthest, self._held)
                wait_s = max(again.wait_s, self._client.backoff_s(tried))
                too_long = time.monotonic() + wait_s > self._until
                if too_long or tried >= self._limits.tries:
                    later = f'; it may be asked again in {again.wait_s:,.0f} s' if too_long and again.wait_s else ''
                    raise Again(f'{again}{times(tried)}{later}') from None
                self._client.pause(wait_s)

    @property
    def _held(self) -> int:
        return self._file.seek(0, os.SEEK_END)

    def _once(self) -> None:
        tag = self._tag.read_text('latin-1') if self._tag.exists() else ''
        held = self._held if tag else 0
        # Compressed, the bytes of a part would not fit those of another.
        headers = {'Accept-Encoding': 'identity'}
        if held:
            headers |= {'Range': f'bytes={held}-', 'If-Range': tag}
        expected = (200, 206, 416) if held else (200,)
        with self._client.ask('GET', self._url, expected, headers=headers, stream=True) as response:
            if response.status_code == 200:
                self._begin(response.headers)
            else:
                self._go_on(response, held, tag)
            if response.status_code != 416:
                self._check(response.headers)
                self._read(response.raw)

    def _go_on(self, response: requests.Response, held: int, tag: str) -> None:
        """From where the file ends now. Raises Again if what is there is of no use."""
        start, total = _range(response.headers.get('Content-Range', ''))
        # The range does not exist if a run was stopped between the last byte and the renaming.
        whole = response.status_code == 416 and total == held
        # Some servers send a range whatever If-Range says.
        now = response.headers.get('ETag' if tag.startswith('"') else 'Last-Modified', tag)
        if not (start == held or whole) or now != tag or (self._total or total) != (total or self._total):
            self._forget()
            raise Again('the file changed on the server')
        self._total = total or self._total

    def _begin(self, headers: Any) -> None:
        """The file from its first byte."""
        self._forget()
        tag = headers.get('ETag', '')
        # Only a strong ETag says that the bytes are the same.
        self._tag.write_text(tag if tag.startswith('"') else headers.get('Last-Modified', ''), 'latin-1')
        length = headers.get('Content-Length', '')
        self._total = int(length) if length.isdecimal() else None

    def _forget(self) -> None:
        # First the bytes, then what says whose they are: in this order nothing false is ever there.
        self._file.truncate(0)
        self._tag.unlink(missing_ok=True)
        self._total = None

    def _check(self, headers: Any) -> None:
        if re.match(r'text/html|application/xhtml', headers.get('Content-Type', '').strip(), re.IGNORECASE):
            raise Refused('an HTML page came instead of the file')
        if re.search('gzip|deflate|br|zstd|compress', headers.get('Content-Encoding', ''), re.IGNORECASE):
            raise Refused(f'it comes compressed ({headers["Content-Encoding"]}), unasked')
        self._check_size(self._total or 0)

    def _check_size(self, size: int) -> None:
        if size > self._limits.most_bytes:
            raise Refused(f'it has {size:,} bytes, and {self._limits.most_bytes:,} are the most')

    def _read(self, body: Any) -> None:
        try:
            while chunk := body.read1(CHUNK_BYTES, decode_content=False):
                self._file.write(chunk)
                self._check_size(self._held)
                self._tell(self._held, self._total)
                self._client.pause(0)
                if time.monotonic() > self._until:
                    raise Again(f'after {self._limits.longest_s:,g} s only {self._progress} have come')
        except ERRORS as error:
            failure = self._client.failure(error)
            if 'timed out' in str(failure):
                raise Again(f'{failure}, with {self._progress}') from None
            raise Again(f'the server broke off after {self._progress}') from None
        if self._total is not None and self._held < self._total:
            raise Again(f'the server broke off after {self._progress}')
        if self._total is not None and self._held > self._total:
            self._forget()
            raise Again('the server sent more than the file has')

    @property
    def _progress(self) -> str:
        return f'{self._held:,}{"" if self._total is None else f" of {self._total:,}"} bytes'


def _range(text: str) -> tuple[int | None, int | None]:
    """First byte and total of a Content-Range; None where it does not say."""
    found = re.match(r'bytes\s+(?:(\d+)-\d+|\*)/(?:(\d+)|\*)', text.strip(), re.IGNORECASE)
    return (int(found[1]) if found and found[1] else None, int(found[2]) if found and found[2] else None)
