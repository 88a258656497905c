"""The sample rate that the metadata of a TFLite file states (`AudioProperties` of the TFLite Metadata schema).

The numbers of fields below are those of that schema and of the schema of TFLite models.
"""

from collections.abc import Iterator
from typing import Any

import flatbuffers.table
from flatbuffers import number_types

NAME = b'TFLITE_METADATA'
AUDIO_PROPERTIES = 4
"""The member of the schema's ContentProperties."""

_OFFSET, _BYTE, _UINT32 = number_types.UOffsetTFlags, number_types.Uint8Flags, number_types.Uint32Flags


def sample_rate(model: bytes) -> int | None:
    """In Hz, of the first input; None if the file does not state it. Raises struct.error for damaged files."""
    root = _root(model)
    for entry in _tables(root, 6):
        if _text(entry, 0) != NAME:
            continue
        buffer = list(_tables(root, 4))[_number(entry, 1, _UINT32)]
        about = _root(_text(buffer, 0))
        for graph in _tables(about, 3):
            for tensor in _tables(graph, 2):
                content = _table(tensor, 3)
                if content is None or _number(content, 0, _BYTE) != AUDIO_PROPERTIES:
                    return None
                sound = _table(content, 1)
                return (_number(sound, 0, _UINT32) or None) if sound else None
    return None


def _root(data: bytes) -> Any:
    table = flatbuffers.table.Table(data, 0)
    return flatbuffers.table.Table(data, table.Get(_OFFSET, 0))


def _place(table: Any, field: int) -> int:
    """Where a field of a table is; 0 if it is missing."""
    offset = table.Offset(4 + 2 * field)
    return offset and table.Pos + offset


def _number(table: Any, field: int, flags: Any) -> int:
    place = _place(table, field)
    return table.Get(flags, place) if place else 0


def _table(table: Any, field: int) -> Any:
    place = _place(table, field)
    return flatbuffers.table.Table(table.Bytes, table.Indirect(place)) if place else None


def _tables(table: Any, field: int) -> Iterator[Any]:
    """The tables of a vector."""
    offset = table.Offset(4 + 2 * field)
    if offset:
        first = table.Vector(offset)
        for index in range(table.VectorLen(offset)):
            yield flatbuffers.table.Table(table.Bytes, table.Indirect(first + 4 * index))


def _text(table: Any, field: int) -> bytes:
    """A string or a vector of bytes."""
    offset = table.Offset(4 + 2 * field)
    if not offset:
        return b''
    first = table.Vector(offset)
    return bytes(table.Bytes[first : first + table.VectorLen(offset)])
