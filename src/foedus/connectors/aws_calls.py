"""Calls of AWS for a federation: by the customer's own credentials, never those of the server (extra ``aws``).

``told``: ``aws_access_key``, ``aws_secret_key``, ``aws_region`` (``us-east-1`` or ``US_EAST_1``), ``s3_bucket``;
``aws_endpoint`` for what speaks like AWS, whose host the operator of this server has to permit.
"""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from foedus.connectors.addresses import driver_of
from foedus.connectors.internet import Guard
from foedus.core.errors import Invalid
from foedus.core.federation.regions import region_of
from foedus.ports.exchange import ExchangeRefuses, ExchangeUnavailable, Told

with driver_of("aws"):
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError, ParamValidationError

MISSING = frozenset(
    {"NotFound", "NoSuchKey", "404", "AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist", "NoSuchBucket"}
)
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_KEY = re.compile(r"[\x21-\x7e]{1,256}")
_PASSING = ("Throttl", "SlowDown", "Internal", "ServiceUnavailable", "RequestTimeout", "QueueDeletedRecently", "5")
_CONFIG = Config(
    signature_version="v4", connect_timeout=10, read_timeout=60, retries={"mode": "standard", "max_attempts": 4},
    proxies={}, request_checksum_calculation="when_required", response_checksum_validation="when_required",
)  # fmt: skip
_S3_CONFIG = _CONFIG.merge(Config(signature_version="s3v4", s3={"addressing_style": "path"}))


class Account:
    """What a customer may do at AWS. Clients are made when they are needed."""

    def __init__(self, told: Told, guard: Guard) -> None:
        self.region = region_of(told.get("aws_region", ""))
        self.endpoint = endpoint_of(told, guard)
        self._keys = {
            "aws_access_key_id": _matching(told, "aws_access_key", _KEY),
            "aws_secret_access_key": _matching(told, "aws_secret_key", _KEY),
        }
        self._told = told
        self.topic_region = self.region

    @property
    def bucket(self) -> str:
        return _matching(self._told, "s3_bucket", _BUCKET)

    def check_bucket(self) -> None:
        """Before AWS is asked for anything. Raises Invalid."""
        _ = self.bucket

    @cached_property
    def sns(self) -> Any:
        return self.client("sns", self.topic_region)

    @cached_property
    def sqs(self) -> Any:
        return self.client("sqs")

    @cached_property
    def s3(self) -> Any:
        return self.client("s3")

    @cached_property
    def sts(self) -> Any:
        return self.client("sts")

    @cached_property
    def id(self) -> str:
        """The account's number, as AWS says."""
        return str(self.sts.get_caller_identity()["Account"])

    def client(self, service: str, region: str | None = None, **keys: str) -> Any:
        with _LOCK:  # making clients is the one thing of boto3 that threads must not do at once
            return _SESSION.client(
                service, region_name=region or self.region, endpoint_url=self.endpoint,
                config=_S3_CONFIG if service == "s3" else _CONFIG, **(keys or self._keys),
            )  # fmt: skip


_LOCK = threading.Lock()
_SESSION = boto3.session.Session(aws_access_key_id="none", aws_secret_access_key="none")  # noqa: S106 - nobody's


@contextmanager
def translated(*, ignoring: frozenset[str] = frozenset()) -> Iterator[None]:
    """Errors of the driver become those of the port. Codes in ``ignoring`` are none."""
    try:
        yield
    except ClientError as exc:
        code = str(exc.response.get("Error", {}).get("Code", ""))[:80]
        if code in ignoring:
            return
        if code.startswith(_PASSING):
            raise ExchangeUnavailable(f"AWS does not answer as it should ({code})") from None
        raise ExchangeRefuses(f"AWS refuses {exc.operation_name} ({code})") from None
    except ParamValidationError:
        raise Invalid("AWS does not take these names") from None
    except (BotoCoreError, HTTPClientError, OSError) as exc:
        raise ExchangeUnavailable(f"AWS does not answer: {type(exc).__name__}") from None


def regions(service: str) -> list[str]:
    """All that the driver knows."""
    with _LOCK:
        return sorted(_SESSION.get_available_regions(service))


def endpoint_of(told: Told, guard: Guard) -> str | None:
    endpoint = told.get("aws_endpoint")
    if not endpoint:
        return None
    try:
        parts = urlsplit(endpoint)
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        raise Invalid("aws_endpoint is https://host or https://host:port") from None
    if parts.scheme not in ("http", "https") or parts.path not in ("", "/") or parts.query or "@" in parts.netloc:
        raise Invalid("aws_endpoint is https://host or https://host:port")
    addresses = guard.checked(parts.hostname or "", port)
    if not guard.vouches_for(parts.hostname or "") and str(addresses[0]) != parts.hostname:
        raise Invalid("the operator of this server has to name the host of aws_endpoint in FOEDUS_SOURCES_ALLOW")
    return endpoint.rstrip("/")


def _matching(told: Told, name: str, pattern: re.Pattern[str]) -> str:
    text = told.get(name, "")
    if not pattern.fullmatch(text):
        raise Invalid(f"{name} is missing, or is none", name=name)
    return text
