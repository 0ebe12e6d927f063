"""Enough of the wire format of Protocol Buffers to write ONNX: varints, bytes and messages within messages."""

from collections.abc import Iterable

Field = tuple[int, "int | str | bytes"]


def message(fields: Iterable[Field]) -> bytes:
    """Fields by number, in this order; a repeated field comes several times. Integers are not negative."""
    return b"".join(_field(number, value) for number, value in fields)


def _field(number: int, value: int | str | bytes) -> bytes:
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    data = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    result = bytearray()
    while value > 0x7F:
        result.append(value & 0x7F | 0x80)
        value >>= 7
    result.append(value)
    return bytes(result)
