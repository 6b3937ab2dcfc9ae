"""How a delivery reads, for people and for programs. Pure: sent again, a message is the same."""

import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Final

from airspace_server.core.notifications import UndeliverableError, email_problem
from airspace_server.storage.notifications import Delivery

_MARKUP: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def cloud_event(delivery: Delivery, server: str) -> bytes:
    """Return a CloudEvent 1.0 in JSON, of the server with this URL."""
    notice, scope = delivery.notice, delivery.scope
    event = {
        "specversion": "1.0",
        "id": delivery.id,
        "source": f"{server}/{scope}",
        "type": f"airspace.{notice.event.lower()}",
        "subject": notice.subject,
        "time": _moment(notice.at).isoformat().replace("+00:00", "Z"),
        "datacontenttype": "application/json",
        "data": {"project": scope.project, "domain": scope.domain, "title": notice.title, **notice.facts},
    }
    return json.dumps(event, sort_keys=True).encode()


def signature(key: bytes, seconds: int, body: bytes) -> str:
    """Return what proves that a body was sent by whoever holds the key, at this time in seconds since the epoch."""
    digest = hmac.new(key, f"{seconds}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={seconds},v1={digest}"


def slack_text(delivery: Delivery) -> bytes:
    """Return what Slack and its like show as a message. What tenants wrote is text in it, never a link or a mention."""
    text = "\n".join(
        [f"*{_plain(delivery.notice.title)}*", *(f"{name}: {_plain(fact)}" for name, fact in _facts(delivery))]
    )
    return json.dumps({"text": text}).encode()


def email(delivery: Delivery, sender: str) -> EmailMessage:
    """Return an e-mail from this address. Raises UndeliverableError for an address that cannot stand in a header."""
    if problem := email_problem(delivery.target.address):
        raise UndeliverableError(f"the recipient {problem}")
    message = EmailMessage(policy=SMTP)
    message["From"] = sender
    message["To"] = delivery.target.address
    message["Subject"] = f"[{delivery.scope}] {delivery.notice.title}"
    message["Date"] = format_datetime(_moment(delivery.notice.at))
    message["Message-ID"] = f"<{delivery.id}@{sender.partition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    lines = [delivery.notice.title, "", *(f"{name}: {fact}" for name, fact in _facts(delivery)), ""]
    message.set_content("\n".join(lines), cte="quoted-printable")  # lines may be longer than SMTP takes
    return message


def _facts(delivery: Delivery) -> list[tuple[str, str]]:
    facts: Mapping[str, str] = {"scope": str(delivery.scope), **delivery.notice.facts}
    return [(name.replace("_", " "), fact) for name, fact in facts.items()]


def _plain(text: str) -> str:
    return "".join(_MARKUP.get(char, char) for char in text)


def _moment(microseconds: int) -> datetime:
    return datetime.fromtimestamp(microseconds // 1_000_000, UTC)
