"""A small provider of OpenID Connect over real HTTP, with keys of its own, that can also be told to misbehave."""

import base64
import hashlib
import json
import threading
import time
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlencode, urlsplit
from uuid import uuid4

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

CLIENT, CLIENT_SECRET = "foedus", "s3cret:with%colon"


@cache
def rsa_key(bits=2048, number=0):
    """Making one takes long: the same for the same ``number``."""
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


class Provider:
    """``account`` is who signs in; ``tamper`` changes claims; ``sign`` makes a token of claims in another way."""

    def __init__(self, url):
        self.url = self.issuer = url
        self.account = {"sub": "u-1", "preferred_username": "clinic", "email": "c@clinic.test", "email_verified": True}
        self.keys = {"k1": (rsa_key(), "RS256")}
        self.tamper = lambda claims: claims
        self.sign = self.signed
        self.asked = []
        self.metadata = {}
        self._codes = {}

    def signed(self, claims, *, kid="k1", **headers):
        key, algorithm = self.keys[kid]
        return jwt.encode(claims, key, algorithm, headers={"kid": kid, **headers})

    def rotate(self, kid, *, algorithm="ES256"):
        """Another key in place of all others."""
        key = ec.generate_private_key(ec.SECP256R1()) if algorithm == "ES256" else rsa_key()
        self.keys = {kid: (key, algorithm)}
        self.sign = lambda claims: self.signed(claims, kid=kid)

    def jwks(self):
        kinds = {"RS256": RSAAlgorithm, "ES256": ECAlgorithm}
        return {
            "keys": [
                {**kinds[alg].to_jwk(key.public_key(), as_dict=True), "kid": kid, "use": "sig", "alg": alg}
                for kid, (key, alg) in self.keys.items()
            ]
        }

    def discovery(self):
        return {
            "issuer": self.issuer, "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token", "jwks_uri": f"{self.url}/jwks",
            "end_session_endpoint": f"{self.url}/logout", **self.metadata,
        }  # fmt: skip

    def authorized(self, query):
        """Where the browser is sent once its person has agreed."""
        assert query["client_id"] == CLIENT
        assert query["response_type"] == "code"
        assert query["code_challenge_method"] == "S256"
        code = uuid4().hex
        self._codes[code] = query
        return f"{query['redirect_uri']}?{urlencode({'code': code, 'state': query['state'], 'iss': self.issuer})}"

    def exchanged(self, form, authorization):
        asked = self._codes.pop(form.get("code"), None)
        user, _, password = base64.b64decode(authorization.removeprefix("Basic ")).decode().partition(":")
        if (unquote(user), unquote(password)) != (CLIENT, CLIENT_SECRET):
            return 401, {"error": "invalid_client"}
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        if (
            asked is None
            or asked["redirect_uri"] != form["redirect_uri"]
            or asked["code_challenge"] != base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        ):
            return 400, {"error": "invalid_grant"}
        now = int(time.time())
        claims = {
            "iss": self.issuer, "aud": CLIENT, "iat": now, "exp": now + 300, "nonce": asked["nonce"], **self.account,
        }  # fmt: skip
        return 200, {"access_token": "a", "token_type": "Bearer", "id_token": self.sign(self.tamper(claims))}


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        provider, parts = self.server.provider, urlsplit(self.path)
        provider.asked.append(parts.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        match parts.path:
            case "/.well-known/openid-configuration":
                self._say(200, provider.discovery())
            case "/jwks":
                self._say(200, provider.jwks())
            case "/authorize":
                self._say(302, {}, Location=provider.authorized(query))
            case _:
                self._say(404, {})

    def do_POST(self):
        self.server.provider.asked.append(self.path)
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        form = {name: values[0] for name, values in parse_qs(body).items()}
        self._say(*self.server.provider.exchanged(form, self.headers.get("Authorization", "")))

    def _say(self, status, value, **headers):
        body = json.dumps(value).encode()
        self.send_response(status)
        for name, text in ({"Content-Length": str(len(body)), "Content-Type": "application/json"} | headers).items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        """Nobody reads it."""


@contextmanager
def provider_running():
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    server.provider = Provider(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server.provider
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
