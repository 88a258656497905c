"""What is asked of Flickr: its licences, the videos that it finds for a word, and where their files lie.

Written after Flickr's documentation and tested against a small server made for it; never run against
Flickr itself.
"""

import dataclasses
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal

from soundnet_tf.errors import SoundNetError
from soundnet_tf.web.client import Again, Client, Refused, times

URL = 'https://api.flickr.com/services/rest/'
KEY = 'FLICKR_API_KEY'

PER_PAGE = 500
SERVED = 4000
"""Of what a query finds, Flickr serves so many; what lies behind comes as repetitions."""
BEGAN = 1_075_593_600
"""February 2004: no upload is older than Flickr."""

SIDE = 240
"""Pixels of the shorter side that a teacher wants to see."""

Prefer = Literal['small', 'large']

# Flickr's error codes: the service is away for a moment; the key or the call is wrong, whatever is asked.
AWAY = frozenset({0, 10, 105, 106})
HOPELESS = frozenset({*range(95, 101), 111, 112})

NO_SOURCE = 'no source'
NO_DOWNLOAD = 'not for download'


@dataclasses.dataclass(frozen=True)
class Licence:
    """`name` is short and the same for all versions, as cc-by; `url` says which it is."""

    name: str
    url: str


class Flickr:
    """The questions that are asked of Flickr, one after the other.

    Raises SoundNetError where no answer is to be had for anything, Refused where this question has none.
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
        self._client = Client(per_second=per_hour / 3600, timeout_s=timeout_s, backoff_s=backoff_s)

    def licences(self) -> dict[str, Licence]:
        """Flickr's table of licences, by its numbers."""
        table = self._ask('photos.licenses.getInfo', 'licenses')['license']
        return {str(row['id']): Licence(short_name(row['name'], row['url']), row['url']) for row in table}

    def search(self, word: str, licences: Sequence[str], until: int, wanted: int | None = None) -> Iterator[dict]:
        """The videos that have a word in title, tags or description, most relevant first.

        What is more than Flickr serves of one query is asked for by parts of the time up to `until`, in
        which each fits, unless no more are `wanted`.
        """
        asked = {
            'text': word,
            'media': 'videos',
            'license': ','.join(licences),
            'extras': 'license,owner_name,tags,media',
            'sort': 'relevance',
            'per_page': PER_PAGE,
        }
        return self._between(asked, BEGAN, until, split=not wanted or wanted > SERVED)

    def source(self, id: str, prefer: Prefer = 'small') -> str:
        """The address of a video's file. Raises Refused with the reason, as it is counted, if there is none."""
        try:
            sizes = self._ask('photos.getSizes', 'sizes', photo_id=id)
        except Refused:
            raise Refused(NO_SOURCE) from None
        if not int(sizes.get('candownload', 1)):
            raise Refused(NO_DOWNLOAD)
        return choose(sizes['size'], prefer)

    def _between(self, asked: dict[str, Any], first: int, last: int, *, split: bool) -> Iterator[dict]:
        dates = {'min_upload_date': first, 'max_upload_date': last}
        page = self._ask('photos.search', 'photos', **asked, **dates, page=1)
        total = int(page['total'] or 0)
        # So many within a single second nobody can ask for.
        if split and total > SERVED and first < last:
            middle = (first + last) // 2
            yield from self._between(asked, first, middle, split=True)
            yield from self._between(asked, middle + 1, last, split=True)
            return
        yield from page['photo']
        for number in range(2, -(-min(total, SERVED) // PER_PAGE) + 1):
            yield from self._ask('photos.search', 'photos', **asked, **dates, page=number)['photo']

    def _ask(self, method: str, kind: str, **asked: Any) -> dict[str, Any]:
        tried = 0
        while True:
            try:
                return self._once(method, kind, asked)
            except Again as again:
                tried += 1
                if tried == self._tries:
                    raise SoundNetError(
                        f'Flickr does not answer ({again}{times(tried)}); what was found is noted: '
                        'give the same command again to go on'
                    ) from None
                self._client.pause(max(again.wait_s, self._client.backoff_s(tried)))

    def _once(self, method: str, kind: str, asked: dict[str, Any]) -> dict[str, Any]:
        form = {'method': f'flickr.{method}', 'format': 'json', 'nojsoncallback': 1, 'api_key': self._key, **asked}
        # In the body, not in the address, the key comes into nobody's log or error.
        try:
            response = self._client.ask('POST', self._url, data=form)
        except Refused as refused:
            raise SoundNetError(f'{self._url} gives no answers: {refused}') from None
        try:
            answer = response.json()
            if answer['stat'] == 'ok':
                return answer[kind]
            code, message = int(answer['code']), str(answer['message']).replace(self._key, '...')
        except (ValueError, KeyError, TypeError):
            raise Again('no answer in JSON') from None
        if code == 100:
            raise SoundNetError(f'Flickr does not take the key in {KEY}: {message}')
        if code in HOPELESS:
            raise SoundNetError(f'Flickr says: {message} (code {code})')
        raise Again(f'it says: {message}') if code in AWAY else Refused(f'Flickr says: {message} (code {code})')


def key() -> str:
    """The key of the user's environment. Raises SoundNetError where there is none."""
    found = os.environ.get(KEY, '').strip()
    if not found:
        raise SoundNetError(
            f'{KEY} is not set in the environment: Flickr gives keys at https://www.flickr.com/services/apps/create/'
        )
    return found


def short_name(name: str, url: str) -> str:
    """What a licence of Flickr's table is called here."""
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

    small: the smallest whose shorter side has as many pixels as teachers look at; of 20 s of sound and
    four small frames, a larger one would only cost time. large: the largest, the original if it is given.
    """
    films = [size for size in sizes if size['media'] == 'video' and size['label'] != 'Video Player' and size['source']]
    if not films:
        raise Refused(NO_SOURCE)
    large_enough = [film for film in films if _side(film) >= SIDE and film['label'] != 'Video Original']
    if prefer == 'small' and large_enough:
        return min(large_enough, key=_side)['source']
    return max(films, key=lambda film: (_side(film), film['label'] == 'Video Original'))['source']


def _side(film: dict[str, Any]) -> int:
    """The shorter side in pixels; Flickr gives numbers, numbers as text, and nothing."""
    return min(int(film.get('width') or 0), int(film.get('height') or 0))
