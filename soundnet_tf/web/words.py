"""What a server says, as it may be shown: one short line without control characters, and without a secret."""

import base64
import binascii
import codecs
import contextlib
import html
import itertools
import re
import unicodedata
import urllib.parse
from collections.abc import Iterator

from soundnet_tf import storage

SHOWN, CHECKED = 200, 20_000
"""Characters of a text that are shown, and in which a secret is searched for."""
WITHHELD = '(text withheld, since it contains the key)'

_DEPTH = 3
"""Encodings of encodings."""


def said(text: str, secret: str = '') -> str:
    """A server's text for a message: one line, escaped, cut."""
    line = storage.printable(' '.join(discreet(text[:CHECKED], secret).split()))
    return line if len(line) <= SHOWN else f'{line[: SHOWN - 3]}...'


def discreet(text: str, secret: str) -> str:
    """The text with `...` for the secret, or WITHHELD where it holds the secret in an encoded form."""
    if not secret:
        return text
    text = text.replace(secret, '...')
    return WITHHELD if _reveals(text, secret) else text


def _reveals(text: str, secret: str) -> bool:
    wanted = [form for form in (secret.lower(), _letters(secret)) if len(form) > 3]
    forms = seen = {text, *_undisguised(text)}
    for _ in range(_DEPTH + 1):
        if any(form in some for some in (_joined(forms), _letters(_joined(forms))) for form in wanted):
            return True
        forms = set(itertools.chain.from_iterable(map(_decoded, forms))) - seen
        seen = seen | forms
    return False


def _joined(texts: set[str]) -> str:
    return '\n'.join(texts).lower()


def _letters(text: str) -> str:
    """Without what may be between the characters of a secret."""
    return re.sub(r'[^0-9a-z\n]|(?<=\w)\n(?=\w)', '', text.lower())


def _decoded(text: str) -> Iterator[str]:
    """The text without one layer of percent, HTML, backslash, quoted-printable, base64 or hex encoding."""
    yield urllib.parse.unquote_plus(text, 'latin-1')
    yield html.unescape(text)
    yield re.sub(r'\\(?:u\{?|x|U0000)([0-9a-fA-F]{2,4})\}?|=([0-9a-fA-F]{2})', _character, text)
    yield re.sub(r'\\([0-7]{1,3})', lambda found: chr(int(found[1], 8)), text)
    yield text[::-1]
    compact = re.sub(r'\s', '', text)
    for run in re.findall(r'[0-9A-Za-z+/_-]{6,}', compact):
        for offset in range(4):
            some = run[offset:].translate({ord('-'): '+', ord('_'): '/'})
            yield base64.b64decode(some[: len(some) // 4 * 4]).decode('latin-1')
            # The end of a run without its padding.
            yield base64.b64decode(some + 'A' * (-len(some) % 4)).decode('latin-1')
    for run in re.findall(r'(?:[0-9a-fA-F]{2}[ :,-]?){4,}', text):
        digits = re.sub(r'[^0-9a-fA-F]', '', run)
        for some in (digits, digits[1:]):
            yield binascii.unhexlify(some[: len(some) // 2 * 2]).decode('latin-1')


def _undisguised(text: str) -> Iterator[str]:
    """The text without an encoding that is rarer: full-width letters, rot13, decimal codes, base32 or base85."""
    yield unicodedata.normalize('NFKC', text)
    yield codecs.encode(text, 'rot13')
    for run in re.findall(r'(?:\d{2,3}[ ,;:-]+){3,}\d{2,3}', text):
        yield ''.join(chr(int(number)) for number in re.findall(r'\d+', run))
    for run in re.findall(r'[2-7A-Za-z]{8,}', text):
        some = run.upper()
        yield base64.b32decode(some[: len(some) // 8 * 8]).decode('latin-1')
        # The end of a run without its padding.
        yield base64.b32decode(some + 'A' * (-len(some) % 8)).decode('latin-1')
    for run in re.findall(r'[!-~]{5,}', text):
        with contextlib.suppress(ValueError):
            yield base64.b85decode(run).decode('latin-1')
        with contextlib.suppress(ValueError):
            yield base64.a85decode(run).decode('latin-1')


def _character(found: re.Match[str]) -> str:
    return chr(int(found[1] or found[2], 16))
