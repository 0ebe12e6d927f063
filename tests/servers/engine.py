"""The part of the Engine API that runs containers, over HTTP on a Unix socket, as Docker and Podman speak it.

Containers really run, with the mounts, users and variables that they are created with. The network of each is this
machine's loopback where it has one at all.
"""

import json
import re
import socketserver
import struct
import threading
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, unquote, urlsplit
from uuid import uuid4

from tests.servers.contained import Contained, Mount

_PATH = re.compile(
    r"(?:/v[0-9.]+)?/(version|containers|networks|images)(?:/(.+?))?(?:/(json|start|wait|logs|connect))?"
)


class Engine:
    """What the engine has. ``images`` are those that are here, ``registry`` those that can be had; ``busy`` are
    answers that the next requests get instead.
    """

    def __init__(self, folder):
        self.folder = folder
        self.containers, self.networks, self.running = {}, {}, {}
        self.images, self.registry, self.busy, self.asked, self.begun = set(), set(), [], [], []
        self.changed = threading.Condition()

    def create(self, name, told):
        with self.changed:
            if name in self.containers:
                return 409, {"message": f'Conflict. The container name "/{name}" is already in use'}
            if told["Image"] not in self.images:
                return 404, {"message": f"No such image: {told['Image']}"}
            ident = uuid4().hex
            mode = told["HostConfig"]["NetworkMode"]
            if mode not in ("none", "bridge", *self.networks):
                return 404, {"message": f"network {mode} not found"}
            self.containers[name] = {
                "Id": ident, "Name": f"/{name}", "Config": told, "HostConfig": told["HostConfig"], "Image": "x",
                "State": {"Status": "created", "ExitCode": 0, "OOMKilled": False},
                "NetworkSettings": {"Networks": {mode: {"IPAddress": "127.0.0.1"}}},
            }  # fmt: skip
            return 201, {"Id": ident, "Warnings": []}

    def start(self, found):
        if found["State"]["Status"] != "created":
            return 304, None
        name, told = found["Name"][1:], found["Config"]
        mounts = [Mount(m["Source"], m["Target"], m["ReadOnly"]) for m in told["HostConfig"].get("Mounts", [])]
        env = dict(each.split("=", 1) for each in told.get("Env") or ())
        contained = Contained.begun(
            [*told["Entrypoint"], *told["Cmd"]], env, told.get("WorkingDir"), mounts, self.folder / f"{name}.log",
            user=int(told["User"].partition(":")[0]), network=told["HostConfig"]["NetworkMode"] != "none",
        )  # fmt: skip
        with self.changed:
            if not name.endswith("-door"):
                self.begun.append(name.removeprefix("foedus-"))
            self.running[name] = contained
            found["State"]["Status"] = "running"
        threading.Thread(target=self._await, args=(found, contained), daemon=True).start()
        return 204, None

    def remove(self, found):
        with self.changed:
            name = found["Name"][1:]
            if running := self.running.pop(name, None):
                running.kill()
            del self.containers[name]
            self.changed.notify_all()
        return 204, None

    def lose(self, run):
        self.remove(self.containers[f"foedus-{run}"])

    def left(self):
        return [*self.containers, *self.networks]

    def find(self, name):
        """By name or id."""
        return next((c for n, c in self.containers.items() if name in (n, c["Id"])), None)

    def close(self):
        for running in list(self.running.values()):
            running.kill()

    def _await(self, found, contained):
        contained.process.wait()
        with self.changed:
            found["State"].update(Status="exited", ExitCode=contained.code)
            self.changed.notify_all()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    engine: Engine

    def address_string(self):
        return "socket"

    def log_message(self, *_):
        pass

    def _any(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        where = urlsplit(self.path)
        kind, name, what = _PATH.fullmatch(where.path).groups()
        query = {key: values[0] for key, values in parse_qs(where.query).items()}
        self.engine.asked.append((self.command, where.path))
        if self.engine.busy:
            self._send(*self.engine.busy.pop(0))
        elif kind == "version":
            self._send(200, {"ApiVersion": "1.45", "Version": "27.0.0"})
        else:
            getattr(self, f"_{kind}")(unquote(name or ""), what, query, json.loads(body or b"{}"))

    do_GET = do_POST = do_DELETE = _any  # noqa: N815 - the names that the base class looks for

    def _images(self, name, what, query, _):
        engine = self.engine
        if what == "json":
            there = name in engine.images
            self._send(
                *((200, {"Id": name, "RepoTags": []}) if there else (404, {"message": f"No such image: {name}"}))
            )
            return
        reference = f"{query['fromImage']}@{query['tag']}"
        if reference not in engine.registry:
            self._send(404, {"message": f"manifest for {reference} not found: manifest unknown"})
            return
        engine.images.add(reference)
        self._send(200, {"status": "Pulled"})

    def _networks(self, name, what, query, told):
        networks = self.engine.networks
        if self.command == "POST" and what == "connect":
            container = self.engine.find(told["Container"])
            container["NetworkSettings"]["Networks"][networks[name]["Name"]] = {"IPAddress": "127.0.0.1"}
            self._send(200, None)
        elif self.command == "POST":
            made = {"Id": told["Name"], "IPAM": {"Config": [{"Subnet": "127.0.0.0/8"}]}, "Internal": False, **told}
            made["IPAM"] = {"Config": [{"Subnet": "127.0.0.0/8"}]}
            networks[told["Name"]] = made
            self._send(201, made)
        elif self.command == "DELETE":
            del networks[name]
            self._send(204, None)
        elif name:
            self._send(200, networks[name])
        else:
            wanted = json.loads(query.get("filters", "{}")).get("name", [])
            self._send(200, [n for n in networks.values() if any(w in n["Name"] for w in wanted)])

    def _containers(self, name, what, query, told):
        engine = self.engine
        if name == "create":
            self._send(*engine.create(query["name"], told))
            return
        found = engine.find(name)
        if found is None:
            self._send(404, {"message": f"No such container: {name}"})
        elif what == "json":
            self._send(200, found)
        elif what == "start":
            self._send(*engine.start(found))
        elif what == "wait":
            with engine.changed:
                engine.changed.wait_for(lambda: found["State"]["Status"] == "exited" or engine.find(name) is None)
            self._send(200, {"StatusCode": found["State"]["ExitCode"]})
        elif what == "logs":
            self._log(found)
        else:
            self._send(*engine.remove(found))

    def _log(self, found):
        """A frame, as of a container without a terminal."""
        path = self.engine.folder / f"{found['Name'][1:]}.log"
        data = path.read_bytes() if path.exists() else b""
        frame = struct.pack(">BxxxL", 1, len(data)) + data if data else b""
        self._send(200, frame)

    def _send(self, status, body):
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Date", datetime.now(UTC).isoformat())
        self.send_header("Content-Type", "application/json")
        if status not in (204, 304):
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


@contextmanager
def engine_at(socket, folder):
    """An engine that listens on the socket."""
    engine = Engine(folder)
    server = _Server(str(socket), type("Handler", (_Handler,), {"engine": engine}))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield engine
    finally:
        engine.close()
        server.shutdown()
        thread.join()
        server.server_close()
