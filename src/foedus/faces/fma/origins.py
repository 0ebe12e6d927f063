"""Pages of other origins that may call this dialect from a browser (CORS): those that are configured, and nobody else.

They bring their credentials in headers. Cookies of a user who is logged in here are never let through from elsewhere:
no answer says ``Access-Control-Allow-Credentials``.

Source: https://fetch.spec.whatwg.org/#http-cors-protocol
"""

from django.http import HttpRequest, HttpResponseBase

_HEADERS = "Authorization, CLIENT-UUID, Content-Type"
_READABLE = "Retry-After, WWW-Authenticate"
_KEEP_S = "600"  # how long a browser remembers what it was told


class Origins:
    """The origins, as browsers write them: ``https://app.example.org``, without a slash at the end."""

    def __init__(self) -> None:
        self._known: frozenset[str] = frozenset()

    def configure(self, known: tuple[str, ...]) -> None:
        self._known = frozenset(known)

    def admit(self, request: HttpRequest, response: HttpResponseBase) -> None:
        """Tell the browser that the page may read the answer; and before it calls, what it may send."""
        origin = request.headers.get("Origin", "")
        if origin not in self._known:
            return
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Access-Control-Expose-Headers"] = _READABLE
        if request.method == "OPTIONS":
            response.headers["Access-Control-Allow-Methods"] = response.headers["Allow"]
            response.headers["Access-Control-Allow-Headers"] = _HEADERS
            response.headers["Access-Control-Max-Age"] = _KEEP_S


ORIGINS = Origins()
