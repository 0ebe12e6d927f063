"""Requests to an ASGI application as a server makes them, piece by piece, also those that never end."""

import asyncio
import json


class Exchange:
    """A request whose body comes in ``pieces``; after the last there is silence, unless the body is complete."""

    def __init__(self, method="GET", path="/", *, headers=None, pieces=(), is_complete=True, app=None):
        self.scope = {
            "type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": b"",
            "http_version": "1.1", "scheme": "http", "client": ("192.0.2.1", 1), "server": ("testserver", 80),
            "root_path": "", "app": app, "state": {}, "headers": [
                (name.lower().encode(), value.encode())
                for name, value in {"Host": "testserver", **(headers or {})}.items()
            ],
        }  # fmt: skip
        self._messages = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
        if is_complete:
            self._messages.append({"type": "http.request", "body": b"", "more_body": False})
        self.n_received = 0
        self.sent = []

    async def receive(self):
        if not self._messages:
            await asyncio.Event().wait()
        self.n_received += 1
        return self._messages.pop(0)

    async def send(self, message):
        self.sent.append(message)

    async def through(self, app):
        await asyncio.wait_for(app(self.scope, self.receive, self.send), 5)
        return self

    @property
    def status(self):
        return self.sent[0]["status"]

    @property
    def headers(self):
        return {name.decode(): value.decode() for name, value in self.sent[0]["headers"]}

    @property
    def body(self):
        return b"".join(message.get("body", b"") for message in self.sent[1:])

    @property
    def code(self):
        return json.loads(self.body)["code"]
