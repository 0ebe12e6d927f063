import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foedus.connectors.addresses import BadAddress, flag, folder_of, split_address


def test_options_are_decoded_and_parts_kept():
    parts, options = split_address("s3://bucket/a/b?endpoint=http%3A%2F%2Fh%3A1&region=", ["endpoint", "region"])

    assert (parts.scheme, parts.netloc, parts.path) == ("s3", "bucket", "/a/b")
    assert options == {"endpoint": "http://h:1", "region": ""}


def test_an_unknown_option_is_named_with_those_that_are_known():
    with pytest.raises(BadAddress, match=r"regoin.*region"):
        split_address("s3://bucket?regoin=x", ["region"])


@pytest.mark.parametrize("url", ["s3://b?region=a&region=b", "s3://b?region", "s3://b:x", "s3://[b", "s3://b#f"])
def test_an_address_that_cannot_be_read_is_refused(url):
    with pytest.raises(BadAddress):
        split_address(url, ["region"])


@given(st.text(max_size=40), st.text(max_size=40))
def test_any_text_is_read_or_refused(url, rest):
    for text in (url, f"s3://{url}?{rest}", f"file:{url}"):
        try:
            split_address(text)
        except BadAddress:
            continue


@pytest.mark.parametrize(
    ("url", "folder"),
    [("file:", "/default"), ("file:/a/b", "/a/b"), ("file:///a/b", "/a/b"), ("file:/a%20b%3F", "/a b?")],
)
def test_a_folder_is_named_by_its_path(url, folder):
    assert folder_of(url, Path("/default")) == Path(folder)


def test_a_flag_is_true_or_false_and_nothing_else():
    assert flag({"x": "true"}, "x") is True
    assert flag({"x": "false"}, "x") is flag({}, "x") is False
    with pytest.raises(BadAddress):
        flag({"x": "1"}, "x")


@pytest.mark.parametrize(
    ("module", "driver", "extra"),
    [
        ("foedus.connectors.blobs.s3", "boto3", "aws"),
        ("foedus.connectors.bus.nats", "nats", "nats"),
        ("foedus.connectors.bus.postgresql", "psycopg", "postgres"),
    ],
)
def test_a_missing_driver_names_its_extra(module, driver, extra):
    code = f"import sys; sys.modules[{driver!r}] = None\nimport {module}"

    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False).stderr

    assert f"DriverMissing: A driver is missing; install it with: pip install 'foedus[{extra}]'" in said


def test_importing_the_local_connectors_loads_no_driver():
    modules = ["blobs.filesystem", "blobs.memory", "bus.local", "bus.memory", "push.outbox", "secrets.file"]
    code = ";".join(f"import foedus.connectors.{module}" for module in modules)
    code += ";import sys;print([m for m in ('boto3', 'nats', 'psycopg', 'httpx', 'django') if m in sys.modules])"

    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert said == "[]\n"
