"""Other servers over HTTP: to addresses that were checked, without following where they lead."""

import ssl

import httpx

from foedus.connectors.internet import Guard, literal
from foedus.connectors.web import checked
from foedus.core.codecs import strict_json
from foedus.core.errors import Invalid
from foedus.ports.neighbours import MAX_ANSWER_BYTES, NeighbourRefuses, NeighbourUnavailable

TIMEOUTS = httpx.Timeout(10.0, connect=5.0)


class HttpNeighbours:
    """Certificates are checked against the authorities of the system."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._trust = ssl.create_default_context()

    def post(self, url: str, body: bytes) -> bytes:
        parts = checked(url, "fed_rest_url")
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
        address = self._guard.checked(host, port)[0]
        there = parts._replace(netloc=f"{literal(address)}:{port}", fragment="").geturl()
        headers = {"Host": parts.netloc, "Content-Type": "application/json", "Accept-Encoding": "identity"}
        try:
            # trust_env would let a proxy out of the environment connect to what was not checked.
            with (
                httpx.Client(verify=self._trust, timeout=TIMEOUTS, follow_redirects=False, trust_env=False) as client,
                client.stream(
                    "POST", there, content=body, headers=headers, extensions={"sni_hostname": host}
                ) as response,
            ):
                return _answer(response)
        except httpx.HTTPError as exc:
            raise NeighbourUnavailable(f"the server at {host} does not answer: {type(exc).__name__}") from exc


def _answer(response: httpx.Response) -> bytes:
    data = b""
    for piece in response.iter_raw():
        data += piece
        if len(data) > MAX_ANSWER_BYTES:
            raise NeighbourRefuses("the other server's answer is too long")
    if response.status_code >= 500 or response.status_code == 429:
        raise NeighbourUnavailable(f"the other server answers {response.status_code}")
    if response.status_code >= 300:
        raise NeighbourRefuses(f"the other server refuses: {_reason(data) or response.status_code}")
    return data


def _reason(data: bytes) -> str:
    try:
        value = strict_json.parse(data, max_depth=5)
    except Invalid:
        return ""
    text = value.get("statusString") if isinstance(value, dict) else None
    return text[:200] if isinstance(text, str) and text.isprintable() else ""
