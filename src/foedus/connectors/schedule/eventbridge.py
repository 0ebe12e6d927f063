"""Rules of AWS EventBridge that call a function once a minute for each model, with ``{"detail": {"model_id": 3}}``.

The rule of model 3 is ``fma-scheduled-model-3-<stage>``, its one target ``model-3``. The function has to allow
``events.amazonaws.com`` to call it for rules of that name.
"""

import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from foedus.connectors.addresses import BadAddress, driver_of, split_address
from foedus.ports.schedule import ScheduleUnavailable

with driver_of("aws"):
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError

EVERY = "rate(1 minute)"
FUNCTION = re.compile(r"arn:aws[a-z-]*:lambda:(?P<region>[a-z0-9-]+):\d{12}:function:[A-Za-z0-9_:$-]+")
STAGE = re.compile(r"[A-Za-z0-9_-]{1,20}")
CALLS = Config(connect_timeout=3, read_timeout=10, retries={"mode": "standard", "max_attempts": 3})


class EventBridgeSchedule:
    """``target`` is the ARN of the function; the rules are made in its region, and carry ``tags``."""

    def __init__(
        self, target: str, stage: str = "dev", tags: Mapping[str, str] | None = None, *, endpoint: str | None = None
    ) -> None:
        found = FUNCTION.fullmatch(target)
        if not found:
            raise BadAddress("The target has to be the ARN of a Lambda function.", target=target[:200])
        if not STAGE.fullmatch(stage):
            raise BadAddress("A stage is 1 to 20 letters, digits, '-' and '_'.", stage=stage[:40])
        self._target, self._stage, self._region, self._endpoint = target, stage, found["region"], endpoint
        self._tags = [{"Key": key, "Value": value} for key, value in (tags or {}).items()]
        self._opened: Any = None
        self._lock = threading.Lock()

    @classmethod
    def from_url(cls, url: str, *, data: Path) -> Self:  # noqa: ARG003  (every connector is called the same way)
        parts, options = split_address(url, options=("target", "stage", "tags", "endpoint"))
        if parts.netloc or parts.path or "target" not in options:
            raise BadAddress("Write eventbridge:?target=<ARN of the function>.", scheme=parts.scheme)
        return cls(
            options["target"],
            options.get("stage", "dev"),
            _tags(options.get("tags", "")),
            endpoint=options.get("endpoint"),
        )

    def keep(self, model: int, *, active: bool) -> None:
        name, state = self._name(model), "ENABLED" if active else "DISABLED"
        target = {"Id": f"model-{model}", "Arn": self._target, "Input": json.dumps({"detail": {"model_id": model}})}
        with _translated(model):
            self._client.put_rule(Name=name, ScheduleExpression=EVERY, State=state, Tags=self._tags)
            answer = self._client.put_targets(Rule=name, Targets=[target])
        _check(answer, model)

    def drop(self, model: int) -> None:
        name = self._name(model)
        with _translated(model):
            try:
                answer = self._client.remove_targets(Rule=name, Ids=[f"model-{model}"])
            except self._client.exceptions.ResourceNotFoundException:
                return
            _check(answer, model)
            self._client.delete_rule(Name=name)

    @property
    def _client(self) -> Any:
        with self._lock:
            if self._opened is None:  # at first use, because clients do not survive a fork
                session = boto3.session.Session(region_name=self._region)
                self._opened = session.client("events", endpoint_url=self._endpoint, config=CALLS)
            return self._opened

    def _name(self, model: int) -> str:
        return f"fma-scheduled-model-{model}-{self._stage}"


def _tags(text: str) -> dict[str, str]:
    pairs = [pair.partition("=") for pair in text.split(",") if pair.strip()]
    if any(not key.strip() or not equals for key, equals, _ in pairs):
        raise BadAddress("Tags are written key=value, separated by commas.", tags=text[:100])
    return {key.strip(): value.strip() for key, _, value in pairs}


def _check(answer: Mapping[str, Any], model: int) -> None:
    """These calls can fail in part, and then answer 200."""
    if failed := answer.get("FailedEntries"):
        raise ScheduleUnavailable(model=model, reason=failed[0].get("ErrorCode"))


@contextmanager
def _translated(model: int) -> Iterator[None]:
    try:
        yield
    except ClientError as exc:
        raise ScheduleUnavailable(model=model, reason=exc.response.get("Error", {}).get("Code", "")) from exc
    except (BotoCoreError, HTTPClientError) as exc:
        raise ScheduleUnavailable(model=model, reason=type(exc).__name__) from exc
