"""An OpenID Connect issuer of somebody else's: discovery, keys and tokens, over HTTP on this machine."""

import base64
import hashlib
import json
import secrets
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlencode

from joserfc import jwt
from joserfc.jwk import RSAKey


class ForeignIssuer:
    """Serves until it is closed. A context manager."""

    def __init__(self) -> None:
        self.asked: list[dict[str, str]] = []
        self.grants: list[str] = []
        self._codes: dict[str, dict[str, str]] = {}
        self._devices: dict[str, int] = {}
        self.key = RSAKey.generate_key(2048, {"use": "sig", "alg": "RS256"}, auto_kid=True)
        issuer = self

        class Pages(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path, _, query = self.path.partition("?")
                pages = {
                    "/.well-known/openid-configuration": {
                        "issuer": issuer.url,
                        "jwks_uri": f"{issuer.url}/keys",
                        "token_endpoint": f"{issuer.url}/at/token",
                        "authorization_endpoint": f"{issuer.url}/at/authorize",
                        "device_authorization_endpoint": f"{issuer.url}/at/device",
                    },
                    "/keys": {"keys": [issuer.key.as_dict(private=False)]},
                }
                if path == "/at/authorize":
                    self.send_response(302)
                    self.send_header("location", issuer.authorized(dict(parse_qsl(query))))
                    self.send_header("content-length", "0")
                    self.end_headers()
                    return
                self.answer(200 if path in pages else 404, pages.get(path, {}))

            def do_POST(self) -> None:
                form = dict(parse_qsl(self.rfile.read(int(self.headers["content-length"])).decode()))
                if self.path == "/at/device":
                    self.answer(200, issuer.device(form))
                elif self.path == "/at/token":
                    self.answer(*issuer.exchanged(form))
                else:
                    self.answer(404, {})

            def answer(self, status: int, content: object) -> None:
                body = json.dumps(content).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Pages)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    # --- people who log in: ann, whoever asks

    def authorized(self, asked: dict[str, str]) -> str:
        """Where the browser of a person who has logged in is sent: back, with a code (RFC 7636)."""
        assert (asked["response_type"], asked["code_challenge_method"]) == ("code", "S256")
        self.asked.append(asked)
        code = secrets.token_urlsafe()
        self._codes[code] = asked
        return f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}"

    def device(self, form: dict[str, str]) -> dict[str, object]:
        """Begin the login of a device (RFC 8628), which somebody approves between the first poll and the second."""
        self.asked.append(form)
        code = secrets.token_urlsafe()
        self._devices[code] = 0
        about = {"device_code": code, "user_code": "ABCD", "verification_uri": f"{self.url}/device"}
        return {**about, "expires_in": 60, "interval": 1}

    def exchanged(self, form: dict[str, str]) -> tuple[int, dict[str, object]]:
        """Answer the token endpoint."""
        self.grants.append(form["grant_type"])
        if form["grant_type"] == "authorization_code":
            asked = self._codes.pop(form["code"])
            digest = hashlib.sha256(form["code_verifier"].encode()).digest()
            proved = base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == asked["code_challenge"]
            assert proved
            assert form["redirect_uri"] == asked["redirect_uri"]
        elif form["grant_type"].endswith("device_code"):
            self._devices[form["device_code"]] += 1
            if self._devices[form["device_code"]] < 2:
                return 400, {"error": "authorization_pending"}
        else:
            return 400, {"error": "unsupported_grant_type"}
        return 200, {"access_token": self.token("ann", "cv"), "expires_in": 300, "token_type": "Bearer"}

    def __enter__(self) -> "ForeignIssuer":
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def token(self, subject: str, *groups: str, key: RSAKey | None = None, **claims: object) -> str:
        """A token of this issuer for the audience "airspace", unless `claims` say otherwise."""
        key, now = key or self.key, int(time.time())
        body = {
            "iss": self.url,
            "aud": "airspace",
            "sub": subject,
            "iat": now,
            "exp": now + 300,
            "groups": list(groups),
        }
        return jwt.encode({"alg": "RS256", "kid": key.kid}, {**body, **claims}, key)
