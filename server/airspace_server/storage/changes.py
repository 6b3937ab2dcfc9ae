"""What a transaction changed, resource by resource: what the audit keeps of a mutation."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

NOTHING: Final = ""
"""The digest of a resource that is not there."""


@dataclass(frozen=True, slots=True)
class Change:
    """One resource before and after a transaction, each as its digest, NOTHING where it is not there.

    `project` and `domain` say where it lies; "*" in both is the server itself. `resource` names it in words, such as
    "launch plan team/development/nightly v2".
    """

    project: str
    domain: str
    resource: str
    before: str
    after: str


def digest(content: Mapping[str, Any]) -> str:
    """Return the SHA-256, in hex, of what describes a resource, as JSON with sorted keys and bytes in hex.

    Secrets and inputs do not belong in `content`: what is small can be guessed from its digest.
    """
    written = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=_hex)
    return hashlib.sha256(written.encode()).hexdigest()


def _hex(value: Any) -> str:
    if isinstance(value, bytes):
        return value.hex()
    raise TypeError(f"{type(value).__name__} cannot describe a resource")
