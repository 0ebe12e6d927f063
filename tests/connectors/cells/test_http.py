"""Cells over real sockets: signed, conditional, bounded, and nobody is led anywhere."""

import json
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from tests.contracts.cells import DATA, SECRET, CellsContract

from foedus.connectors.cells.http import HttpCells
from foedus.connectors.internet import Guard, Private
from foedus.core.errors import Invalid
from foedus.core.fusion.parcel import MEDIA_TYPE, Circle, digest_of
from foedus.core.symetryml.dates import check_window, parse_date
from foedus.core.symetryml.signing import Message, is_signed
from foedus.ports.cells import Cell, CellRefuses, CellTerms, CellUnavailable, Form, Question

PATH = "/symetry/rest/lab/projects/blood%20count/statistics"


class Handler(BaseHTTPRequestHandler):
    """A cell whose answer ``server.answer`` may replace."""

    def do_GET(self):
        self.server.asked.append((self.path, dict(self.headers)))
        date = self.headers["sym-date"]
        check_window(parse_date(date), datetime.now(UTC))
        signed = is_signed(
            Message(verb="GET", date=date, customer="lab", path=self.path.encode()), SECRET.reveal(),
            self.headers["Authorization"],
        )  # fmt: skip
        tag = f'"{digest_of(self.server.data)}"'
        if self.server.answer:
            self.server.answer(self)
        elif not signed:
            said(self, 401, "Invalid Signature")
        elif self.headers.get("If-None-Match") in ("*", tag):
            sent(self, 304)
        else:
            sent(self, 200, self.server.data, **{"Content-Type": MEDIA_TYPE, "ETag": tag})

    def log_message(self, *args):
        """Nobody reads it."""


def sent(handler, status, body=b"", **headers):
    handler.send_response(status)
    for name, value in ({"Content-Length": str(len(body))} | headers).items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(body)


def said(handler, status, text):
    body = json.dumps({"statusCode": "X", "statusString": text, "values": {}}).encode()
    sent(handler, status, body, **{"Content-Type": "application/json"})


@pytest.fixture
def server():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads, server.data, server.asked, server.answer = True, DATA, [], None
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def cells():
    return HttpCells(Guard.allowing(["127.0.0.1"]), CellTerms(max_bytes=20_000))


@pytest.fixture
def cell(server):
    return Cell(f"http://127.0.0.1:{server.server_port}", "lab", "blood count", SECRET)


class TestHttp(CellsContract):
    @pytest.fixture
    def hold(self, server):
        return lambda data: setattr(server, "data", data)

    @pytest.fixture
    def nowhere(self, cell):
        return replace(cell, url="http://127.0.0.1:1")


def ask(cells, cell, **question):
    pieces = []
    return cells.fetch(cell, Question(**question), pieces.append), b"".join(pieces)


def test_the_chain_of_those_who_ask_and_their_time_travel_along(cells, cell, server):
    ask(cells, cell, chain=("a", "b"), seconds=3.0)

    ((path, headers),) = server.asked
    assert path == PATH
    assert (headers["foedus-chain"], headers["foedus-seconds"]) == ("a,b", "3.000")


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_no_redirect_is_followed(cells, cell, server, status):
    server.answer = lambda handler: sent(handler, status, Location=f"{cell.url}/elsewhere")

    with pytest.raises(CellRefuses, match="leads elsewhere"):
        ask(cells, cell)

    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("status", "text", "error"),
    [
        (400, "Cannot Find SYMETRYML id[blood]", CellRefuses), (500, "out of order", CellUnavailable),
        (503, "", CellUnavailable), (429, "slowly", CellUnavailable), (508, "in a circle", Circle),
    ],
)  # fmt: skip
def test_what_a_cell_says_is_told(cells, cell, server, status, text, error):
    server.answer = lambda handler: said(handler, status, text + "\x1b[31m\n")

    with pytest.raises(error) as refused:
        ask(cells, cell)

    assert text in refused.value.message
    assert refused.value.message.isprintable()


def test_a_server_that_hands_nothing_over_is_asked_for_an_export(cells, cell, server):
    def answer(handler):
        if handler.path.endswith("/export"):
            sent(handler, 200, b'{"values":{}}', **{"Content-Type": "application/json"})
        else:
            said(handler, 404, "nothing here")

    server.answer = answer

    assert ask(cells, cell) == (Form.EXPORT, b'{"values":{}}')


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/html"}, {"Content-Type": MEDIA_TYPE, "Content-Encoding": "gzip"},
        {"Content-Type": MEDIA_TYPE, "Content-Length": "9" * 30},
    ],
)  # fmt: skip
def test_answers_of_another_kind_are_refused(cells, cell, server, headers):
    server.answer = lambda handler: sent(handler, 200, b"hello", **headers)

    with pytest.raises((CellRefuses, CellUnavailable)):
        ask(cells, cell)


@pytest.mark.parametrize("status", [200, 500])
def test_who_dribbles_is_given_up(cells, cell, server, status):
    def answer(handler):
        handler.send_response(status)
        handler.send_header("Content-Type", MEDIA_TYPE)
        handler.end_headers()
        for _ in range(60):
            handler.wfile.write(b"x")
            handler.wfile.flush()
            time.sleep(0.05)

    server.answer = answer
    began = time.monotonic()

    with pytest.raises(CellUnavailable):
        ask(cells, cell, seconds=0.3)

    assert time.monotonic() - began < 1.5


def test_private_addresses_are_refused_and_the_setting_is_named(cell, server):
    cells = HttpCells(Guard.allowing([], setting="FOEDUS_CELLS_ALLOW"), CellTerms())

    with pytest.raises(Private, match="FOEDUS_CELLS_ALLOW"):
        ask(cells, cell)

    assert server.asked == []


@pytest.mark.parametrize(
    "url",
    [
        "ftp://a", "cell-1.example", "https://user:pw@cell.example", "https://cell.example/path", "https://cell.example?x",
        "https://", "http://a:99999", "https://ex ample", "https://" + "a" * 500,
    ],
)  # fmt: skip
def test_what_is_no_root_of_a_server_is_refused(cells, url):
    with pytest.raises(Invalid):
        cells.check(url)


def test_the_address_of_a_server_is_kept_in_one_form(cells):
    assert cells.check("HTTPS://Cell-1.Example:8443/") == "https://cell-1.example:8443"
