"""What a federation's message on AWS holds: its content, or where in S3 that is and how others may read it.

Others get an address of one object, signed for a while; with ``aws_share`` ``sts``, as older nodes expect it, temporary
credentials that read the one object. What others say is hostile: addresses lead to S3 alone.
"""

import base64
import binascii
import hashlib
import json
import re
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from foedus.connectors.addresses import driver_of
from foedus.connectors.aws_calls import MISSING, Account, translated
from foedus.connectors.aws_policies import object_policy
from foedus.core.errors import Invalid
from foedus.core.federation.regions import region_of
from foedus.ports.exchange import MAX_BYTES, ExchangeUnavailable, Told

with driver_of("aws"):
    from botocore.exceptions import ClientError

MAX_INLINE_BYTES = 96 << 10  # in Base64 still well below the 256 KiB of a message
ADDRESS_S = 7 * 86_400  # the longest that S3 signs for
CREDENTIALS_S = 36 * 3600
_S3_HOST = re.compile(r"(?:[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]\.)?s3[.-][a-z0-9.-]{1,40}\.amazonaws\.com(?:\.cn)?")
_TIMEOUT_S = 60.0


class Spent(Exception):
    """The content is not there any more; a newer message of its sender will have replaced it."""


@dataclass(frozen=True, slots=True)
class Place:
    """An object of a sender's bucket."""

    bucket: str
    key: str


def packed(account: Account, told: Told, place: Place, data: bytes) -> dict[str, Any]:
    """The part of a message that says what its content is; a large one is put into S3 first."""
    digest = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    if len(data) <= MAX_INLINE_BYTES:
        return {**digest, "data": base64.b64encode(data).decode()}
    object_ = {"Bucket": place.bucket, "Key": place.key}
    account.s3.put_object(**object_, Body=data, ContentType="application/octet-stream")
    if told.get("aws_share") != "sts":
        address = account.s3.generate_presigned_url("get_object", Params=object_, ExpiresIn=ADDRESS_S)
        return {**digest, "url": address}
    lent = account.sts.get_federation_token(
        Name="foedus", Policy=object_policy(place.bucket, place.key), DurationSeconds=CREDENTIALS_S
    )["Credentials"]
    keys = {"access": lent["AccessKeyId"], "secret": lent["SecretAccessKey"], "token": lent["SessionToken"]}
    return {**digest, "bucket": place.bucket, "key": place.key, "region": account.region, "credentials": keys}


def unpacked(account: Account, body: dict[str, Any]) -> bytes:
    """Raises Invalid for what no honest node sends, Spent, ExchangeUnavailable."""
    size, digest = body.get("bytes"), body.get("sha256")
    if not isinstance(size, int) or not 0 <= size <= MAX_BYTES or not isinstance(digest, str):
        raise Invalid("a message has no sound size or digest")
    match body:
        case {"data": str(text)}:
            data = _inline(text)
        case {"url": str(address)}:
            data = _fetched(account, address, size)
        case {"bucket": str(bucket), "key": str(key), "region": str(region), "credentials": dict(keys)}:
            data = _lent(account, Place(bucket, key), region, keys, size)
        case _:
            raise Invalid("a message has no content")
    if len(data) != size or hashlib.sha256(data).hexdigest() != digest:
        raise Invalid("a message's content is not what the message says")
    return data


def parsed(text: str) -> dict[str, Any]:
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise Invalid("a message is no JSON object")
    return body


def _inline(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Invalid("a message's content is no Base64") from None


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirects)


def _fetched(account: Account, address: str, size: int) -> bytes:
    try:
        parts = urlsplit(address)
        host = parts.hostname or ""
    except ValueError:
        raise Invalid("a message names no address of S3") from None
    known = account.endpoint is not None and address.startswith(f"{account.endpoint}/")
    if not known and not (parts.scheme == "https" and parts.port in (None, 443) and _S3_HOST.fullmatch(host)):
        raise Invalid("a message names an address that is not one of S3")
    try:
        with _OPENER.open(address, timeout=_TIMEOUT_S) as answer:
            return bytes(answer.read(size + 1))
    except urllib.error.HTTPError as exc:
        if exc.code in (403, 404):  # gone, or signed too long ago
            raise Spent from None
        raise ExchangeUnavailable(f"S3 answers {exc.code}") from None
    except (OSError, ValueError) as exc:
        raise ExchangeUnavailable(f"S3 does not answer: {type(exc).__name__}") from None


def _lent(account: Account, place: Place, region: str, keys: dict[str, Any], size: int) -> bytes:
    names = {"access": "aws_access_key_id", "secret": "aws_secret_access_key", "token": "aws_session_token"}
    if not all(isinstance(keys.get(name), str) for name in names):
        raise Invalid("a message's credentials are none")
    with translated():
        client = account.client("s3", region_of(region), **{new: keys[old] for old, new in names.items()})
        try:
            body = client.get_object(Bucket=place.bucket, Key=place.key)["Body"]
            return bytes(body.read(size + 1))
        except ClientError as exc:
            if exc.response.get("Error", {}).get("Code") in MISSING | {"AccessDenied", "ExpiredToken"}:
                raise Spent from None
            raise
