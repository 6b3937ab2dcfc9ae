"""The issuer of executions: tokens by which the code of a task is known to be of one execution, and of nobody else.

A token says which execution and nothing more. On whose behalf that is, and whether it still runs, is asked of the
database at every call (authenticate.py), and what it may do is decided in decide.py.
"""

import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from joserfc import jwt
from joserfc.jwk import Key

from airspace_server.access.identity import Principal
from airspace_server.access.keys import ALGORITHM, signing_key
from airspace_server.core import names
from airspace_server.core.clock import MICROSECONDS, Clock
from airspace_server.core.errors import token_invalid
from airspace_server.core.scope import ExecutionId, Scope

LIFETIME: Final = 24 * 3600
"""Longest life of a token, in seconds. Each attempt gets a new one, and none outlives its execution."""
TOKEN_TYPE: Final = "airspace-execution+jwt"  # noqa: S105 -- a media type, not a password

_KEY: Final = "execution-tokens"


class ExecutionIssuer:
    """Signs tokens of executions and says whose they are. Safe to share between threads.

    `secrets` is the folder of the server's keys; every process that has it makes the same issuer. `server_url` is that
    of the server's HTTP port; the issuer is known by a name below it. Raises KeyFileError.
    """

    algorithms: Sequence[str] = (ALGORITHM,)
    types: Sequence[str] = (TOKEN_TYPE,)
    expiry_leeway: int = 0

    def __init__(self, secrets: Path, server_url: str, audience: str, clock: Clock) -> None:
        self.issuer_url = f"{server_url}/executions"
        self.audience = audience
        self._key = signing_key(secrets, _KEY)
        self._clock = clock

    def token(self, execution: ExecutionId) -> str:
        """Return a token of an execution."""
        now = self._clock() // MICROSECONDS
        claims = {
            "iss": self.issuer_url,
            "aud": self.audience,
            "sub": str(execution),
            "iat": now,
            "exp": now + LIFETIME,
            "jti": str(uuid.uuid4()),
        }
        header = {"alg": ALGORITHM, "kid": self._key.kid, "typ": TOKEN_TYPE}
        return jwt.encode(header, claims, self._key, algorithms=[ALGORITHM])

    def key(self, kid: str | None) -> Key:
        """Return the key if it is the one that `kid` names. Raises TOKEN_INVALID."""
        if kid != self._key.kid:
            raise token_invalid()
        return self._key

    def identity(self, claims: Mapping[str, Any]) -> tuple[Principal, str | None]:
        """Say which execution the claims are about. Raises TOKEN_INVALID."""
        parts = str(claims["sub"]).split("/")
        checks = (names.project, names.domain, names.execution)
        if len(parts) != len(checks) or any(check(part) for check, part in zip(checks, parts, strict=True)):
            raise token_invalid()
        project, domain, name = parts
        return Principal.of_execution(ExecutionId(Scope(project, domain), name)), None
