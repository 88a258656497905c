"""Manners on the web: who asks, how often at most, and what went wrong in plain words."""

import ssl
import threading
import time
from collections.abc import Collection, Iterator
from typing import Any

import requests
import urllib3.exceptions
from urllib3.util import Retry

from soundnet_tf.version import __version__

USER_AGENT = f'soundnet_tf/{__version__} {requests.utils.default_user_agent()}'
PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses that may be different a little later."""
LONGEST_BACKOFF_S = 60.0

ERRORS = (requests.RequestException, urllib3.exceptions.HTTPError)
"""What may be raised while a server is asked, or while its answer is read."""


class Refused(Exception):
    """Asking again would bring the same answer."""


class Again(Exception):
    """It may work a little later; not before `wait_s` seconds, says the server."""

    def __init__(self, said: str, wait_s: float = 0.0):
        super().__init__(said)
        self.wait_s = wait_s


class Stopped(Exception):
    """The client was closed while it had work to do."""


class Client:
    """Asks servers; used by many threads at once.

    `per_second` requests are sent at most, over all threads. A server that says nothing for
    `timeout_s` has failed. `close` wakes and stops whoever is waiting.
    """

    def __init__(self, *, per_second: float, timeout_s: float, backoff_s: float = 1.0):
        self.timeout_s = timeout_s
        self._every_s, self._backoff_s = 1 / per_second, backoff_s
        self._lock, self._next = threading.Lock(), 0.0
        self._closed = threading.Event()
        # A session each: requests does not promise that threads may share one.
        self._sessions = threading.local()

    def turn(self) -> None:
        """Wait until the next request may be sent."""
        with self._lock:
            now = time.monotonic()
            at = max(now, self._next)
            self._next = at + self._every_s
        self.pause(at - now)

    def ask(self, method: str, url: str, expected: Collection[int] = (200,), **options: Any) -> requests.Response:
        """The answer, if its status is expected. Raises Again or Refused, and OSError for nothing but this machine."""
        self.turn()
        if not hasattr(self._sessions, 'one'):
            self._sessions.one = requests.Session()
            self._sessions.one.headers['User-Agent'] = USER_AGENT
        try:
            response = self._sessions.one.request(method, url, timeout=self.timeout_s, **options)
        except (*ERRORS, UnicodeError) as error:
            raise self.failure(error) from None
        if response.status_code in expected:
            return response
        response.close()
        said = f'HTTP {response.status_code} {response.reason or ""}'.strip()
        raise Again(said, _retry_after_s(response)) if response.status_code in PASSING else Refused(said)

    def failure(self, error: Exception) -> Again | Refused:
        """What an error means, in words that hold no address: there may be a key in it."""
        causes = list(_causes(error))
        late = (requests.Timeout, urllib3.exceptions.TimeoutError)
        for cause in causes:
            if isinstance(cause, ssl.SSLCertVerificationError):
                return Refused(f'its certificate is not accepted ({cause.verify_message})')
            # urllib3 has every failure to connect descend from its timeouts.
            if isinstance(cause, late) and not isinstance(cause, urllib3.exceptions.NewConnectionError):
                return Again(f'timed out after {self.timeout_s:g} s')
        if isinstance(error, requests.TooManyRedirects):
            return Refused('it is redirected without an end')
        # As requests has it: an address that cannot be asked is a ValueError too.
        if isinstance(error, ValueError):
            return Refused('its address cannot be asked')
        words = [
            cause.strerror or str(cause)
            for cause in causes
            if isinstance(cause, OSError) and not isinstance(cause, requests.RequestException)
        ]
        return Again(f'cannot be reached ({words[-1].lower() if words else "no answer"})')

    def backoff_s(self, tried: int) -> float:
        """How long to wait after so many tries."""
        return min(self._backoff_s * 2 ** (tried - 1), LONGEST_BACKOFF_S)

    def pause(self, seconds: float) -> None:
        """Sleep; raises Stopped at once if the client is closed."""
        if self._closed.wait(max(seconds, 0)):
            raise Stopped

    def close(self) -> None:
        self._closed.set()


def times(count: int) -> str:
    """`, 3 times`, where it was more than once."""
    return f', {count} times' if count > 1 else ''


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error and what lies behind it: requests and urllib3 wrap each other's."""
    while error is not None:
        yield error
        inner = [getattr(error, 'reason', None), *error.args, error.__cause__, error.__context__]
        error = next((cause for cause in inner if isinstance(cause, BaseException)), None)


def _retry_after_s(response: requests.Response) -> float:
    try:
        return Retry().parse_retry_after(response.headers.get('Retry-After', '0'))
    except urllib3.exceptions.HTTPError:
        return 0.0
