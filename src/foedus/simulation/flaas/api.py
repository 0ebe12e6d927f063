"""The FLaaS REST API as the app calls it: its paths, its headers, its idea of success, its way with tokens."""

import threading
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import httpx

from foedus.core.errors import TooLarge, Unavailable
from foedus.core.fleet.modes import DatasetType
from foedus.simulation.flaas.answers import ProjectAnswer, RoundAnswer, Unreadable, json_object, json_value, text
from foedus.simulation.flaas.meter import Meter

TIMEOUT = httpx.Timeout(120.0, connect=30.0)
MAX_BODY_BYTES = 512 << 20
MAX_REFRESHES = 20
MODEL_FILE, RESULTS_FILE = "model_weights.bin", "performance.json"
JSON = "application/json; charset=utf-8"
OCTETS = "application/octet-stream"
FORM = "application/x-www-form-urlencoded"
_UNAUTHORIZED = 401
_WITHOUT_BODY = (204, 205)  # the app takes the missing body for a failure


class CallFailed(Unavailable):
    """The server did not do what it was asked; the job that asked may try again."""


class RefreshLoop(Unavailable):
    """The server answers 401 to a refresh token: a phone would ask again until it runs out of memory."""


def open_client(url: str, *, transport: httpx.BaseTransport | None = None) -> httpx.Client:
    """Connections that many phones share. Redirects are followed; tokens stay with the host that gave them."""
    client = httpx.Client(
        base_url=url, transport=transport, timeout=TIMEOUT, follow_redirects=True, trust_env=False,
        limits=httpx.Limits(max_connections=None, max_keepalive_connections=64),
    )  # fmt: skip
    del client.headers["Accept"]  # the app sends none
    client.headers["User-Agent"] = "foedus-flaas-device"
    return client


class FlaasApi:
    """One phone's calls. Safe to use from several threads.

    Raises CallFailed for anything but 2xx with a body, Unreadable for what the app cannot read.
    """

    def __init__(self, client: httpx.Client, meter: Meter | None = None) -> None:
        self._client = client
        self._meter = meter or Meter()
        self._tokens_lock = threading.RLock()
        self._access = self._refresh_token = ""

    @property
    def logged_in(self) -> bool:
        return bool(self._access)

    def use_tokens(self, access: str, refresh: str) -> None:
        """Go on with the tokens of an earlier login."""
        self._access, self._refresh_token = access, refresh

    def log_in(self, username: str, password: str) -> None:
        """A wrong password makes the app ask for a refresh, too: its stack does so after any 401."""
        form = {"username": username, "password": password}
        self._take_tokens(self._call("token", "POST", "/api/token/", form=form))

    def log_out(self) -> None:
        self._access = self._refresh_token = ""

    def get_samples(self, kind: DatasetType, app: int) -> bytes:
        return self._call("get-samples", "GET", f"/api/get-samples/{kind}/{app}/")

    def join_round(self, project: int, number: int, status: int = 1) -> RoundAnswer:
        path = f"/api/project/{project}/join-round/{number}/?status={status}"
        return RoundAnswer.read(self._call("join-round", "GET", path))

    def get_model(self, project: int, number: int) -> bytes:
        return self._call("get-model", "GET", f"/api/project/{project}/get-model/{number}/")

    def report_availability(self, body: bytes) -> None:
        self._call("report-availability", "POST", "/api/report-availability", content=body, content_type=JSON)

    def submit_model(self, project: int, number: int, model: bytes) -> None:
        path = f"/api/project/{project}/submit-model/{number}/{MODEL_FILE}"
        self._call("submit-model", "POST", path, content=model, content_type=OCTETS)

    def submit_results(self, project: int, number: int, results: bytes) -> None:
        path = f"/api/project/{project}/submit-results/{number}/{RESULTS_FILE}"
        self._call("submit-results", "POST", path, content=results, content_type=JSON)

    def projects(self) -> list[ProjectAnswer]:
        found = json_value(self._call("project", "GET", "/api/project/"))
        if not isinstance(found, list) or not all(isinstance(fields, dict) for fields in found):
            raise Unreadable("a list of projects was expected")
        return [ProjectAnswer.read(fields) for fields in found]

    def project(self, project: int) -> ProjectAnswer:
        """Declared without the slash: the server redirects."""
        return ProjectAnswer.read(json_object(self._call("project", "GET", f"/api/project/{quote(str(project))}")))

    def _call(self, name: str, method: str, path: str, **content: Any) -> bytes:
        used = self._access
        answer, body = self._send(name, method, path, **content)
        if answer.status_code == _UNAUTHORIZED and self._refreshed(used):
            answer, body = self._send(name, method, path, **content)
        if not answer.is_success or answer.status_code in _WITHOUT_BODY:
            raise CallFailed(f"{method} {path}", status=answer.status_code)
        return body

    def _refreshed(self, used: str) -> bool:
        """Exchange the tokens, once however many calls were refused at a time. A failure logs the phone out."""
        with self._tokens_lock:
            if self._access != used:
                return self.logged_in
            for _ in range(MAX_REFRESHES):
                answer, body = self._send(
                    "refresh", "POST", "/api/token/refresh/", form={"refresh": self._refresh_token}
                )
                if answer.status_code != _UNAUTHORIZED:
                    break
            else:
                raise RefreshLoop
            if answer.is_success:
                self._take_tokens(body)
                return True
            self.log_out()
            return False

    def _take_tokens(self, body: bytes) -> None:
        fields = json_object(body)
        with self._tokens_lock:
            self._access, self._refresh_token = text(fields, "access"), text(fields, "refresh")

    def _send(
        self, name: str, method: str, path: str, *,
        form: Mapping[str, str] | None = None, content: bytes = b"", content_type: str = "",
    ) -> tuple[httpx.Response, bytes]:  # fmt: skip
        """One exchange. The access token goes along always, also when it is stale and nobody asks for one."""
        headers = {"Authorization": f"Bearer {self._access}"} if self._access else {}
        if form is not None:
            content, content_type = str(httpx.QueryParams(form)).encode(), FORM
        if content_type:
            headers["Content-Type"] = content_type
        started = time.monotonic()
        try:
            with self._client.stream(method, path, content=content or None, headers=headers) as answer:
                body = _whole(answer)
        except httpx.HTTPError as exc:
            raise CallFailed(f"{method} {path}: {type(exc).__name__}: {exc}") from exc
        seconds = time.monotonic() - started
        self._meter.called(name, seconds, len(content), answer.num_bytes_downloaded, refused=not answer.is_success)
        return answer, body


def _whole(answer: httpx.Response) -> bytes:
    body = bytearray()
    for chunk in answer.iter_bytes():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise TooLarge(f"an answer of more than {MAX_BODY_BYTES} bytes")
    return bytes(body)
