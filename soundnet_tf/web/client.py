"""HTTP requests at a limited rate, and readable errors."""

import re
import ssl
import threading
import time
from collections.abc import Collection, Iterator
from typing import Any

import requests
import urllib3.exceptions
from urllib3.util import Retry

from soundnet_tf.version import __version__
from soundnet_tf.web import words

USER_AGENT = f'soundnet_tf/{__version__} {requests.utils.default_user_agent()}'
TEMPORARY = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses that may be temporary."""
MAX_BACKOFF_S, MAX_WAIT_S = 60.0, 21_600.0
"""The longest wait between tries, and the longest that a server may request."""

ERRORS = (requests.RequestException, urllib3.exceptions.HTTPError)
"""What a request, or reading its response, may raise."""


class PermanentError(Exception):
    """The same request would fail again."""


class RetryableError(Exception):
    """The request may succeed later; the server asks to wait `wait_s` seconds."""

    def __init__(self, reason: str, wait_s: float = 0.0):
        super().__init__(reason)
        self.wait_s = wait_s


class Stopped(Exception):
    """The client was closed during a request."""


class Client:
    """Sends requests; safe to use from many threads.

    It sends up to `per_second` requests, over all threads. A server that is silent for `timeout_s` has
    failed. `close` wakes waiting threads, which then raise `Stopped`. No error holds `secret`, in whatever encoding a
    server sends it back.
    """

    def __init__(self, *, per_second: float, timeout_s: float, backoff_s: float = 1.0, secret: str = ''):
        self.timeout_s, self.secret = timeout_s, secret
        self._every_s, self._backoff_s = 1 / per_second, backoff_s
        self._lock, self._next = threading.Lock(), 0.0
        self._closed = threading.Event()
        # One session per thread: requests does not guarantee that threads may share one.
        self._sessions = threading.local()

    def turn(self) -> None:
        """Wait until the next request may be sent."""
        with self._lock:
            now = time.monotonic()
            at = max(now, self._next)
            self._next = at + self._every_s
        self.pause(at - now)

    def request(self, method: str, url: str, expected: Collection[int] = (200,), **options: Any) -> requests.Response:
        """The response, if its status is expected. Raises RetryableError or PermanentError."""
        if not re.match('https?://', url, re.IGNORECASE):
            raise PermanentError('not an address that starts with http:// or https://')
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
        status = self.said(f'HTTP {response.status_code} {response.reason or ""}')
        if response.status_code in TEMPORARY:
            raise RetryableError(status, _retry_after_s(response))
        raise PermanentError(status)

    def said(self, text: str) -> str:
        """A server's text for a message."""
        return words.said(text, self.secret)

    def failure(self, error: Exception) -> RetryableError | PermanentError:
        """The error to raise for an exception, without the address, which may contain a key."""
        causes = list(_causes(error))
        late = (requests.Timeout, urllib3.exceptions.TimeoutError)
        for cause in causes:
            if isinstance(cause, ssl.SSLCertVerificationError):
                return PermanentError(f'certificate not accepted ({self.said(cause.verify_message)})')
            # In urllib3, NewConnectionError is a subclass of a timeout.
            if isinstance(cause, late) and not isinstance(cause, urllib3.exceptions.NewConnectionError):
                return RetryableError(f'timed out after {self.timeout_s:g} s')
        if isinstance(error, requests.TooManyRedirects):
            return PermanentError('too many redirects')
        if isinstance(error, requests.exceptions.InvalidSchema):
            return PermanentError('redirected to an address that is not http:// or https://')
        # requests raises ValueError for invalid addresses.
        if isinstance(error, ValueError):
            return PermanentError('invalid address')
        reasons = [
            cause.strerror or str(cause)
            for cause in causes
            if isinstance(cause, OSError) and not isinstance(cause, requests.RequestException)
        ]
        return RetryableError(f'cannot be reached ({self.said(reasons[-1].lower()) if reasons else "no answer"})')

    def backoff_s(self, tried: int) -> float:
        """How long to wait after this many tries."""
        return min(self._backoff_s * 2 ** (tried - 1), MAX_BACKOFF_S)

    def pause(self, seconds: float) -> None:
        """Sleep; raises Stopped at once if the client is closed."""
        if self._closed.wait(max(seconds, 0)):
            raise Stopped

    def close(self) -> None:
        self._closed.set()


def times(count: int) -> str:
    """`, 3 times`; nothing for once."""
    return f', {count} times' if count > 1 else ''


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error and its causes: requests and urllib3 wrap each other's errors."""
    while error is not None:
        yield error
        inner = [getattr(error, 'reason', None), *error.args, error.__cause__, error.__context__]
        error = next((cause for cause in inner if isinstance(cause, BaseException)), None)


def _retry_after_s(response: requests.Response) -> float:
    """What the server requests, a number of seconds or a date, within reason."""
    text = response.headers.get('Retry-After', '0').strip()
    if text.isdecimal() and len(text) > 9:
        return MAX_WAIT_S
    try:
        return min(max(Retry().parse_retry_after(text), 0.0), MAX_WAIT_S)
    # The latter are of dates that no clock has.
    except (urllib3.exceptions.HTTPError, ValueError, OverflowError, TypeError, OSError):
        return 0.0
