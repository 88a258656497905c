"""Flickr's API: its licences, the videos that it finds for a word, and the addresses of their files.

Written from Flickr's documentation and tested with a small local server, never with Flickr itself.
"""

import contextlib
import dataclasses
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal

from soundnet_tf.errors import SoundNetError
from soundnet_tf.web import words
from soundnet_tf.web.client import Client, PermanentError, RetryableError, times

URL = 'https://api.flickr.com/services/rest/'
KEY = 'FLICKR_API_KEY'

PER_PAGE = 500
SERVED = 4000
"""Flickr returns this many results of a query; beyond them it repeats some."""
FIRST_UPLOAD = 1_075_593_600
"""February 2004: no upload is older than Flickr."""

SIDE = 240
"""Pixels of the shorter side that teachers need."""

Prefer = Literal['small', 'large']

# Flickr's error codes: the service is temporarily unavailable; the key or the call is wrong.
UNAVAILABLE = frozenset({0, 10, 105, 106})
INVALID_CALL = frozenset({*range(95, 101), 111, 112})

PHOTO = ('id', 'owner', 'ownername', 'title', 'tags', 'license')
"""What is used of a search's result."""

NO_SOURCE = 'no source'
NO_DOWNLOAD = 'not for download'


@dataclasses.dataclass(frozen=True)
class Licence:
    """`name` is short and the same for all versions, such as cc-by; `url` is that of the version."""

    name: str
    url: str


class Flickr:
    """A client of Flickr's API, one request at a time.

    Raises SoundNetError if Flickr cannot be used at all, PermanentError if this request fails.
    """

    def __init__(
        self,
        key: str,
        url: str = URL,
        *,
        per_hour: float = 3600.0,
        timeout_s: float = 30.0,
        tries: int = 10,
        backoff_s: float = 2.0,
    ):
        self._key, self._url, self._tries = key, url, tries
        self._client = Client(per_second=per_hour / 3600, timeout_s=timeout_s, backoff_s=backoff_s, secret=key)

    def licences(self) -> dict[str, Licence]:
        """Flickr's table of licences, by its numbers."""
        try:
            table = self._request('photos.licenses.getInfo', 'licenses')
            with _expected('its licences'):
                rows = [[self._client.said(str(row[key])) for key in ('id', 'name', 'url')] for row in table['license']]
        except PermanentError as refused:
            raise SoundNetError(f'{refused}. Check --api') from None
        return {id: Licence(short_name(name, url), url) for id, name, url in rows}

    def search(
        self, word: str, licences: Sequence[str], until: int, wanted: int | None = None
    ) -> Iterator[dict[str, str]]:
        """The videos that have a word in title, tags or description, most relevant first.

        If a query has more results than Flickr returns, the upload time up to `until` is split until each part
        fits, unless no more are `wanted`.
        """
        query = {
            'text': word,
            'media': 'videos',
            'license': ','.join(licences),
            'extras': 'license,owner_name,tags,media',
            'sort': 'relevance',
            'per_page': PER_PAGE,
        }
        return self._between(query, FIRST_UPLOAD, until, split=not wanted or wanted > SERVED)

    def source(self, id: str, prefer: Prefer = 'small') -> str:
        """The address of a video's file. Raises PermanentError with the reason if there is none."""
        try:
            sizes = self._request('photos.getSizes', 'sizes', photo_id=id)
        except PermanentError:
            raise PermanentError(NO_SOURCE) from None
        with _expected('the sizes of a video'):
            may_download = int(sizes.get('candownload', 1))
            source = choose(sizes['size'], prefer) if may_download else ''
        if not may_download:
            raise PermanentError(NO_DOWNLOAD)
        if not re.match('https?://', source) or words.discreet(source, self._key) != source:
            raise PermanentError(NO_SOURCE)
        return source

    def _between(self, query: dict[str, Any], first: int, last: int, *, split: bool) -> Iterator[dict[str, str]]:
        query = {**query, 'min_upload_date': first, 'max_upload_date': last}
        total, photos = self._page(query, 1)
        # A single second cannot be split.
        if split and total > SERVED and first < last:
            middle = (first + last) // 2
            yield from self._between(query, first, middle, split=True)
            yield from self._between(query, middle + 1, last, split=True)
            return
        yield from photos
        for number in range(2, -(-min(total, SERVED) // PER_PAGE) + 1):
            yield from self._page(query, number)[1]

    def _page(self, query: dict[str, Any], number: int) -> tuple[int, list[dict[str, str]]]:
        """The number of all results, and the videos of a page: texts, with an id and an owner."""
        page = self._request('photos.search', 'photos', **query, page=number)
        with _expected('a search'):
            return int(page['total'] or 0), [self._photo(photo) for photo in page['photo']]

    def _photo(self, photo: dict[str, Any]) -> dict[str, str]:
        texts = {name: words.discreet(str(photo[name] or ''), self._key) for name in PHOTO if name in photo}
        if not all(re.fullmatch(r'[\w@-]{1,64}', texts[name], re.ASCII) for name in ('id', 'owner')):
            raise ValueError('an id that is none')
        return texts

    def _request(self, method: str, kind: str, **arguments: Any) -> dict[str, Any]:
        tried = 0
        while True:
            try:
                return self._call(method, kind, arguments)
            except RetryableError as again:
                tried += 1
                if tried == self._tries:
                    raise SoundNetError(
                        f'Flickr: no answer ({again}{times(tried)}). '
                        'Run the same command again to resume: the videos found so far are saved'
                    ) from None
                self._client.pause(max(again.wait_s, self._client.backoff_s(tried)))

    def _call(self, method: str, kind: str, arguments: dict[str, Any]) -> dict[str, Any]:
        form = {'method': f'flickr.{method}', 'format': 'json', 'nojsoncallback': 1, 'api_key': self._key, **arguments}
        # The key is in the body, not in the address, so that it never appears in a log or an error.
        try:
            response = self._client.request('POST', self._url, data=form)
        except PermanentError as refused:
            address = words.discreet(self._url, self._key)
            raise SoundNetError(f'{address}: request failed ({refused}). Check --api') from None
        try:
            answer = response.json()
            failed = answer['stat'] != 'ok'
        except (ValueError, KeyError, TypeError, RecursionError):
            raise RetryableError('the answer is not JSON') from None
        with _expected(f'flickr.{method}'):
            if not failed:
                return dict(answer[kind])
            code, message = int(answer['code']), self._client.said(str(answer['message']))
        if code == 100:
            raise SoundNetError(f'Flickr: the key in {KEY} is rejected ({message}). Check the key')
        if code in INVALID_CALL:
            raise SoundNetError(f'Flickr: {message} (code {code})')
        if code in UNAVAILABLE:
            raise RetryableError(message)
        raise PermanentError(f'Flickr: {message} (code {code})')


@contextlib.contextmanager
def _expected(what: str) -> Iterator[None]:
    """Turn what JSON of another form raises into PermanentError."""
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        # Not its text, which may be the server's.
        raise PermanentError(f'Flickr: its answer for {what} has an unexpected form ({type(error).__name__})') from None


def key() -> str:
    """The key in the environment. Raises SoundNetError if there is none."""
    found = os.environ.get(KEY, '').strip()
    if not found:
        raise SoundNetError(
            f'{KEY}: not set. Get a key from https://www.flickr.com/services/apps/create/ and export it'
        )
    return found


def short_name(name: str, url: str) -> str:
    """The short name of a licence in Flickr's table."""
    if found := re.search(r'creativecommons\.org/licenses/([a-z-]+)/', url):
        return f'cc-{found[1]}'
    known = {
        'publicdomain/zero': 'cc0',
        'publicdomain/mark': 'pdm',
        '/commons/usage': 'none-known',
        'usa.gov': 'us-gov',
    }
    return next((short for part, short in known.items() if part in url), re.sub(r'\W+', '-', name.strip().lower()))


def choose(sizes: Iterable[dict[str, Any]], prefer: Prefer = 'small') -> str:
    """The address of one of a video's files.

    small: the smallest with enough pixels on the shorter side for teachers. large: the largest, the original
    if Flickr offers it.
    """
    films = [size for size in sizes if size['media'] == 'video' and size['label'] != 'Video Player' and size['source']]
    if not films:
        raise PermanentError(NO_SOURCE)
    large_enough = [film for film in films if _side(film) >= SIDE and film['label'] != 'Video Original']
    if prefer == 'small' and large_enough:
        return min(large_enough, key=_side)['source']
    return max(films, key=lambda film: (_side(film), film['label'] == 'Video Original'))['source']


def _side(film: dict[str, Any]) -> int:
    """The shorter side in pixels; Flickr returns numbers, numbers as text, or nothing."""
    return min(int(film.get('width') or 0), int(film.get('height') or 0))
