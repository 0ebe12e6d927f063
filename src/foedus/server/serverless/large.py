"""Bodies that are too large for a function's events go around it, through the bucket.

Answers: what would be refused on its way out is left in the bucket, and the caller is sent there by 303.

Requests: the caller says how large the body is and is given a place for it,

    POST /api/v1/uploads/   {"size_bytes": 25000000}
    201                     {"address": "https://...", "headers": {"Content-Type": ...}, "body": "<token>", ...}

puts it there, and makes the request itself with an empty body and the header ``Foedus-Body: <token>``. Whoever may
list updates may ask for a place; what is never fetched is removed by the bucket after a day.
"""

import hashlib
import io
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, BinaryIO
from uuid import uuid4

from foedus.core.errors import Invalid, TooLarge
from foedus.ports.blobs import BlobMissing, Blobs, SignsAddresses
from foedus.server.serverless.events import Call, Headers

UPLOADS = b"/api/v1/uploads/"
KNOWN_BY = b"/api/v1/model_updates/"
TOKEN_HEADER = "foedus-body"  # noqa: S105 - a header's name
TOKEN = re.compile(r"[0-9a-f]{32}")
KIND = "application/octet-stream"
LIFETIME_S = 900
# A load balancer passes on 1 MiB, and a function gives 6 MiB; both with everything that stands around the body.
LIMITS = {"balancer": 1_000_000, "gateway": 6_000_000}

Respond = Callable[[Call, BinaryIO, int], tuple[int, Headers, bytes]]


def too_large(call: Call, answer: dict[str, Any]) -> bool:
    size = len(json.dumps(answer))
    return size > LIMITS["balancer" if call.form.startswith("balancer") else "gateway"]


def sent_around(blobs: Blobs, headers: Headers, body: bytes) -> Headers:
    """Leave an answer's body in the bucket; the headers of the 303 that leads there. Raises TooLarge without one."""
    if not isinstance(blobs, SignsAddresses):
        raise TooLarge("This answer is larger than a function can give; FOEDUS_BLOBS_URL has to be a bucket of S3.")
    key = f"answers/{hashlib.sha256(body).hexdigest()}-{uuid4().hex}"
    blobs.put(key, body)
    kind = next((value for name, value in headers if name.lower() == "content-type"), KIND)
    return [
        ("location", blobs.download_address(key, content_type=kind, seconds=LIFETIME_S)),
        ("cache-control", "no-store"),
    ]


def place_for(call: Call, blobs: Blobs, limit_bytes: int, respond: Respond) -> tuple[int, Headers, bytes]:
    """Answer the wish for a place."""
    asked = replace(call, method="GET", path=KNOWN_BY, query="page_size=1&format=json", body=b"")
    known = respond(asked, io.BytesIO(), 0)
    if known[0] != 200:
        return known
    if not isinstance(blobs, SignsAddresses):
        raise Invalid("There is no bucket behind this service; send the body itself.")
    size = _size(call.body, limit_bytes)
    token = uuid4().hex
    place = {
        "address": blobs.upload_address(_key(token), size_bytes=size, seconds=LIFETIME_S),
        "headers": {"Content-Type": KIND},
        "body": token,
        "expires_in": LIFETIME_S,
    }
    return 201, [("content-type", "application/json"), ("cache-control", "no-store")], json.dumps(place).encode()


@contextmanager
def body_of(call: Call, blobs: Blobs) -> Iterator[tuple[BinaryIO, int]]:
    """The request's body, from the event or from where the caller left it. Raises Invalid for a wrong token."""
    token = call.header(TOKEN_HEADER)
    if not token:
        yield io.BytesIO(call.body), len(call.body)
        return
    if not TOKEN.fullmatch(token) or call.body:
        raise Invalid(f"The header {TOKEN_HEADER} is the token of an upload, and goes with an empty body.")
    try:
        with blobs.local(_key(token)) as path, path.open("rb") as file:
            yield file, path.stat().st_size
    except BlobMissing as exc:
        raise Invalid("Nothing was left under this token; PUT the body to its address first.") from exc


def forget(call: Call, blobs: Blobs) -> None:
    """Remove what was left under the call's token, once it was taken."""
    if token := call.header(TOKEN_HEADER):
        blobs.delete(_key(token))


def _key(token: str) -> str:
    return f"uploads/{token}"


def _size(body: bytes, limit_bytes: int) -> int:
    try:
        size = json.loads(body)["size_bytes"]
    except (ValueError, KeyError, TypeError):
        size = None
    if not isinstance(size, int) or isinstance(size, bool) or size < 1:
        raise Invalid('Say how large the body is: {"size_bytes": 25000000}.')
    if size > limit_bytes:
        raise TooLarge(f"A body may have {limit_bytes} bytes here.")
    return size
