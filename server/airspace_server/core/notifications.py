"""What people and programs can be told, by which rules, and when it is tried again. Pure."""

import ipaddress
import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from urllib.parse import SplitResult, urlsplit

MAX_RECIPIENTS: Final = 20
"""Most recipients that a launch plan or an execution names."""
MAX_URL: Final = 2_000
"""Longest URL of a webhook, in characters."""
MAX_FACT: Final = 1_000
"""Longest value that a message tells, in characters; what is longer is cut."""
MAX_ATTEMPTS: Final = 16
"""How often a message is tried before it is given up: for about six hours."""
_FIRST_WAIT_US: Final = 5_000_000
LONGEST_WAIT_US: Final = 3_600_000_000
"""Longest time between two attempts, in microseconds."""

_ADDRESS: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*@(?P<host>[^@]+)")
_MOST_ADDRESS, _MOST_LOCAL, _MOST_HOST = 254, 64, 253
_HOST_LABEL: Final = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9]{0,61}[A-Za-z0-9])?")
_SECRET: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


class Event(StrEnum):
    """What can be told."""

    EXECUTION_SUCCEEDED = "EXECUTION_SUCCEEDED"
    EXECUTION_FAILED = "EXECUTION_FAILED"
    EXECUTION_TIMED_OUT = "EXECUTION_TIMED_OUT"
    EXECUTION_ABORTED = "EXECUTION_ABORTED"
    PROMOTION_PROMOTED = "PROMOTION_PROMOTED"
    PROMOTION_REJECTED = "PROMOTION_REJECTED"
    TICK_FAILED = "TICK_FAILED"
    """A tick of a schedule could not be launched."""
    TICK_SUPPRESSED = "TICK_SUPPRESSED"
    """A tick of a schedule was not launched: the project is archived, or nobody may have it fired any more."""
    LAUNCH_REFUSED = "LAUNCH_REFUSED"
    """A launch would have gone beyond a quota."""


class Channel(StrEnum):
    """How it is told."""

    EMAIL = "EMAIL"
    SLACK = "SLACK"
    """As JSON with a text, to a URL that is itself a secret."""
    WEBHOOK = "WEBHOOK"
    """As a signed CloudEvent."""


class DeliveryState(StrEnum):
    """What became of a message."""

    WAITING = "WAITING"
    """It was not sent yet, or not taken, and is tried again."""
    DELIVERED = "DELIVERED"
    """The target took it."""
    FAILED = "FAILED"
    """It cannot be sent, or the target refused it."""
    GIVEN_UP = "GIVEN_UP"
    """The target did not take it in all attempts."""


class UndeliverableError(Exception):
    """A message cannot be sent, or its target refused it for good. The text says why, for whoever reads the ledger."""


class NotTakenError(Exception):
    """A target did not take a message, and may the next time. The text says why, for whoever reads the ledger.

    `after` is before how many microseconds the target does not want to be asked again, 0 if it did not say.
    """

    def __init__(self, reason: str, after: int = 0) -> None:
        super().__init__(reason)
        self.after = after


@dataclass(frozen=True, slots=True)
class Target:
    """Who is told.

    `address` is an e-mail address or the URL of a webhook, and "" for Slack. `secret` names the file with the webhook's
    key, or with Slack's URL.
    """

    channel: Channel
    address: str
    secret: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """Who is told of which events."""

    events: tuple[Event, ...]
    targets: tuple[Target, ...]


@dataclass(frozen=True, slots=True)
class Rules:
    """Everything that is told in a scope; no rule tells nobody."""

    rules: tuple[Rule, ...] = ()

    def targets(self, event: Event) -> Sequence[Target]:
        """Return who is told of an event, each once."""
        return tuple(dict.fromkeys(target for rule in self.rules if event in rule.events for target in rule.targets))

    def dumps(self) -> str:
        """Write it down as JSON."""
        return json.dumps(
            [
                {"events": rule.events, "targets": [[each.channel, each.address, each.secret] for each in rule.targets]}
                for rule in self.rules
            ]
        )

    @classmethod
    def loads(cls, text: str) -> "Rules":
        """Read what `dumps` wrote."""
        return cls(
            tuple(
                Rule(
                    tuple(map(Event, rule["events"])),
                    tuple(Target(Channel(channel), address, secret) for channel, address, secret in rule["targets"]),
                )
                for rule in json.loads(text)
            )
        )


@dataclass(frozen=True, slots=True)
class Notice:
    """What happened: to whom, in a sentence, and what else is known of it. `at` is in microseconds, UTC.

    `subject` names a resource inside of its scope, such as "executions/nightly-7".
    """

    event: Event
    subject: str
    title: str
    facts: Mapping[str, str]
    at: int


def told(text: str) -> str:
    """Return text as a message may tell it: of a bounded length, in one line, without what could be taken for more."""
    shown = "".join(char if char.isprintable() else " " for char in text[: MAX_FACT + 1])
    return shown if len(shown) <= MAX_FACT else f"{shown[: MAX_FACT - 3]}..."


def wait(attempts: int, chance: float) -> int:
    """Return how long to wait after so many attempts, in microseconds; `chance` from 0 to 1 keeps them apart."""
    longest = min(_FIRST_WAIT_US << min(attempts - 1, MAX_ATTEMPTS), LONGEST_WAIT_US)
    return longest // 2 + int(longest / 2 * chance)


def email_problem(address: str) -> str | None:
    """Say what is wrong with an e-mail address, in words that fit behind its field.

    Only plain ones are taken, without names, comments, quotes or lines: nothing else can come into a header.
    """
    match = _ADDRESS.fullmatch(address)
    if (
        match is None
        or len(address) > _MOST_ADDRESS
        or address.index("@") > _MOST_LOCAL
        or not _is_host_name(match["host"])
    ):
        return "must be a plain e-mail address such as team@example.com"
    return None


def secret_problem(name: str) -> str | None:
    """Say what is wrong with the name of a secret."""
    return None if _SECRET.fullmatch(name) else "must be 1 to 63 lower case letters, digits and inner hyphens"


class Reachable:
    """Where webhooks may go: public addresses over https, and what the operator's networks have, over http too.

    Link-local addresses are never among them: there clouds tell a machine its own secrets.
    """

    def __init__(self, networks: Collection[str] = ()) -> None:
        """Take networks of the operator. Raises ValueError for one that is none, or that holds link-local addresses."""
        self._networks = tuple(ipaddress.ip_network(each) for each in networks)
        for network in self._networks:
            if any(network.version == each.version and network.overlaps(each) for each in _LINK_LOCAL):
                raise ValueError(f"{network} holds link-local addresses, which nothing is sent to")

    def url_problem(self, url: str) -> str | None:
        """Say what is wrong with the URL of a webhook, before its name is resolved."""
        parts = _split(url)
        if parts is None:
            return f"must be a URL of at most {MAX_URL} printable ASCII characters, without a user or a fragment"
        if parts.scheme != "https" and not (parts.scheme == "http" and self._networks):
            return "must begin with https://"
        host = parts.hostname or ""
        try:
            ipaddress.ip_address(host)
        except ValueError:
            return None if _is_host_name(host) else "must name a host"
        return self.address_problem(host, encrypted=parts.scheme == "https")

    def address_problem(self, address: str, *, encrypted: bool) -> str | None:
        """Say why nothing is sent to an address; it is one that was resolved, not a name."""
        ip = ipaddress.ip_address(address)
        if isinstance(ip, ipaddress.IPv6Address):
            ip = ip.ipv4_mapped or ip
        if any(ip in network for network in _LINK_LOCAL):
            return f"is {ip}, a link-local address"
        if any(ip in network for network in self._networks):
            return None
        if not ip.is_global or ip.is_multicast or ip.is_reserved or any(ip in network for network in _TUNNELS):
            return f"is {ip}, which is not a public address"
        return None if encrypted else "must be reached over https"


_LINK_LOCAL: Final = (ipaddress.ip_network("169.254.0.0/16"), ipaddress.ip_network("fe80::/10"))
_TUNNELS: Final = tuple(
    map(ipaddress.ip_network, ("2002::/16", "2001::/32", "64:ff9b::/96", "64:ff9b:1::/48", "::/96"))
)
"""Addresses that stand for others, which nothing here has looked at."""


def _split(url: str) -> SplitResult | None:
    if len(url) > MAX_URL or not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        return None
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.username is not None or parts.fragment or "#" in url or port == 0:
        return None
    return parts


def _is_host_name(host: str) -> bool:
    labels = host.split(".")
    return len(host) <= _MOST_HOST and all(_HOST_LABEL.fullmatch(label) for label in labels)
