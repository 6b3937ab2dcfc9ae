"""The chain, pure: what a record is, how its hash comes about, and how a chain is checked.

Each record's hash covers the record and the hash before it, so that none can be altered, inserted, moved or removed
without all behind it changing too. Who can write every row can still write them all anew: the head, the last record's
sequence and hash, is therefore sealed with a key that is not in the database, and can be kept elsewhere and compared.
"""

import hashlib
import hmac
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Final

from airspace_server.storage.changes import Change

BEGINNING: Final = "0" * 64
"""The hash before the first record."""


class Kind(StrEnum):
    """What a record is about."""

    MUTATION = "MUTATION"
    """Something was changed."""
    DENIAL = "DENIAL"
    """Calls were refused for who made them."""


@dataclass(frozen=True, slots=True)
class Record:
    """One entry of a chain. `chain` is a project, or "*" for what belongs to none; `at` is in microseconds, UTC.

    `domain` is "*" for what is not in a single one. `principal` is who called, "" for nobody known and "system" for
    the server itself; `origin` is whose rights it acted with, where that is another. `count` is how many calls a record
    of refusals stands for, `at` the time of the last. Times, names and digests: no inputs, no secrets.
    """

    chain: str
    sequence: int
    at: int
    kind: Kind
    principal: str
    origin: str
    method: str
    permission: str
    domain: str
    reason: str
    request_id: str
    count: int
    changes: tuple[Change, ...]

    def hash(self, previous: str) -> str:
        """Return the record's hash behind that of the record before, 64 hex digits."""
        content = {field.name: getattr(self, field.name) for field in fields(self)}
        content["changes"] = [[each.domain, each.resource, each.before, each.after] for each in self.changes]
        written = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(previous.encode() + written.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Link:
    """A record as it is stored, with the two hashes beside it."""

    record: Record
    previous: str
    hash: str


@dataclass(frozen=True, slots=True)
class Head:
    """Where a chain ends: its last record's sequence, 0 when there is none, and hash."""

    sequence: int = 0
    hash: str = BEGINNING


@dataclass(frozen=True, slots=True)
class SealedHead:
    """A head and its seal."""

    head: Head
    seal: str


@dataclass(frozen=True, slots=True)
class Problem:
    """Where a chain does not hold: at which sequence, and what is wrong there."""

    sequence: int
    what: str


def seal(key: bytes, chain: str, head: Head) -> str:
    """Return the seal of a head: HMAC-SHA-256 in hex."""
    return hmac.new(key, f"{chain}\0{head.sequence}\0{head.hash}".encode(), hashlib.sha256).hexdigest()


def is_sealed(key: bytes, chain: str, sealed: SealedHead) -> bool:
    """Tell whether a seal is that of its head."""
    return hmac.compare_digest(sealed.seal, seal(key, chain, sealed.head))


class Verification:
    """Follows one chain from its beginning and keeps the first problem. Feed it every link in order, then `end` it."""

    def __init__(self, expected: Sequence[Head] = ()) -> None:
        self.head = Head()
        self.problem: Problem | None = None
        self._expected = {head.sequence: head.hash for head in expected}

    def follow(self, links: Iterable[Link]) -> None:
        """Check the next links."""
        for link in links:
            if self.problem is None:
                self.problem = self._check(link)
                self.head = Head(link.record.sequence, link.hash)

    def end(self, chain: str, key: bytes, sealed: SealedHead | None) -> Problem | None:
        """Check the end and return the first problem of the chain."""
        if self.problem is not None:
            return self.problem
        if sealed is None:
            return Problem(self.head.sequence, "the head is missing")
        if not is_sealed(key, chain, sealed):
            return Problem(sealed.head.sequence, "the head's seal is not this server's")
        if sealed.head != self.head:
            return Problem(
                self.head.sequence + 1, f"the chain ends at {self.head.sequence}, its head says {sealed.head.sequence}"
            )
        beyond = [sequence for sequence in self._expected if sequence > self.head.sequence]
        if beyond:
            return Problem(min(beyond), "a record that was there is gone")
        return None

    def _check(self, link: Link) -> Problem | None:
        sequence = self.head.sequence + 1
        if link.record.sequence != sequence:
            return Problem(sequence, f"record {sequence} is missing")
        if link.previous != self.head.hash:
            return Problem(sequence, f"record {sequence} does not follow the one before it")
        if link.record.hash(link.previous) != link.hash:
            return Problem(sequence, f"record {sequence} has been altered")
        if self._expected.get(sequence, link.hash) != link.hash:
            return Problem(sequence, f"record {sequence} is not the one that was expected")
        return None
