"""Protobuf messages read by a schema that came along."""

import base64

import pytest
from google.protobuf import descriptor_pb2

from foedus.connectors.protobuf_messages import protobuf_decoder
from foedus.core.errors import Invalid

SCHEMA = """
syntax = "proto3";
package clinic.v1;
// A visit, as it is counted.
message Visit {
  reserved 9;
  enum Town { ULM = 0; BONN = 1; }
  message Body { double bmi = 1; }
  int32 age = 1; /* years */
  optional bool smoker = 2;
  Town town = 3;
  Body body = 4;
  string note = 5 [deprecated = true];
}
"""
# age 41, smoker true, town BONN, body { bmi 27.5 }, written by hand from the wire format
MESSAGE = b"\x08\x29\x10\x01\x18\x01\x22\x09\x09" + bytes.fromhex("0000000000803b40")


def info(schema=SCHEMA, name="Visit"):
    return {"data.format": "protobuf", "protobuf.schema": schema, "protobuf.msg.type.name": name}


@pytest.mark.parametrize("name", ["Visit", "clinic.v1.Visit"])
def test_a_message_becomes_a_row(name):
    rows = protobuf_decoder(info(name=name))(MESSAGE)

    assert rows.names == ("age", "smoker", "town", "body.bmi", "note")
    assert rows.data == [[41, True, "BONN", 27.5, ""]]


def test_what_was_not_set_is_missing_where_the_schema_can_tell():
    assert protobuf_decoder(info())(b"\x08\x29").data == [[41, None, "ULM", None, ""]]


def test_a_descriptor_set_does_as_well():
    files = descriptor_pb2.FileDescriptorSet()
    file = files.file.add(name="a.proto", syntax="proto3", package="a")
    file.message_type.add(name="M").field.add(name="x", number=1, type=1, label=1)
    text = base64.b64encode(files.SerializeToString()).decode()

    assert protobuf_decoder(info(text, "a.M"))(b"\x09" + bytes.fromhex("0000000000803b40")).data == [[27.5]]


@pytest.mark.parametrize("data", [b"\xff", b"\x22\x09\x09", b"\x2a\x01\xff"])
def test_other_bytes_are_no_message(data):
    with pytest.raises(Invalid):
        protobuf_decoder(info())(data)


@pytest.mark.parametrize(
    ("schema", "name"),
    [
        ("", "Visit"), (SCHEMA, "Other"), (SCHEMA[:200], "Visit"), ("message Visit { int32 a 1; }", "Visit"),
        ("message Visit { int32 a = x; }", "Visit"), ("message Visit { Odd a = 1; }", "Visit"),
        ("message Visit { repeated int32 a = 1; }", "Visit"), ("message Visit { Visit a = 1; }", "Visit"),
        ("message Visit { int32 a = 1; int32 b = 1; }", "Visit"), ('import "x"; message Visit { }', "Visit"),
        ("AAAA", "Visit"), ("message a { " * 50, "a"),
    ],
)  # fmt: skip
def test_schemas_that_are_no_schema_of_rows_are_refused(schema, name):
    with pytest.raises(Invalid):
        protobuf_decoder(info(schema, name))
