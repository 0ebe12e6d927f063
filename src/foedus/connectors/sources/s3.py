"""Objects of S3 and of what speaks like it: Oracle's and Google's stores with interoperability keys (extra ``aws``).

Only the customer's own credentials are used, never those of the server; without any, requests are anonymous.
"""

import re
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from posixpath import basename
from typing import Any, ClassVar
from urllib.parse import urlsplit

from foedus.connectors.addresses import driver_of
from foedus.connectors.contents import CHUNK_BYTES, Content, Terms, reading
from foedus.core.errors import Invalid
from foedus.core.symetryml.rows import bounded
from foedus.ports.sources import Info, Listing, Reading, SourceMissing, SourceRefuses, SourceUnavailable

with driver_of("aws"):
    import boto3
    from botocore import UNSIGNED
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError, ParamValidationError

MAX_NAMES = 1000
MAX_WRITTEN_BYTES = 5 << 30  # what stores take in one request
_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]")
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,62}")
_MISSING = ("NoSuchKey", "NoSuchBucket", "404", "NotFound")
_PASSING = ("SlowDown", "InternalError", "ServiceUnavailable", "RequestTimeout", "500", "503")


class S3Source:
    """``info``: ``path``, ``s3accessKey``, ``s3secretKey``, ``s3bucket``; ``s3region`` and ``s3endpoint`` may be left
    out. The host of an endpoint has to be named in the operator's settings.
    """

    PREFIX: ClassVar[str] = "s3"

    def __init__(self, terms: Terms) -> None:
        self._terms = terms

    @contextmanager
    def read(self, info: Info) -> Iterator[Reading]:
        key = _key(info)
        with translated():
            found = self._client(info).get_object(Bucket=self._bucket(info), Key=key)
        with closing(found["Body"]) as body:
            content = Content(basename(key), _bytes(body), int(found["ContentLength"]))
            with reading(content, info, self._terms) as rows:
                yield rows

    def browse(self, info: Info) -> Listing:
        path = info.get("path", "").lstrip("/")
        more = {"ContinuationToken": info["marker"]} if info.get("marker") else {}
        with translated():
            page = self._client(info).list_objects_v2(
                Bucket=self._bucket(info), Prefix=path, Delimiter="/", MaxKeys=MAX_NAMES, **more
            )
        return Listing(
            path, tuple(each["Key"] for each in page.get("Contents", ())),
            tuple(each["Prefix"] for each in page.get("CommonPrefixes", ())), page.get("NextContinuationToken", ""),
        )  # fmt: skip

    def write(self, info: Info, chunks: Iterable[bytes], *, again: bool = False) -> None:  # noqa: ARG002 - objects are replaced
        """In place of an object of that name, as stores do."""
        bucket, key = self._bucket(info), _key(info)
        with tempfile.TemporaryFile(dir=self._terms.scratch) as file:
            for chunk in bounded(chunks, min(self._terms.max_bytes, MAX_WRITTEN_BYTES)):
                file.write(chunk)
            file.seek(0)
            with translated():
                self._client(info).put_object(Bucket=bucket, Key=key, Body=file)

    def _bucket(self, info: Info) -> str:
        bucket = info.get(f"{self.PREFIX}bucket", "")
        if not _BUCKET.fullmatch(bucket) or ".." in bucket:
            raise Invalid(f"{self.PREFIX}bucket is the name of a bucket: 3 to 63 of a-z, 0-9, dots and hyphens")
        return bucket

    def _client(self, info: Info) -> Any:
        access, secret = info.get(f"{self.PREFIX}accessKey"), info.get(f"{self.PREFIX}secretKey")
        if bool(access) != bool(secret):
            raise Invalid(f"{self.PREFIX}accessKey and {self.PREFIX}secretKey belong together")
        # boto3 would look for the server's own credentials wherever none are given.
        config = Config(
            signature_version=None if access else UNSIGNED, connect_timeout=10, read_timeout=30,
            retries={"max_attempts": 2}, proxies={}, request_checksum_calculation="when_required",
            response_checksum_validation="when_required", s3=self._style(info),
        )  # fmt: skip
        return boto3.session.Session().client(
            "s3", endpoint_url=self._endpoint(info), region_name=self._region(info), config=config,
            aws_access_key_id=access or "none", aws_secret_access_key=secret or "none",
        )  # fmt: skip

    def _style(self, info: Info) -> dict[str, str]:
        return {"addressing_style": "path" if info.get("s3endpoint") else "auto"}

    def _endpoint(self, info: Info) -> str | None:
        endpoint = info.get("s3endpoint")
        if not endpoint:
            return None
        try:
            parts = urlsplit(endpoint)
            known = self._terms.guard.vouches_for(parts.hostname or "")
        except ValueError:
            known = False
        if not known or parts.scheme not in ("http", "https") or parts.path not in ("", "/"):
            raise Invalid("s3endpoint is https://host, and the operator of this server names the host in "
                          "FOEDUS_SOURCES_ALLOW")  # fmt: skip
        return endpoint

    def _region(self, info: Info) -> str:
        return _word(info, "s3region", "us-east-1")


class S3OciSource(S3Source):
    """As ``s3``, and ``ocinamespace`` and ``ociregion``."""

    def _endpoint(self, info: Info) -> str:
        namespace, region = _word(info, "ocinamespace"), _word(info, "ociregion")
        return f"https://{namespace}.compat.objectstorage.{region}.oraclecloud.com"

    def _style(self, info: Info) -> dict[str, str]:  # noqa: ARG002 - the same for every place
        return {"addressing_style": "path"}

    def _region(self, info: Info) -> str:
        return _word(info, "ociregion")


class GcsSource(S3Source):
    """``info``: ``path``, ``gcsaccessKey`` and ``gcssecretKey`` (an HMAC key), ``gcsbucket``."""

    PREFIX = "gcs"

    def _endpoint(self, info: Info) -> str:  # noqa: ARG002 - the same for every place
        return "https://storage.googleapis.com"

    def _style(self, info: Info) -> dict[str, str]:  # noqa: ARG002 - the same for every place
        return {"addressing_style": "path"}

    def _region(self, info: Info) -> str:  # noqa: ARG002 - the same for every place
        return "auto"


@contextmanager
def translated() -> Iterator[None]:
    try:
        yield
    except ClientError as exc:
        code = str(exc.response.get("Error", {}).get("Code", ""))[:60]
        if code in _MISSING:
            raise SourceMissing(f"the store has no such object or bucket ({code})") from None
        if code in _PASSING:
            raise SourceUnavailable(f"the store does not answer as it should ({code})") from None
        raise SourceRefuses(f"the store refuses ({code})") from None
    except ParamValidationError:
        raise Invalid("the store's library does not take these names") from None
    except (BotoCoreError, HTTPClientError, OSError) as exc:
        raise SourceUnavailable(f"the store does not answer: {type(exc).__name__}") from None


def _bytes(body: Any) -> Iterator[bytes]:
    with translated():
        yield from body.iter_chunks(CHUNK_BYTES)


def _key(info: Info) -> str:
    key = info.get("path", "").lstrip("/")
    if not key or len(key.encode()) > 1024:
        raise Invalid("path is the key of an object, 1 to 1024 bytes")
    return key


def _word(info: Info, name: str, default: str = "") -> str:
    """A word that becomes part of the name of a host."""
    word = info.get(name) or default
    if not _WORD.fullmatch(word):
        raise Invalid(f"{name} is one word of letters, digits and hyphens")
    return word
