"""An OpenID Connect issuer of somebody else's: discovery, keys and tokens, over HTTP on this machine."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from joserfc import jwt
from joserfc.jwk import RSAKey


class ForeignIssuer:
    """Serves until it is closed. A context manager."""

    def __init__(self) -> None:
        self.key = RSAKey.generate_key(2048, {"use": "sig", "alg": "RS256"}, auto_kid=True)
        issuer = self

        class Pages(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                pages = {
                    "/.well-known/openid-configuration": {"issuer": issuer.url, "jwks_uri": f"{issuer.url}/keys"},
                    "/keys": {"keys": [issuer.key.as_dict(private=False)]},
                }
                body = json.dumps(pages.get(self.path, {})).encode()
                self.send_response(200 if self.path in pages else 404)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Pages)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

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
