"""What customers say when they create or join a federation: maps of texts, hostile until they were read here."""

import re
from collections.abc import Mapping
from typing import Any

from foedus.core.errors import Invalid
from foedus.core.federation.schedules import period_s
from foedus.services.statistics.computing import check_single

MAX_KEYS = 60
MAX_CHARACTERS = 20_000
FED_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,59}")
_ACTIONS = ("fed_psr_contract_snd_fail_action", "fed_psr_contract_rcv_fail_action")
_NATS, _AWS = ("nats_",), ("aws_", "s3_bucket", "topic_region", "sns_", "sqs_")
_SHARED = ("fed_encrypt", "fed_use_smpc")
_CHOICES = {
    "fed_use_smpc": ("false", "true"),
    "fed_enforce_hipaa_compliance": ("true", "false"),
    "fed_encrypt": ("true", "false", "clear"),
}
_OWN = ("fed_local_id", "fed_local_type", "fed_enforce_hipaa_compliance", *_ACTIONS)


def texts_of(value: Any) -> dict[str, str]:
    """A flat map; numbers and truth values become texts, as the dialect has them. Raises Invalid."""
    if not isinstance(value, Mapping) or len(value) > MAX_KEYS:
        raise Invalid(f"send a map of at most {MAX_KEYS} keys")
    found = {}
    for name, each in value.items():
        if name == "nats_hosts" and isinstance(each, list) and all(isinstance(item, str) for item in each):
            each = ",".join(each)  # noqa: PLW2901 - these alone may be a list
        if not isinstance(each, str | int | float | bool):
            raise Invalid(f"{str(name)[:60]} is no text")
        found[str(name)] = (str(each).lower() if isinstance(each, bool) else str(each)).strip()
        if len(found[str(name)]) > MAX_CHARACTERS:
            raise Invalid(f"{str(name)[:60]} is longer than {MAX_CHARACTERS} characters")
    return found


def needed(given: Mapping[str, str], name: str) -> str:
    """Raises Invalid."""
    if not given.get(name):
        raise Invalid(f"{name} is missing")
    return given[name]


def fed_name(given: Mapping[str, str]) -> str:
    """Raises Invalid."""
    name = needed(given, "fed_name")
    if not FED_NAME.fullmatch(name):
        raise Invalid("fed_name has 1 to 60 letters, digits, - and _, and begins with a letter or digit")
    return name


def schedule(given: Mapping[str, str]) -> str:
    """Raises Invalid."""
    period_s(needed(given, "sync_sched"))
    return given["sync_sched"]


def transport_of(given: Mapping[str, str]) -> str:
    """Which one, by the keys that are there. Raises Invalid."""
    kinds = {
        "nats": any(name == "nats_hosts" for name in given), "aws": any(name.startswith("aws_") for name in given),
        "memory": "memory" in given,
    }  # fmt: skip
    found = [kind for kind, there in kinds.items() if there]
    if len(found) != 1:
        raise Invalid("say how nodes reach each other: nats_hosts for NATS, or aws_access_key and the others for AWS")
    return found[0]


def check_sign_in(given: Mapping[str, str]) -> None:
    """How a node tells the NATS server who it is: in one way, and whole. Raises Invalid."""
    user, password = (bool(given.get(name)) for name in ("nats_sec_user", "nats_sec_passwd"))
    if user != password:
        raise Invalid("nats_sec_user and nats_sec_passwd go together; one of them is missing")
    if user + bool(given.get("nats_sec_token")) + bool(given.get("nats_sec_nkey_seed")) > 1:
        raise Invalid("say one of nats_sec_user and nats_sec_passwd, nats_sec_token, nats_sec_nkey_seed")


def told(given: Mapping[str, str]) -> dict[str, str]:
    """What is the transport's business. Older pages spell some keys otherwise."""
    found = {name: text for name, text in given.items() if name.startswith((*_NATS, *_AWS)) or name == "memory"}
    if "nats_sec_passwd" in found:
        found["nats_sec_password"] = found.pop("nats_sec_passwd")
    if "topic_region" in found:
        found.setdefault("aws_topic_region", found.pop("topic_region"))
    return found


def published(told: Mapping[str, str]) -> dict[str, str]:
    """The transport's keys under the names that clients know."""
    return {"nats_sec_passwd" if name == "nats_sec_password" else name: text for name, text in told.items()}


def options(given: Mapping[str, str]) -> dict[str, str]:
    """What is about this node. Raises Invalid, NotSupported."""
    found = {name: given[name] for name in (*_OWN, *_SHARED) if given.get(name)}
    for action in _ACTIONS:
        value = found.get(action, "block").removeprefix(f"{action}_").lower()
        if value not in ("block", "allow"):
            raise Invalid(f"{action} is {action}_block or {action}_allow, not {value[:40]!r}")
        found[action] = value
    for name, known in _CHOICES.items():
        if found.get(name, known[0]) not in known:
            raise Invalid(f"{name} is {', '.join(known)}, not {found[name][:40]!r}")
    if "fed_local_type" in found:
        found["fed_local_type"] = _local_type(found["fed_local_type"].lower())
    return found


def _local_type(kind: str) -> str:
    check_single("fed_local_type", kind)
    if kind not in ("cpu", "gpu"):
        raise Invalid(f"fed_local_type is cpu or gpu, not {kind[:40]!r}")
    return kind
