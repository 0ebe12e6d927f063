"""Push messages through Pushwoosh's ``createMessage``, which hands them to the phones' makers.

Source: https://docs.pushwoosh.com/developer/api-reference/messages-api
"""

import json
import os
import re
import ssl
import threading
from collections import OrderedDict
from collections.abc import Mapping
from math import isfinite
from pathlib import Path
from typing import Any, Self
from urllib.parse import SplitResult, urlsplit

import httpx

from foedus.connectors.addresses import BadAddress, split_address
from foedus.core.errors import Invalid
from foedus.ports.push import PushMessage, PushUnavailable
from foedus.ports.secrets import Secret, SecretMissing

ENDPOINT = "https://cp.pushwoosh.com/json/1.3/createMessage"
TOKEN_VARIABLE = "PUSHWOOSH_API_TOKEN"  # noqa: S105  (the name of one)
APPLICATION_VARIABLE = "PUSHWOOSH_APPLICATION_CODE"
USERS_A_CALL = 1000
MAX_ANSWER_BYTES = 1 << 16
REMEMBERED = 1024
TIMEOUTS = httpx.Timeout(20.0, connect=5.0)
APPLICATION = re.compile(r"[A-Za-z0-9-]{1,32}")
SEND_DATE = re.compile(r"now|\d{4}-\d\d-\d\d \d\d:\d\d")
ON_THIS_MACHINE = {"localhost", "127.0.0.1", "::1"}


class PushwooshPush:
    """A message with ``title`` or ``text`` is shown; one without is silent, ``data`` alone, with ``type`` its kind.

    ``data`` is flat: text, numbers, true and false. ``options`` for messages that are shown: ``send_date`` (``now``, or
    ``YYYY-MM-DD HH:MM``), ``ignore_user_timezone`` (false: at that time on each phone's clock) and ``icon`` (a URL).

    A call takes 1,000 recipients. When one of several fails, the next attempt with the same ``id`` in this process goes
    on from there. Pushwoosh knows no ``id``: an attempt after a restart reaches phones again.
    """

    def __init__(self, application: str, token: Secret, *, endpoint: str = ENDPOINT, ca: str | None = None) -> None:
        self._endpoint = checked_endpoint(endpoint)
        if not APPLICATION.fullmatch(application):
            raise BadAddress("Pushwoosh's application code is letters, digits and '-'.", scheme="pushwoosh")
        self._application = application
        self._token = token
        self._taken: OrderedDict[str, int] = OrderedDict()
        self._lock = threading.Lock()
        self._client = httpx.Client(
            verify=ssl.create_default_context(cafile=ca),
            timeout=TIMEOUTS,
            follow_redirects=False,
            trust_env=self._endpoint.scheme == "https",  # no proxy is to see the token
        )

    @classmethod
    def from_url(cls, url: str, *, data: Path) -> Self:
        """``pushwoosh:`` or ``pushwoosh:https://host/path``; options
        ``application=CODE``, ``token_file=FILE`` and ``ca=FILE`` (certificates to trust instead of the usual ones).

        The application code may also be the variable PUSHWOOSH_APPLICATION_CODE. The API token is the text of
        ``token_file``; without that option the variable PUSHWOOSH_API_TOKEN, else ``secrets/pushwoosh-api-token``
        in the data folder.
        """
        parts, options = split_address(url.removeprefix("pushwoosh:"), ("application", "ca", "token_file"))
        application = options.get("application") or os.environ.get(APPLICATION_VARIABLE)
        if not application:
            raise BadAddress(f"Write pushwoosh:?application=CODE, or set {APPLICATION_VARIABLE}.", scheme="pushwoosh")
        token = _token(data, options.get("token_file"), os.environ)
        endpoint = parts._replace(query="").geturl() or ENDPOINT
        return cls(application, token, endpoint=endpoint, ca=options.get("ca"))

    def send(self, message: PushMessage) -> None:
        fields = notification(message)
        users = list(dict.fromkeys(message.recipients))
        # Without users, Pushwoosh would tell everybody: no recipients make no call.
        for start in range(self._taken_of(message.id), len(users), USERS_A_CALL):
            batch = users[start : start + USERS_A_CALL]
            self._create_message({**fields, "users": batch})
            self._remember(message.id, start + len(batch))
        self._remember(message.id, 0)

    def close(self) -> None:
        self._client.close()

    def _create_message(self, fields: Mapping[str, Any]) -> None:
        request = {"auth": self._token.reveal(), "application": self._application, "notifications": [fields]}
        body = json.dumps({"request": request}, allow_nan=False).encode()
        host = self._endpoint.hostname
        headers = {"Content-Type": "application/json"}
        try:
            with self._client.stream("POST", self._endpoint.geturl(), content=body, headers=headers) as response:
                answer = _read(response)
        except httpx.HTTPError as exc:
            raise PushUnavailable("Pushwoosh does not answer.", host=host, reason=type(exc).__name__) from exc
        status = _status_of(answer)
        if not response.is_success or status != 200:
            text = "Pushwoosh did not take the message."
            raise PushUnavailable(text, host=host, http_status=response.status_code, status=status)

    def _taken_of(self, message_id: str) -> int:
        with self._lock:
            return self._taken.get(message_id, 0)

    def _remember(self, message_id: str, count: int) -> None:
        """How many recipients of a message that is under way were taken over; 0 when it is done."""
        with self._lock:
            self._taken.pop(message_id, None)
            if count:
                self._taken[message_id] = count
            while len(self._taken) > REMEMBERED:
                self._taken.popitem(last=False)


def notification(message: PushMessage) -> dict[str, Any]:
    """Pushwoosh's notification object of a message, without its recipients. Raises Invalid."""
    shown = bool(message.title or message.text)
    ttls = {"ios_ttl": message.ttl_s, "android_gcm_ttl": message.ttl_s}
    if not shown:
        if message.options:
            raise Invalid("A silent push message has no options.", message_id=message.id)
        data = _flat({"type": message.kind, **message.data}, message)
        silent = {"data": data, "ios_silent": 1, "android_silent": 1}
        return {"send_date": "now", "ignore_user_timezone": True, **silent, **ttls}
    fields = {
        **_timing(message),
        **ttls,
        "android_header": message.title,
        "ios_title": message.title,
        "content": message.text,
        "android_priority": 0,
        "android_delivery_priority": "high",
    }
    return fields | ({"data": _flat({"type": message.kind, **message.data}, message)} if message.data else {})


def _timing(message: PushMessage) -> dict[str, Any]:
    options = {"send_date": "now", "ignore_user_timezone": True, "icon": "", **message.options}
    match options:
        case {"send_date": str(date), "ignore_user_timezone": bool(same), "icon": str(icon), **rest} if not rest:
            if SEND_DATE.fullmatch(date):
                icons = {"android_custom_icon": icon} if icon else {}
                return {"send_date": date, "ignore_user_timezone": same, **icons}
    text = "The options of a push message are send_date, ignore_user_timezone and icon."
    raise Invalid(text, message_id=message.id, found=sorted(map(str, message.options)))


def _flat(data: Mapping[Any, Any], message: PushMessage) -> dict[str, Any]:
    """``data``, if phones can read it: they take it apart as a map of text, and fall over what is nested."""
    for name, value in data.items():
        plain = type(value) in (str, int, bool) or (type(value) is float and isfinite(value))
        if not isinstance(name, str) or not plain:
            text = "The data of a push message to phones is flat: text, numbers, true and false."
            raise Invalid(text, message_id=message.id, field=str(name)[:80])
    return dict(data)


def _read(response: httpx.Response) -> bytes:
    answer = b""
    for chunk in response.iter_bytes():
        answer += chunk
        if len(answer) > MAX_ANSWER_BYTES:
            raise PushUnavailable("Pushwoosh's answer has no end.", http_status=response.status_code)
    return answer


def _status_of(answer: bytes) -> int | None:
    """``status_code`` of an answer in JSON; None when it has none."""
    try:
        document = json.loads(answer)
    except (ValueError, RecursionError):
        return None
    status = document.get("status_code") if isinstance(document, dict) else None
    return status if type(status) is int else None


def _token(data: Path, file: str | None, environment: Mapping[str, str]) -> Secret:
    if not file and environment.get(TOKEN_VARIABLE):
        return Secret(environment[TOKEN_VARIABLE])
    path = data / (file or "secrets/pushwoosh-api-token")
    try:
        text = path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as exc:
        raise SecretMissing(f"Set {TOKEN_VARIABLE}, or write the token into this file.", path=str(path)) from exc
    if not text:
        raise SecretMissing("The file of the token is empty.", path=str(path))
    return Secret(text)


def checked_endpoint(endpoint: str) -> SplitResult:
    """The address of ``createMessage``; a bare host means its usual path there."""
    parts = urlsplit(endpoint)
    if parts.scheme not in {"https", "http"} or not parts.hostname or parts.username is not None:
        raise BadAddress("Write pushwoosh: or pushwoosh:https://host/path.", scheme=parts.scheme)
    if parts.scheme == "http" and parts.hostname not in ON_THIS_MACHINE:
        raise BadAddress("The token travels in the body: only https may leave this machine.", scheme="http")
    return parts._replace(path=urlsplit(ENDPOINT).path) if parts.path in {"", "/"} else parts
