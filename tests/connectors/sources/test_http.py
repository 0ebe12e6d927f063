"""Files on a web server, a real one over a real socket."""

import gzip
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from tests.contracts.sources import CSV, SourceContract, taken

from foedus.connectors.contents import Terms
from foedus.connectors.internet import Guard, Private
from foedus.connectors.sources.http import HttpSource
from foedus.core.errors import Invalid, TooLarge
from foedus.ports.sources import SourceRefuses, SourceUnavailable


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        status, headers, body = self.server.pages.get(self.path, (404, {}, b""))
        self.server.asked.append((self.path, self.headers["Host"]))
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        """Nobody reads it."""


@pytest.fixture
def web():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads, server.pages, server.asked = True, {"/d.csv": (200, {}, CSV)}, []
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    server.url = f"http://127.0.0.1:{server.server_port}"
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def source(tmp_path):
    return HttpSource(Terms(Guard.allowing(["127.0.0.1"]), max_bytes=1 << 20, scratch=tmp_path))


class TestHttp(SourceContract):
    @pytest.fixture
    def place(self, web):
        return {"path": f"{web.url}/d.csv"}

    @pytest.fixture
    def nowhere(self, web):
        return {"path": f"{web.url}/none.csv"}


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "[::1]", "169.254.169.254", "10.0.0.1", "0.0.0.0", "2130706433", "[::ffff:7f00:1]"],
)  # fmt: skip
def test_private_addresses_are_refused_however_they_are_written(web, host):
    source = HttpSource(Terms())

    with pytest.raises(Private), source.read({"path": f"http://{host}:{web.server_port}/d.csv"}):
        pass

    assert web.asked == []


def test_a_redirect_to_a_private_address_is_refused(web):
    web.pages["/d.csv"] = (302, {"Location": "http://secret.test/latest/meta-data"}, b"")
    resolved = {"files.test": ["127.0.0.1"], "secret.test": ["169.254.169.254"]}
    guard = Guard.allowing(["files.test"], resolve=lambda host, _: resolved[host])

    with pytest.raises(Private), HttpSource(Terms(guard)).read(
        {"path": f"http://files.test:{web.server_port}/d.csv"}
    ):  # fmt: skip
        pass


def test_the_address_that_was_checked_is_the_one_that_is_asked(web):
    answers = iter([["127.0.0.1"], ["169.254.169.254"]])
    guard = Guard.allowing(["127.0.0.1"], resolve=lambda *_: next(answers))

    _, rows = taken(HttpSource(Terms(guard)), {"path": f"http://turns.test:{web.server_port}/d.csv"})

    assert len(rows) == 3
    assert web.asked == [("/d.csv", f"turns.test:{web.server_port}")]


def test_redirects_are_followed_and_not_for_ever(web, source):
    web.pages |= {"/a": (307, {"Location": "/d.csv"}, b""), "/loop": (302, {"Location": "/loop"}, b"")}

    assert len(taken(source, {"path": f"{web.url}/a", "format": "csv"})[1]) == 3
    with pytest.raises(SourceRefuses), source.read({"path": f"{web.url}/loop"}):
        pass


@pytest.mark.parametrize("path", ["file:///etc/passwd", "ftp://h/x", "http://", "http://a:b@h/x", "http://h/a b", ""])
def test_what_is_no_plain_address_is_refused(source, path):
    with pytest.raises(Invalid), source.read({"path": path}):
        pass


def test_a_file_that_unpacks_to_too_much_is_refused_before_it_fills_memory(web, source):
    web.pages["/bomb.csv.gz"] = (200, {}, gzip.compress(b"a\n" + b"1\n" * (4 << 20)))

    with pytest.raises(TooLarge):
        taken(source, {"path": f"{web.url}/bomb.csv.gz"})


def test_a_file_that_breaks_off_is_no_file(web, source):
    web.pages["/cut.csv"] = (200, {"Content-Length": "9999"}, CSV)

    with pytest.raises(SourceUnavailable):
        taken(source, {"path": f"{web.url}/cut.csv"})
