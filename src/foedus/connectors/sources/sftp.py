"""Files of an SFTP server (extra ``sftp``), whose key has to be the one that the customer tells."""

import base64
import hashlib
import hmac
import io
import socket
import stat
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from posixpath import basename
from urllib.parse import urlsplit

from foedus.connectors.addresses import driver_of
from foedus.connectors.contents import Content, Terms, reading
from foedus.core.errors import Invalid
from foedus.ports.sources import Info, Listing, Reading, SourceMissing, SourceRefuses, SourceUnavailable

with driver_of("sftp"):
    import paramiko

PORT = 22
TIMEOUT_S = 30.0
MAX_NAMES = 1000
_WINDOW_BYTES = 2 << 20  # asked for at once, in requests of 32 KiB


class SftpSource:
    """``info``: ``path``, ``sftphost`` (``host`` or ``host:port``), ``sftpuser``, ``sftppasswd`` or ``sftpkey`` (a
    private key in PEM), and ``sftphostkey``: the server's public key (``ssh-ed25519 AAAA...``) or its fingerprint
    (``SHA256:...``, as ``ssh-keygen -l`` shows it).
    """

    def __init__(self, terms: Terms) -> None:
        self._terms = terms

    @contextmanager
    def read(self, info: Info) -> Iterator[Reading]:
        path = _path(info)
        with self._connected(info) as sftp, ExitStack() as stack:
            with translated():
                size = _size(sftp, path)
                file = stack.enter_context(closing(sftp.open(path, "rb", bufsize=0)))
            yield stack.enter_context(reading(Content(basename(path), _chunks(file, size), size), info, self._terms))

    def browse(self, info: Info) -> Listing:
        path = info.get("path") or "."
        with self._connected(info) as sftp, translated():
            found = sorted((each.filename, stat.S_ISDIR(each.st_mode or 0)) for each in sftp.listdir_iter(path))
        after = info.get("marker", "")
        later = [entry for entry in found if entry[0] > after]
        shown = later[:MAX_NAMES]
        return Listing(
            path, tuple(name for name, is_folder in shown if not is_folder),
            tuple(name for name, is_folder in shown if is_folder), shown[-1][0] if len(later) > len(shown) else "",
        )  # fmt: skip

    @contextmanager
    def _connected(self, info: Info) -> Iterator[paramiko.SFTPClient]:
        host, port = _host(info)
        wanted = info.get("sftphostkey", "").strip()
        if not wanted:
            raise Invalid("sftphostkey is missing: the server's public key, or its fingerprint (SHA256:...)")
        with ExitStack() as stack:
            with translated():
                # A transport that never started leaves its socket open.
                line = stack.enter_context(closing(self._socket(host, port)))
                transport = stack.enter_context(closing(paramiko.Transport(line)))
                transport.banner_timeout = transport.auth_timeout = TIMEOUT_S
                _ask_for_key(transport, wanted)
                transport.start_client(timeout=TIMEOUT_S)
                _check_key(transport.get_remote_server_key(), wanted)
                _sign_in(transport, info)
                sftp = stack.enter_context(closing(paramiko.SFTPClient.from_transport(transport)))
                sftp.get_channel().settimeout(TIMEOUT_S)
            yield sftp

    def _socket(self, host: str, port: int) -> socket.socket:
        *others, last = self._terms.guard.checked(host, port)
        for address in others:
            try:
                return socket.create_connection((str(address), port), timeout=10.0)
            except OSError:
                continue
        return socket.create_connection((str(last), port), timeout=10.0)


def _ask_for_key(transport: paramiko.Transport, wanted: str) -> None:
    """Servers have several keys; where one is told as a whole, its kind is asked for. Raises Invalid."""
    kind = wanted.split(maxsplit=1)[0]
    if kind.startswith("SHA256:"):
        return
    try:
        transport.get_security_options().key_types = ("rsa-sha2-512", "rsa-sha2-256") if kind == "ssh-rsa" else (kind,)
    except ValueError:
        raise Invalid("sftphostkey begins with a kind of key, such as ssh-ed25519, or with SHA256:") from None


def _sign_in(transport: paramiko.Transport, info: Info) -> None:
    user = info.get("sftpuser", "")
    if info.get("sftpkey"):
        transport.auth_publickey(user, _private_key(info["sftpkey"]))
    else:
        transport.auth_password(user, info.get("sftppasswd", ""), fallback=False)


def _check_key(key: paramiko.PKey, wanted: str) -> None:
    """Raises SourceRefuses before anything secret was said to a server that is another."""
    print_ = "SHA256:" + base64.b64encode(hashlib.sha256(key.asbytes()).digest()).decode().rstrip("=")
    shown = print_ if wanted.startswith("SHA256:") else f"{key.get_name()} {key.get_base64()}"
    told = wanted.rstrip("=") if wanted.startswith("SHA256:") else " ".join(wanted.split()[:2])
    if not hmac.compare_digest(shown.encode(), told.encode()):
        raise SourceRefuses(
            f"the server's key is not the one in sftphostkey; it shows {print_}: "
            "take that only if its operator confirms it"
        )


def _private_key(text: str) -> paramiko.PKey:
    for kind in (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey):
        try:
            return kind.from_private_key(io.StringIO(text))
        except (paramiko.SSHException, ValueError, IndexError):
            continue
    raise Invalid("sftpkey is a private key in PEM, Ed25519, ECDSA or RSA, without a passphrase")


def _host(info: Info) -> tuple[str, int]:
    try:
        parts = urlsplit("//" + info.get("sftphost", "").strip().removeprefix("sftp://"))
        host, port = parts.hostname or "", parts.port or PORT
    except ValueError:
        host = ""
    if not host or parts.username or parts.path.strip("/") or parts.query:
        raise Invalid("sftphost is host or host:port; user and password have places of their own")
    return host, port


def _path(info: Info) -> str:
    path = info.get("path", "")
    if not 1 <= len(path) <= 4096 or "\0" in path:
        raise Invalid("path is the path of a file on the server")
    return path


def _size(sftp: paramiko.SFTPClient, path: str) -> int:
    found = sftp.stat(path)
    if not stat.S_ISREG(found.st_mode or 0):
        raise SourceRefuses("path names no ordinary file")
    return found.st_size or 0


def _chunks(file: paramiko.SFTPFile, size: int) -> Iterator[bytes]:
    """A window is taken whole before the next is asked for: paramiko asks from a thread of its own, which would go on
    asking on a closed connection when a reader stops early.
    """
    with translated():
        for start in range(0, size, _WINDOW_BYTES):
            (window,) = file.readv([(start, min(_WINDOW_BYTES, size - start))])
            yield window


@contextmanager
def translated() -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise SourceMissing("the server has no such file") from None
    except PermissionError:
        raise SourceRefuses("the server does not let this user read it") from None
    except (paramiko.AuthenticationException, paramiko.BadAuthenticationType):
        raise SourceRefuses("the server does not take these credentials") from None
    except paramiko.ssh_exception.IncompatiblePeer:
        raise SourceRefuses("the server has no key or cipher of a kind that is taken") from None
    except (paramiko.SSHException, OSError, EOFError) as exc:
        raise SourceUnavailable(f"the server does not answer as it should: {type(exc).__name__}") from None
