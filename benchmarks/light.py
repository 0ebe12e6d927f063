"""A client that costs next to nothing: of a thousand of them on one machine, none may be what is measured.

It writes a request as it is and reads an answer that says how long it is; nothing else of HTTP.
"""

import asyncio
import json
from urllib.parse import urlsplit


class Connection(asyncio.Protocol):
    """One kept connection with one token; one question at a time."""

    def __init__(self, host, token):
        self._head = f"Host: {host}\r\nAuthorization: Bearer {token}\r\n"
        self._buffer, self._answer, self._transport = b"", None, None

    @classmethod
    async def to(cls, url, token):
        """A connection to the server at ``url``."""
        where = urlsplit(url)
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(lambda: cls(where.netloc, token), where.hostname, where.port)
        return connection

    def written(self, method, path, body=b"", **headers):
        """A request, to be asked any number of times."""
        said = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        length = f"Content-Length: {len(body)}\r\n" if method in ("PUT", "POST") else ""
        return f"{method} /foedus/v1{path} HTTP/1.1\r\n{self._head}{length}{said}\r\n".encode() + body

    async def ask(self, request):
        """The body of the answer; anything but success is an error."""
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        status, body = await self._answer
        if status >= 300:
            raise RuntimeError(f"{request.split(b' HTTP', 1)[0].decode()}: {status} {body[:300]!r}")
        return body

    async def json(self, request):
        return json.loads(await self.ask(request))

    def close(self):
        self._transport.close()

    def connection_made(self, transport):
        self._transport = transport

    def data_received(self, data):
        self._buffer += data
        head, ended, rest = self._buffer.partition(b"\r\n\r\n")
        if not ended:
            return
        lines = head.split(b"\r\n")
        length = next(int(line[15:]) for line in lines if line[:15].lower() == b"content-length:")
        if len(rest) >= length:
            self._buffer = rest[length:]
            self._answer.set_result((int(lines[0].split()[1]), rest[:length]))

    def connection_lost(self, exc):
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(exc or ConnectionResetError("the server ended the connection"))
