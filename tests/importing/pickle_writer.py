"""Writes pickles by hand: what they name need not be here."""

import dataclasses
import struct


@dataclasses.dataclass
class Global:
    module: str
    name: str


@dataclasses.dataclass
class Call:
    function: object
    arguments: tuple


@dataclasses.dataclass
class Build:
    value: object
    state: object


@dataclasses.dataclass
class Persistent:
    identity: tuple


@dataclasses.dataclass
class Filled:
    """A dict that a call makes, and its items."""

    value: object
    items: dict


class Raw(bytes):
    """A piece of a pickle that is there already."""


class Pickle:
    """Writes pickles of protocol 2; text as Python 2's str or as unicode, remembered as picklers do."""

    def __init__(self, python2=False):
        self.out, self.python2, self.memo = bytearray(b'\x80\x02'), python2, {}

    def put(self, value):
        name = f'put_{type(value).__name__.lower()}'
        if value is None or isinstance(value, bool):
            self.out += {None: b'N', True: b'\x88', False: b'\x89'}[value]
        else:
            getattr(self, name)(value)
        return self

    def all(self, *values):
        for value in values:
            self.put(value)

    def put_int(self, value):
        self.out += b'K' + bytes([value]) if 0 <= value < 256 else b'J' + struct.pack('<i', value)

    def put_float(self, value):
        self.out += b'G' + struct.pack('>d', value)

    def put_str(self, text):
        if text in self.memo:
            self.out += b'h' + bytes([self.memo[text]])
            return
        self.put_bytes(text.encode('latin-1')) if self.python2 else self.text(b'X', text.encode())
        if len(self.memo) < 256:
            self.memo[text] = len(self.memo)
            self.out += b'q' + bytes([self.memo[text]])

    def put_bytes(self, data):
        """Python 2's str: of these alone it has bytes made."""
        self.text(b'T', data) if len(data) > 255 else self.out.extend(b'U' + bytes([len(data)]) + data)

    def text(self, code, data):
        self.out += code + struct.pack('<I', len(data)) + data

    def put_tuple(self, values):
        self.out += b'('
        self.all(*values)
        self.out += b't'

    def put_list(self, values):
        self.out += b']('
        self.all(*values)
        self.out += b'e'

    def put_dict(self, values):
        self.out += b'}'
        self.items(values)

    def put_raw(self, code):
        self.out += code

    def put_filled(self, filled):
        self.put(filled.value)
        self.items(filled.items)

    def items(self, values):
        self.out += b'('
        self.all(*(part for pair in values.items() for part in pair))
        self.out += b'u'

    def put_global(self, known):
        self.out += f'c{known.module}\n{known.name}\n'.encode()

    def put_call(self, call):
        self.all(call.function, call.arguments)
        self.out += b'R'

    def put_build(self, build):
        self.all(build.value, build.state)
        self.out += b'b'

    def put_persistent(self, persistent):
        self.put(persistent.identity)
        self.out += b'Q'


def pickled(value, python2=False):
    return bytes(Pickle(python2).put(value).out + b'.')
