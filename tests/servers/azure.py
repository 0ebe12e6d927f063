"""Azure's blobs: Azurite where it is installed (``npm install azurite``), and a small server of the part that is read.

The small one checks signatures as the service documents them, and answers reads by range and lists.
"""

import base64
import hashlib
import hmac
import re
import shutil
import tempfile
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, quote, unquote, urlsplit
from xml.sax.saxutils import escape

from azure.storage.blob import ContainerClient
from tests.servers.processes import ServerProcess, free_port

ACCOUNT = "devstoreaccount1"
# The well-known key of emulators, published in their documentation.
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
_SIGNED = ("content-encoding", "content-language", "content-length", "content-md5", "content-type", "date",
           "if-modified-since", "if-match", "if-none-match", "if-unmodified-since", "range")  # fmt: skip


_BLOB = (
    "<Last-Modified>Thu, 01 Jan 2026 00:00:00 GMT</Last-Modified><Etag>1</Etag><Content-Length>1</Content-Length>"
    "<BlobType>BlockBlob</BlobType>"
)


class AzuriteMissingError(LookupError):
    """There is no azurite-blob on the path; npm install -g azurite."""


@contextmanager
def azurite(container, blobs):
    """The endpoint of the account, whose container holds these blobs."""
    program = shutil.which("azurite-blob")
    if program is None:
        raise AzuriteMissingError(AzuriteMissingError.__doc__)
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        process = ServerProcess(
            [program, "--blobPort", str(port), "--location", folder, "--skipApiVersionCheck", "--disableTelemetry"],
            ready="successfully listens",
        )  # fmt: skip
        try:
            endpoint = f"http://127.0.0.1:{port}/{ACCOUNT}"
            credential = {"account_name": ACCOUNT, "account_key": KEY}
            with ContainerClient(endpoint, container, credential=credential) as client:
                client.create_container()
                for name, data in blobs.items():
                    client.upload_blob(name, data)
            yield endpoint
        finally:
            process.terminate()


@contextmanager
def small_azure(container, blobs):
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads, server.container, server.blobs = True, container, blobs
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/{ACCOUNT}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        _, account, container, *blob = unquote(parts.path).split("/", 3)
        if not self._is_signed(parts, query):
            self._say(403, b"", {"x-ms-error-code": "AuthenticationFailed"})
        elif (account, container) != (ACCOUNT, self.server.container):
            self._say(404, b"", {"x-ms-error-code": "ContainerNotFound"})
        elif not blob:
            self._say(200, self._listed(query), {"Content-Type": "application/xml"})
        elif blob[0] not in self.server.blobs:
            self._say(404, b"", {"x-ms-error-code": "BlobNotFound"})
        else:
            self._part(self.server.blobs[blob[0]])

    def _part(self, data):
        first, last = map(int, re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers["x-ms-range"]).groups())
        part = data[first : last + 1]
        about = f"bytes {first}-{first + len(part) - 1}/{len(data)}"
        headers = {"Content-Range": about, "ETag": '"1"', "Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT",
                   "x-ms-blob-type": "BlockBlob"}  # fmt: skip
        self._say(206, part, headers)

    def _listed(self, query):
        prefix, after = query.get("prefix", ""), query.get("marker", "")
        found = {}
        for name in sorted(self.server.blobs):
            if name.startswith(prefix):
                head, slash, _ = name[len(prefix) :].partition("/")
                found[prefix + head + slash] = "BlobPrefix" if slash else "Blob"
        later = [name for name in found if name > after]
        shown = later[: int(query["maxresults"])]
        entries = "".join(
            f"<{kind}><Name>{escape(name)}</Name><Properties>{_BLOB}</Properties></{kind}>"
            for name, kind in ((name, found[name]) for name in shown)
        )
        marker = shown[-1] if len(later) > len(shown) else ""
        return (
            f'<?xml version="1.0" encoding="utf-8"?><EnumerationResults ContainerName="{self.server.container}">'
            f"<Blobs>{entries}</Blobs><NextMarker>{escape(marker)}</NextMarker></EnumerationResults>"
        ).encode()

    def _is_signed(self, parts, query):
        lower = {name.lower(): value for name, value in self.headers.items()}
        own = "".join(f"{name}:{value}\n" for name, value in sorted(lower.items()) if name.startswith("x-ms-"))
        asked = "".join(f"\n{name}:{value}" for name, value in sorted(query.items()))
        plain = [lower.get(name, "") for name in _SIGNED]
        text = "\n".join(["GET", *plain]) + f"\n{own}/{ACCOUNT}{quote(unquote(parts.path))}{asked}"
        digest = hmac.digest(base64.b64decode(KEY), text.encode(), hashlib.sha256)
        return lower.get("authorization") == f"SharedKey {ACCOUNT}:{base64.b64encode(digest).decode()}"

    def _say(self, status, body, headers):
        self.send_response(status)
        for name, text in ({"Content-Length": str(len(body))} | headers).items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        """Nobody reads it."""
