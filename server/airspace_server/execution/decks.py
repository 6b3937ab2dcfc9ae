"""Decks: the pages that tasks leave for people to look at, such as flytekit's with `enable_deck`.

When an attempt has ended, its deck is put among the artifacts of its scope. It is shown by a browser through a signed
URL that works once (artifacts/pages.py), and by nothing else: it is a page that any task may have made.
"""

import secrets
from typing import Any, Final

from flyteidl.service import dataproxy_pb2
from google.protobuf.timestamp_pb2 import Timestamp
from sqlalchemy import Row

from airspace_server.artifacts.flyte import Asked, expiry
from airspace_server.artifacts.signing import UrlGrant, UrlSigner
from airspace_server.artifacts.store import ArtifactStore
from airspace_server.core.clock import Clock
from airspace_server.core.errors import not_found
from airspace_server.core.scope import ExecutionId
from airspace_server.execution.store import Executions

MAX_DECK: Final = 32 * 1024 * 1024
"""Largest deck that is kept, in bytes; those with charts have a few MiB for each library."""


def deck_path(execution: ExecutionId, node: str, attempt: int) -> str:
    """Return where the deck of an attempt lies among the artifacts of its scope."""
    return f"decks/{execution.name}/{node}/{attempt}/deck.html"


class Decks:
    """Finds decks and signs URLs of them. `base_url` is what clients reach the artifacts at."""

    def __init__(
        self, executions: Executions, artifacts: ArtifactStore, signer: UrlSigner, base_url: str, clock: Clock
    ) -> None:
        self._executions = executions
        self._artifacts = artifacts
        self._signer = signer
        self._base_url = base_url.rstrip("/")
        self._clock = clock

    def uri(self, execution: ExecutionId, node: Row[Any]) -> str:
        """Return the native URL of a node's deck, that of its last attempt that left one; "" when none did."""
        if node.deck_attempt is None:
            return ""
        return self._artifacts.native_url(execution.scope, deck_path(execution, node.node_id, node.deck_attempt))

    def sign(
        self, execution: ExecutionId, node: str, attempt: int | None, request: Asked | None = None
    ) -> dataproxy_pb2.PreSignedURLs:
        """Sign a URL that shows a node's deck once: that of one attempt, or of the last that left one.

        Raises NOT_FOUND, and INVALID_FIELD for the request's "expires_in".
        """
        expires_at = expiry(self._clock, request)
        if attempt is None:
            attempt = self._executions.node(execution, node).deck_attempt
            there = attempt is not None
        else:
            there = self._executions.attempt(execution, node, attempt).deck
        if attempt is None or not there:
            raise not_found("deck of node", f"{execution}/{node}")
        path = deck_path(execution, node, attempt)
        grant = UrlGrant("GET", execution.scope, path, expires_at, page=secrets.token_hex(16))
        return dataproxy_pb2.PreSignedURLs(
            signed_url=[self._base_url + self._signer.sign(grant)], expires_at=Timestamp(seconds=expires_at)
        )
