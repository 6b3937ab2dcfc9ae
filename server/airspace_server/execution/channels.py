"""How messages go out: each channel brings together what is sent, the secret that it needs, and the way."""

import time
from dataclasses import dataclass
from pathlib import Path

from airspace_server.access.keys import KeyFileError, read_private
from airspace_server.core.notifications import NotTakenError
from airspace_server.execution import messages
from airspace_server.execution.webhooks import Webhooks
from airspace_server.storage.notifications import Delivery


@dataclass(frozen=True, slots=True)
class Secrets:
    """The operator's files with keys and URLs: those of the server's own rules in a folder, each project's in its."""

    folder: Path

    def read(self, name: str) -> bytes:
        """Return a secret, without the end of its line. Raises NotTakenError: the operator can put it there."""
        try:
            secret = read_private(self.folder / name).strip()
        except (OSError, KeyFileError):
            raise NotTakenError(f"the secret {name} is not there, or is open to others") from None
        if not secret:
            raise NotTakenError(f"the secret {name} is empty")
        return secret


@dataclass(frozen=True, slots=True)
class CloudEvents:
    """Signed CloudEvents to webhooks, from the server with this URL."""

    webhooks: Webhooks
    secrets: Secrets
    server: str

    def send(self, delivery: Delivery) -> None:
        """Post a message. Raises UndeliverableError and NotTakenError."""
        key = self.secrets.read(delivery.target.secret)
        body = messages.cloud_event(delivery, self.server)
        headers = {
            "Content-Type": "application/cloudevents+json",
            "Idempotency-Key": delivery.id,
            "Airspace-Signature": messages.signature(key, int(time.time()), body),
        }
        self.webhooks.post(delivery.target.address, headers, body)


@dataclass(frozen=True, slots=True)
class Slack:
    """Texts to what takes Slack's incoming webhooks, whose URLs are secrets."""

    webhooks: Webhooks
    secrets: Secrets

    def send(self, delivery: Delivery) -> None:
        """Post a message. Raises UndeliverableError and NotTakenError."""
        url = self.secrets.read(delivery.target.secret).decode("ascii", "replace")
        headers = {"Content-Type": "application/json", "Idempotency-Key": delivery.id}
        self.webhooks.post(url, headers, messages.slack_text(delivery))
