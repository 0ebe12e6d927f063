"""An SFTP server over real sockets for one folder, with keys of its own."""

import socket
import threading
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import paramiko

USER, PASSWORD = "reader", "orchid"


@cache
def ssh_key(number=0):
    """Different for each ``number``."""
    return paramiko.ECDSAKey.generate()


@cache
def rsa_key():
    return paramiko.RSAKey.generate(2048)


class _Accounts(paramiko.ServerInterface):
    def check_auth_password(self, username, password):
        fine = (username, password) == (USER, PASSWORD)
        return paramiko.AUTH_SUCCESSFUL if fine else paramiko.AUTH_FAILED

    def check_auth_publickey(self, username, key):
        fine = username == USER and key == ssh_key(9)
        return paramiko.AUTH_SUCCESSFUL if fine else paramiko.AUTH_FAILED

    def get_allowed_auths(self, username):
        return "password,publickey"

    def check_channel_request(self, kind, chanid):
        return paramiko.OPEN_SUCCEEDED


class _Folder(paramiko.SFTPServerInterface):
    root = "/"

    def _path(self, path):
        return Path(self.root + self.canonicalize(path))

    def list_folder(self, path):
        try:
            names = [each.name for each in self._path(path).iterdir()]
        except OSError as exc:
            return paramiko.SFTPServer.convert_errno(exc.errno)
        return [self.stat(f"{path}/{name}", name) for name in names]

    def stat(self, path, name=None):
        try:
            return paramiko.SFTPAttributes.from_stat(self._path(path).stat(), name)
        except OSError as exc:
            return paramiko.SFTPServer.convert_errno(exc.errno)

    def open(self, path, flags, attr):
        handle = paramiko.SFTPHandle(flags)
        try:
            handle.readfile = self._path(path).open("rb")
        except OSError as exc:
            return paramiko.SFTPServer.convert_errno(exc.errno)
        return handle


class SftpServer:
    """``host``: where it listens. ``asked``: who tried to sign in how often."""

    def __init__(self, root, keys):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.host = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._folder = type("Folder", (_Folder,), {"root": str(root)})
        self._keys, self._transports = keys, []
        self.sign_ins = 0
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            transport = paramiko.Transport(connection)
            for key in self._keys:
                transport.add_server_key(key)
            transport.set_subsystem_handler("sftp", paramiko.SFTPServer, self._folder)
            self._transports.append(transport)
            accounts = _Accounts()
            accounts.check_auth_none = self._noted
            transport.start_server(event=threading.Event(), server=accounts)

    def _noted(self, username):
        self.sign_ins += 1
        return paramiko.AUTH_FAILED

    def close(self):
        if self._thread.is_alive():
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
        self._thread.join()
        for transport in self._transports:
            transport.close()
            transport.join(5)


@contextmanager
def sftp_server(root, *keys):
    server = SftpServer(root, keys or (ssh_key(), rsa_key()))
    try:
        yield server
    finally:
        server.close()
