"""Messages of a server never show a secret, whatever a server does to it."""

import base64
import codecs
import html
import urllib.parse

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soundnet_tf.web import words

KEY = '0a1b2c3d4e5f60718293a4b5c6d7e8f9'


def each(pattern):
    return lambda text: ''.join(pattern.format(ord(character), character) for character in text)


ENCODINGS = {
    'percent': each('%{0:02x}'),
    'PERCENT': each('%{0:02X}'),
    'html': each('&#{0};'),
    'html-hex': each('&#x{0:x};'),
    'json': each('\\u{0:04x}'),
    'hex-escapes': each('\\x{0:02x}'),
    'octal': each('\\{0:03o}'),
    'quoted-printable': each('={0:02X}'),
    'spaced': ' '.join,
    'zeros': '\0'.join,
    'upper': str.upper,
    'reversed': lambda text: text[::-1],
    'base64': lambda text: base64.b64encode(text.encode()).decode(),
    'base64-within': lambda text: base64.b64encode(f'a{text}?>'.encode()).decode().rstrip('='),
    'base64-url': lambda text: base64.urlsafe_b64encode(f'ab{text}?>~'.encode()).decode(),
    'hex': lambda text: text.encode().hex(),
}
RARE = {
    'decimal': lambda text: ' '.join(str(ord(character)) for character in text),
    'rot13': lambda text: codecs.encode(text, 'rot13'),
    'full-width': lambda text: ''.join(chr(ord(character) + 0xFEE0) for character in text),
    'base32': lambda text: base64.b32encode(text.encode()).decode(),
    'base32-lower': lambda text: base64.b32encode(f'{text}?'.encode()).decode().rstrip('=').lower(),
    'base85': lambda text: base64.b85encode(text.encode()).decode(),
    'ascii85': lambda text: base64.a85encode(text.encode()).decode(),
}


@pytest.mark.parametrize('first', ENCODINGS)
@pytest.mark.parametrize('second', ['percent', 'html', 'json', 'base64', 'hex'])
def test_an_encoded_secret_is_withheld(first, second):
    for text in (ENCODINGS[first](KEY), ENCODINGS[second](ENCODINGS[first](KEY))):
        assert words.said(f'invalid key {text} (code 1)', KEY) == words.WITHHELD


@pytest.mark.parametrize('encode', RARE.values(), ids=RARE)
def test_a_rarer_encoding_is_withheld_too(encode):
    for text in (encode(KEY), encode(ENCODINGS['percent'](KEY))):
        assert words.said(f'invalid key {text} (code 1)', KEY) == words.WITHHELD


def test_a_plain_secret_is_replaced():
    assert words.said(f'invalid key {KEY}\n\x1b[31m', KEY) == r'invalid key ... \x1b[31m'
    assert words.discreet('\tany title', KEY) == '\tany title'
    assert words.said('x' * 1000) == 'x' * 197 + '...'


@given(st.text(), st.text('0123456789abcdef', min_size=8))
def test_what_is_shown_is_one_short_line(text, secret):
    shown = words.said(text, secret)
    assert shown.isprintable()
    assert len(shown) <= words.SHOWN
    for decode in (str, urllib.parse.unquote, html.unescape):
        assert secret not in decode(shown)
