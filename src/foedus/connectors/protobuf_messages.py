"""Protobuf messages of a stream, read by the schema that came with it (extra ``protobuf``). Nothing of it is executed.

The schema is the text of a ``.proto`` file, or a FileDescriptorSet in Base64. Of the text messages, enums and fields
are read; options, services and imports are not.
"""

import base64
import binascii
import re
from collections.abc import Iterator
from itertools import count
from typing import Any

from foedus.connectors.addresses import driver_of
from foedus.core.errors import Invalid
from foedus.core.symetryml.rows import Rows, rows_of
from foedus.ports.sources import Info
from foedus.ports.streams import Decoder

with driver_of("protobuf"):
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
    from google.protobuf.message import DecodeError

MAX_SCHEMA = 1 << 18
MAX_FIELDS = 20_000
MAX_DEPTH = 5  # of messages within messages
_TOKEN = re.compile(r'"[^"\n]*"|[A-Za-z_.][\w.]*|-?\d\w*|[{}\[\]();=<>,]|\S')
_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
_Field = descriptor_pb2.FieldDescriptorProto
_SCALARS = {
    name: getattr(_Field, f"TYPE_{name.upper()}")
    for name in (
        "double", "float", "int32", "int64", "uint32", "uint64", "sint32", "sint64", "fixed32", "fixed64", "sfixed32",
        "sfixed64", "bool", "string", "bytes",
    )
}  # fmt: skip
_LABELS = {
    "optional": _Field.LABEL_OPTIONAL, "required": _Field.LABEL_REQUIRED, "repeated": _Field.LABEL_REPEATED
}  # fmt: skip


def protobuf_decoder(info: Info) -> Decoder:
    """Reads messages of the type ``protobuf.msg.type.name`` in ``protobuf.schema``. Raises Invalid."""
    schema, name = info.get("protobuf.schema", ""), info.get("protobuf.msg.type.name", "").strip().lstrip(".")
    if not schema.strip() or not name or len(schema) > MAX_SCHEMA:
        raise Invalid(f"protobuf.schema (at most {MAX_SCHEMA} characters) and protobuf.msg.type.name are needed")
    made = message_factory.GetMessageClass(_described(schema, name))
    columns = dict(_columns(made.DESCRIPTOR, "", 0, count()))
    if not columns:
        raise Invalid(f"message {name[:80]!r} has no fields that are numbers, truth values or texts")

    def decode(data: bytes) -> Rows:
        try:
            message = made.FromString(data)
        except DecodeError:
            raise Invalid(f"this is no message of type {name[:80]!r}") from None
        return rows_of([{column: _value(message, path) for column, path in columns.items()}])

    return decode


def _described(schema: str, name: str) -> Any:
    pool = descriptor_pool.DescriptorPool()
    try:
        for file in _files(schema):
            pool.AddSerializedFile(file.SerializeToString())
        found = [each for each in _names(schema) if each == name or each.endswith(f".{name}")]
        return pool.FindMessageTypeByName(found[0] if len(found) == 1 else name)
    except KeyError:
        raise Invalid(f"protobuf.schema has no message {name[:80]!r}") from None
    except (TypeError, ValueError, DecodeError) as exc:
        raise Invalid(f"protobuf.schema cannot be used: {exc}"[:300]) from None


def _files(schema: str) -> Any:
    if "{" in schema:
        return [_Parser(schema).file()]
    try:
        return descriptor_pb2.FileDescriptorSet.FromString(base64.b64decode(schema, validate=False)).file
    except (binascii.Error, DecodeError, ValueError):
        raise Invalid("protobuf.schema is the text of a .proto file, or a FileDescriptorSet in Base64") from None


def _names(schema: str) -> list[str]:
    """The full names of messages that stand alone."""
    return [
        f"{file.package}.{message.name}".lstrip(".") for file in _files(schema) for message in file.message_type
    ]  # fmt: skip


def _columns(of: Any, prefix: str, depth: int, seen: Iterator[int]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The fields of a message and of messages in it, as ``outer.inner``, each with the way to it."""
    for field in of.fields:
        if next(seen) >= MAX_FIELDS:
            raise Invalid(f"the message and those within it have more than {MAX_FIELDS} fields")
        if field.is_repeated if hasattr(field, "is_repeated") else field.label == _Field.LABEL_REPEATED:
            raise Invalid(f"field {prefix}{field.name} is repeated; an attribute has one value a row")
        name = f"{prefix}{field.name}"
        if field.message_type is None:
            if field.type != _Field.TYPE_BYTES:
                yield name, tuple(name.split("."))
        elif depth < MAX_DEPTH:
            yield from _columns(field.message_type, f"{name}.", depth + 1, seen)
        else:
            raise Invalid(f"messages are nested deeper than {MAX_DEPTH}")


def _value(message: Any, path: tuple[str, ...]) -> Any:
    for step in path:
        field = message.DESCRIPTOR.fields_by_name[step]
        if field.has_presence and not message.HasField(step):
            return None
        message = getattr(message, step)
        if field.enum_type is not None:
            known = field.enum_type.values_by_number.get(message)
            return known.name if known else str(message)
    return message


class _Parser:
    """Reads what a schema of rows consists of."""

    def __init__(self, text: str) -> None:
        self._tokens = _TOKEN.findall(_COMMENT.sub(" ", text))
        self._place = 0
        self._file = descriptor_pb2.FileDescriptorProto(name="schema.proto", syntax="proto3")

    def file(self) -> Any:
        """Raises Invalid."""
        while self._place < len(self._tokens):
            match self._next():
                case "message":
                    self._message(self._file.message_type.add(), 0)
                case "enum":
                    self._enum(self._file.enum_type.add())
                case "package":
                    self._file.package = self._next()
                    self._want(";")
                case "syntax":
                    self._want("=")
                    if self._next().strip("\"'") == "proto2":
                        self._file.syntax = "proto2"
                    self._want(";")
                case "option":
                    self._skip()
                case ";":
                    pass
                case other:
                    raise Invalid(
                        f"protobuf.schema has {other[:40]!r}, which is not read here; send a FileDescriptorSet"
                    )
        return self._file

    def _message(self, into: Any, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise Invalid(f"messages are nested deeper than {MAX_DEPTH}")
        into.name = self._next()
        self._want("{")
        while (word := self._next()) != "}":
            match word:
                case "message":
                    self._message(into.nested_type.add(), depth + 1)
                case "enum":
                    self._enum(into.enum_type.add())
                case "option" | "reserved" | "extensions":
                    self._skip()
                case ";":
                    pass
                case _:
                    self._field(into, word)

    def _field(self, into: Any, word: str) -> None:
        field = into.field.add(label=_LABELS.get(word, _Field.LABEL_OPTIONAL))
        kind = self._next() if word in _LABELS else word
        field.name = self._next()
        self._want("=")
        field.number = self._number()
        if kind in _SCALARS:
            field.type = _SCALARS[kind]
        else:
            field.type_name = kind  # the pool finds out what it is
        if word == "optional" and self._file.syntax == "proto3":
            field.proto3_optional = True
            field.oneof_index = len(into.oneof_decl)
            into.oneof_decl.add(name=f"_{field.name}")
        self._skip()

    def _enum(self, into: Any) -> None:
        into.name = self._next()
        self._want("{")
        while (word := self._next()) != "}":
            if word == "option":
                self._skip()
            elif word != ";":
                self._want("=")
                into.value.add(name=word, number=self._number())
                self._skip()

    def _skip(self) -> None:
        while self._next() != ";":
            pass

    def _number(self) -> int:
        text = self._next()
        try:
            number = int(text, 0)
        except ValueError:
            raise Invalid(f"protobuf.schema has {text[:40]!r} where a number belongs") from None
        if not -(1 << 31) <= number < 1 << 31:
            raise Invalid("protobuf.schema has a number that is too large")
        return number

    def _want(self, word: str) -> None:
        found = self._next()
        if found != word:
            raise Invalid(f"protobuf.schema has {found[:40]!r} where {word!r} belongs")

    def _next(self) -> str:
        if self._place >= len(self._tokens):
            raise Invalid("protobuf.schema is cut")
        self._place += 1
        return str(self._tokens[self._place - 1])
