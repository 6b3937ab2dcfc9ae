"""The rules of every name. One function a kind; each returns what is wrong, in words that fit behind the field's path.

Sources: project ids and label keys and values follow Kubernetes (DNS-1123 labels, qualified names), since a scope
becomes a namespace there; execution names and the limits of 64 and 300 on project texts are those of the Flyte v1 wire.
"""

import re
import uuid
from collections.abc import Callable, Mapping
from typing import Final

from airspace_server.core.scope import ANY

_DNS_LABEL: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_EXECUTION: Final = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
_ENTITY: Final = re.compile(r"[-A-Za-z0-9._:@+=~]{1,255}")
_MEMBER_ID: Final = re.compile(r"[A-Za-z0-9][-A-Za-z0-9._:@+=|~/]{0,199}")
_LABEL_NAME: Final = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_DNS_SUBDOMAIN: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_MAX_SUBDOMAIN: Final = 253
_MAX_SIGNAL: Final = 255

_EXTERNAL_IDENTITY: Final = re.compile(r"[-A-Za-z0-9._:/@+=,]{1,255}")
_IDENTITY_DOMAINS: Final = frozenset(
    {
        "airspace",
        "azure.workload.identity",
        "eks.amazonaws.com",
        "flyte.org",
        "iam.amazonaws.com",
        "iam.gke.io",
        "vault.hashicorp.com",
    }
)
"""What stands before the slash of labels and annotations that make a pod somebody's, by the documentation of each."""
_IDENTITY_LABELS: Final = frozenset(
    {
        "aadpodidbinding",
        *("project", "domain", "execution-id", "workflow-name", "node-id", "task-name", "shard-key", "interruptible"),
    }
)
"""The label of Azure's pod identity, and those by which Flyte knows the pods of an execution."""

MAX_PROJECT_NAME: Final = 64
"""Longest project name for people, in characters."""
MAX_DESCRIPTION: Final = 300
"""Longest description of a project or a registered name, in characters."""
MAX_LABELS: Final = 16
"""Most labels on one thing."""

MEMBER_KINDS: Final = ("user", "group", "service-account")
"""What stands before the colon of a member."""


def _matches(pattern: re.Pattern[str], problem: str) -> Callable[[str], str | None]:
    def check(value: str) -> str | None:
        return None if pattern.fullmatch(value) else problem

    return check


project = _matches(_DNS_LABEL, "must be 1 to 63 lower case letters, digits and inner hyphens")
domain = project
account = project
execution = _matches(
    _EXECUTION, "must be 1 to 63 lower case letters, digits and inner hyphens, beginning with a letter"
)


def entity(value: str) -> str | None:
    """Check the name of a task, workflow, launch plan or node.

    flytekit's own versions are base64url digests and may begin with a hyphen; "." and ".." mean a place in a path.
    """
    if _ENTITY.fullmatch(value) and value not in (".", ".."):
        return None
    return "must be 1 to 255 letters, digits and . _ - : @ + = ~"


version = entity


def signal(value: str) -> str | None:
    """Check the id of a signal, which authors of workflows choose freely: it is a word for people."""
    if value and len(value) <= _MAX_SIGNAL and value.isprintable():
        return None
    return f"must be 1 to {_MAX_SIGNAL} characters that can be printed"


def project_or_any(value: str) -> str | None:
    """Check a project id or "*"."""
    return None if value == ANY else project(value)


def domain_or_any(value: str) -> str | None:
    """Check a domain id or "*"."""
    return None if value == ANY else domain(value)


def entity_or_any(value: str) -> str | None:
    """Check the name of a task, workflow or launch plan, or "*"."""
    return None if value == ANY else entity(value)


def canonical_uuid(value: str) -> str | None:
    """Check a UUID in its canonical lower case form."""
    try:
        good = str(uuid.UUID(value)) == value
    except ValueError:
        good = False
    return None if good else "must be a UUID such as 123e4567-e89b-42d3-a456-426614174000"


def member(value: str) -> str | None:
    """Check a member: its kind, a colon and its id."""
    kind, _, name = value.partition(":")
    if kind in MEMBER_KINDS and _MEMBER_ID.fullmatch(name):
        return None
    return "must be user:ID, group:ID or service-account:ID, the id 1 to 200 letters, digits and . _ - : @ + = | ~ /"


def labels(values: Mapping[str, str]) -> str | None:
    """Check labels: their number, keys (an optional DNS prefix, a slash, a name) and values."""
    if len(values) > MAX_LABELS:
        return f"must have at most {MAX_LABELS} entries"
    for key, value in values.items():
        prefix, slash, name = key.rpartition("/")
        if slash and (len(prefix) > _MAX_SUBDOMAIN or not _DNS_SUBDOMAIN.fullmatch(prefix)):
            return f"has the key {key!r}, whose prefix is not a DNS name"
        if not _LABEL_NAME.fullmatch(name):
            return f"has the key {key!r}; a key is 1 to 63 letters, digits and inner - _ ."
        if value and not _LABEL_NAME.fullmatch(value):
            return f"has the value {value!r}; a value is at most 63 letters, digits and inner - _ ."
    return None


def impersonates(key: str) -> bool:
    """Tell whether a label or annotation would make a pod somebody else's."""
    return key.partition("/")[0] in _IDENTITY_DOMAINS if "/" in key else key in _IDENTITY_LABELS


external_identity = _matches(_EXTERNAL_IDENTITY, "must be 1 to 255 letters, digits and . _ - : / @ + = ,")
