"""Read pickles without the pickle module: a small interpreter of the instructions that build data, and of no others.

What a pickle imports by name is looked up in the caller's table; any other name is refused, so no code in a file can
run. Unlike a restricted `pickle.Unpickler` it cannot be made to fill the memory or to hang either:
instructions are counted, and only short text and numbers may be keys.

Source: the documentation of `pickletools`, whose `genops` parses the file.
"""

import io
import pickletools
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from soundnet_tf.importing.tensors import MAX_VALUES, Unreadable

LARGEST = 1 << 128
"""Integers are smaller, so that none is slow to compute with."""
MAX_KEY_LENGTH = 200
MAX_ARGUMENTS = 8

_PUSH = {
    *('BININT', 'BININT1', 'BININT2', 'LONG1', 'LONG4', 'BINFLOAT', 'SHORT_BINSTRING', 'BINSTRING'),
    *('SHORT_BINBYTES', 'BINBYTES', 'BINBYTES8', 'SHORT_BINUNICODE', 'BINUNICODE', 'BINUNICODE8'),
}
"""These push their argument; a string of Python 2 becomes text, one character per byte."""
_NEW: dict[str, Callable[[], Any]] = {
    'NONE': lambda: None,
    'NEWTRUE': lambda: True,
    'NEWFALSE': lambda: False,
    'EMPTY_LIST': list,
    'EMPTY_DICT': dict,
    'EMPTY_TUPLE': tuple,
}
_TUPLES = {'TUPLE1': 1, 'TUPLE2': 2, 'TUPLE3': 3}

DAMAGE = (ValueError, TypeError, LookupError, AttributeError, EOFError)
"""Exceptions of a damaged pickle, here and in the functions of the caller's table."""


class _Machine:
    def __init__(self, known: Mapping[str, Any], persistent: Callable[[Any], Any] | None):
        self._known, self._persistent = known, persistent
        self.stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}

    def do(self, name: str, value: Any) -> None:
        """Run one instruction with its argument."""
        stack = self.stack
        if name in _PUSH:
            if type(value) is int and abs(value) >= LARGEST:
                raise ValueError
            stack.append(value)
        elif name in _NEW:
            stack.append(_NEW[name]())
        elif name == 'MARK':
            self._marks.append(len(stack))
        elif name in ('BINPUT', 'LONG_BINPUT', 'MEMOIZE'):
            self._memo[len(self._memo) if value is None else value] = stack[-1]
        elif name in ('BINGET', 'LONG_BINGET'):
            stack.append(self._memo[value])
        elif name in _TUPLES:
            stack.append(tuple(self._above(len(stack) - _TUPLES[name])))
        elif name == 'TUPLE':
            stack.append(tuple(self._above(self._marks.pop())))
        elif name in ('APPEND', 'APPENDS'):
            items = self._above(len(stack) - 1 if name == 'APPEND' else self._marks.pop())
            _a(list, stack[-1]).extend(items)
        elif name in ('SETITEM', 'SETITEMS'):
            items = self._above(len(stack) - 2 if name == 'SETITEM' else self._marks.pop())
            put(_a(dict, stack[-1]), zip(items[::2], items[1::2], strict=True))
        elif name == 'GLOBAL':
            stack.append(self._named(value.replace(' ', '.')))
        elif name == 'STACK_GLOBAL':
            stack.append(self._named('.'.join(self._above(len(stack) - 2))))
        elif name == 'REDUCE':
            function, arguments = self._above(len(stack) - 2)
            if len(_a(tuple, arguments)) > MAX_ARGUMENTS:
                raise ValueError
            stack.append(function(*arguments))
        elif name == 'BUILD':
            (state,) = self._above(len(stack) - 1)
            # Of a dict it sets attributes, such as the _metadata of a state dict, which is not needed.
            if not isinstance(stack[-1], dict):
                stack[-1].build(state)
        elif name == 'BINPERSID' and self._persistent:
            stack.append(self._persistent(stack.pop()))
        elif name not in ('PROTO', 'FRAME', 'STOP'):
            raise Unreadable(f'refused: its pickle has the instruction {name}, which weights do not need')

    def _above(self, at: int) -> list[Any]:
        """Pop the stack from that position."""
        if not 0 <= at <= len(self.stack):
            raise IndexError
        items = self.stack[at:]
        del self.stack[at:]
        return items

    def _named(self, name: str) -> Any:
        if name not in self._known:
            raise Unreadable(
                f'refused: its pickle imports {name[:100]}, which weights do not need and which could run code. '
                'Save only the tensors, such as a state_dict(), with the program that wrote the file'
            )
        return self._known[name]


def _a(kind: type, value: Any) -> Any:
    if not isinstance(value, kind):
        raise TypeError
    return value


def put(into: dict[Any, Any], items: Iterable[tuple[Any, Any]]) -> dict[Any, Any]:
    """Set items `(key, value)` of a dict. Raises TypeError for a key that is neither short text nor a number."""
    for key, value in items:
        if isinstance(key, bytes) and len(key) <= MAX_KEY_LENGTH:  # written by Python 2, rewritten by Python 3
            key = key.decode('latin-1')
        # Nested tuples may take forever to hash, and a long key may be copied many times.
        if not isinstance(key, str | int | float) or (isinstance(key, str) and len(key) > MAX_KEY_LENGTH):
            raise TypeError
        # Larger integers can be made to collide.
        if isinstance(key, int) and abs(key) >= 1 << 60:
            raise TypeError
        into[key] = value
    return into


def read(file: io.BytesIO, known: Mapping[str, Any], persistent: Callable[[Any], Any] | None = None) -> Any:
    """The value of the pickle at the position of `file`, which moves to its end.

    `known` has the importable names, as `module.name`: a function of the arguments, or a value. Its result may have
    `build(state)`. It must be fast and must not allocate more than its arguments: a file may call it many times.
    `persistent` returns the value of a persistent id. Raises Unreadable.
    """
    machine = _Machine(known, persistent)
    try:
        for count, (opcode, value, _) in enumerate(pickletools.genops(file)):
            if count > MAX_VALUES:
                raise Unreadable('not a net: its pickle has too many instructions')
            machine.do(opcode.name, value)
        (result,) = machine.stack
        return result
    except DAMAGE:
        raise Unreadable('damaged: its pickle is invalid') from None
