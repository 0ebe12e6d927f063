"""Blobs in a bucket of S3 or of a store that speaks it.

Object names keep the order and the prefixes of keys, so that the bucket's own listing serves ours. ``_`` goes before
every segment, so that none is empty, ``.`` or ``..``, which clients and servers between here and there like to tidy up:

    models/7      prefix/_models/_7
    ../x          prefix/_../_x
    long keys     prefix/_<the first 190 characters>/~<sha256 of the key>, the rest of the key in the metadata
"""

import base64
import hashlib
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Any, Self
from urllib.parse import unquote

from foedus.connectors.addresses import BadAddress, driver_of, split_address
from foedus.ports.blobs import READ_CHUNK_BYTES, BlobInfo, BlobMissing, BlobsUnavailable, check_key

with driver_of("aws"):
    import boto3
    from boto3.exceptions import Boto3Error
    from boto3.s3.transfer import TransferConfig
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError

# Names may have 1024 bytes of UTF-8. In the worst case 190 characters and the mark before a digest make 830.
HEAD_CHARACTERS = 190
MAX_PREFIX_BYTES = 180
LONG_MARK = "/~"
TAIL = "key-tail"
PART_BYTES = 8 << 20
UPLOAD = TransferConfig(multipart_threshold=PART_BYTES, multipart_chunksize=PART_BYTES, max_concurrency=2)
CALLS = Config(
    signature_version="s3v4",
    s3={"addressing_style": "path"},
    connect_timeout=5,
    read_timeout=30,
    retries={"mode": "standard", "max_attempts": 4},
)


@contextmanager
def translated(key: str) -> Iterator[None]:
    try:
        yield
    except ClientError as exc:
        code = exc.response.get("Error", {}).get("Code", "")
        if code in {"NoSuchKey", "404"}:
            raise BlobMissing(key=key) from exc
        raise BlobsUnavailable(key=key, reason=code) from exc
    except (BotoCoreError, Boto3Error, HTTPClientError) as exc:
        raise BlobsUnavailable(key=key, reason=type(exc).__name__) from exc


def is_empty_range(exc: ClientError) -> bool:
    return bool(exc.response.get("Error", {}).get("Code") == "InvalidRange")


class S3Blobs:
    """Blobs in ``bucket``, which has to exist. Credentials come from the usual places of AWS, or from ``profile``.

    Let a lifecycle rule of the bucket abort multipart uploads after a day: those of killed processes stay, unseen.
    """

    def __init__(
        self,
        bucket: str,
        prefix: str = "",
        *,
        endpoint: str | None = None,
        region: str | None = None,
        profile: str | None = None,
    ) -> None:
        self._bucket = bucket
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        if len(self._prefix.encode()) > MAX_PREFIX_BYTES:
            raise BadAddress(f"The prefix is longer than {MAX_PREFIX_BYTES} bytes.", bucket=bucket)
        self._session_options = {"region_name": region, "profile_name": profile}
        self._endpoint = endpoint
        self._opened: Any = None
        self._lock = threading.Lock()

    @classmethod
    def from_url(cls, url: str, *, data: Path) -> Self:  # noqa: ARG003  (every connector is called the same way)
        parts, options = split_address(url, options=("endpoint", "region", "profile"))
        if not parts.hostname or parts.hostname != parts.netloc:
            raise BadAddress("Write s3://bucket or s3://bucket/prefix; credentials do not belong into an address.")
        return cls(parts.hostname, unquote(parts.path), **options)

    def put(self, key: str, data: bytes) -> None:
        with translated(key):
            self._client.put_object(**self._object(key), Body=data, **self._extra(key))

    def put_file(self, key: str, path: Path) -> None:
        where = self._object(key)
        with translated(key):
            # By name: parts then stream from the file, while those of an open file are read into memory whole.
            self._client.upload_file(str(path), **where, ExtraArgs=self._extra(key), Config=UPLOAD)
        path.unlink()

    def read(
        self, key: str, start: int = 0, stop: int | None = None, *, chunk_bytes: int = READ_CHUNK_BYTES
    ) -> Iterator[bytes]:
        chunks = self._chunks(key, max(start, 0), stop, chunk_bytes)
        next(chunks)  # asks now, so that a missing blob is an error of this call
        return chunks

    @contextmanager
    def local(self, key: str) -> Iterator[Path]:
        with tempfile.TemporaryDirectory(prefix="foedus-blob-") as folder:
            path = Path(folder) / "blob"
            with path.open("xb") as file:
                file.writelines(self.read(key))
            path.chmod(0o400)
            yield path

    def stat(self, key: str) -> BlobInfo:
        found = self._head(key)
        return BlobInfo(key, found["ContentLength"], found["LastModified"])

    def list(self, prefix: str = "") -> Iterator[BlobInfo]:
        """Long keys with the same head are held in memory together; everything else comes as the bucket gives it."""
        if not prefix.isprintable():
            return  # no key begins like this, and the driver chokes on some of it
        start = self._name(prefix)
        for _, group in groupby(self._names(start.partition(LONG_MARK)[0]), key=lambda found: found[0]):
            infos = [self._info(name, size, at) for _, name, size, at in group]
            yield from sorted((i for i in infos if i and i.key.startswith(prefix)), key=lambda info: info.key)

    def delete(self, *keys: str) -> None:
        for key, named in [(key, self._object(key)) for key in keys]:
            with translated(key):
                self._client.delete_object(**named)

    def download_address(self, key: str, *, content_type: str, seconds: int) -> str:
        return self._address("get_object", key, seconds, ResponseContentType=content_type)

    def upload_address(self, key: str, *, size_bytes: int, seconds: int) -> str:
        return self._address("put_object", key, seconds, ContentLength=size_bytes, **self._extra(key))

    def close(self) -> None:
        with self._lock:
            client, self._opened = self._opened, None
        if client is not None:
            client.close()

    @property
    def _client(self) -> Any:
        with self._lock:
            if self._opened is None:  # at first use, because clients do not survive a fork
                session = boto3.session.Session(**self._session_options)
                self._opened = session.client("s3", endpoint_url=self._endpoint, config=CALLS)
            return self._opened

    def _address(self, verb: str, key: str, seconds: int, **extra: Any) -> str:
        with translated(key):
            address: str = self._client.generate_presigned_url(
                verb, Params={**self._object(key), **extra}, ExpiresIn=seconds
            )
        return address

    def _object(self, key: str) -> dict[str, str]:
        return {"Bucket": self._bucket, "Key": self._name(check_key(key))}

    def _name(self, key: str) -> str:
        head = self._prefix + "_" + key[:HEAD_CHARACTERS].replace("/", "/_")
        return head if len(key) <= HEAD_CHARACTERS else head + LONG_MARK + hashlib.sha256(key.encode()).hexdigest()

    def _extra(self, key: str) -> dict[str, Any]:
        extra: dict[str, Any] = {"ContentType": "application/octet-stream"}
        if tail := key[HEAD_CHARACTERS:]:
            extra["Metadata"] = {TAIL: base64.urlsafe_b64encode(tail.encode()).decode()}  # at most 1720 of 2048 bytes
        return extra

    def _head(self, key: str) -> Any:
        with translated(key):
            return self._client.head_object(**self._object(key))

    def _names(self, start: str) -> Iterator[tuple[str, str, int, datetime]]:
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=start)
        with translated(start):
            for page in pages:
                for found in page.get("Contents", ()):
                    yield found["Key"].partition(LONG_MARK)[0], found["Key"], found["Size"], found["LastModified"]

    def _info(self, name: str, size: int, changed_at: datetime) -> BlobInfo | None:
        head, _, digest = name.removeprefix(self._prefix).partition(LONG_MARK)
        key = head.removeprefix("_").replace("/_", "/")
        if not digest:
            return BlobInfo(key, size, changed_at)
        try:
            with translated(key):
                found = self._client.head_object(Bucket=self._bucket, Key=name)
        except BlobMissing:
            return None  # deleted since the page was made
        tail = base64.urlsafe_b64decode(found["Metadata"][TAIL]).decode()
        return BlobInfo(key + tail, found["ContentLength"], found["LastModified"])

    def _chunks(self, key: str, start: int, stop: int | None, chunk_bytes: int) -> Iterator[bytes]:
        if stop is not None and stop <= start:
            self._head(key)
            yield b""
            return
        where = {} if start == 0 and stop is None else {"Range": f"bytes={start}-{'' if stop is None else stop - 1}"}
        with translated(key):
            try:
                body = self._client.get_object(**self._object(key), **where)["Body"]
            except ClientError as exc:
                if not is_empty_range(exc):
                    raise
                yield b""
                return
            with body:
                yield b""
                yield from body.iter_chunks(chunk_bytes)
