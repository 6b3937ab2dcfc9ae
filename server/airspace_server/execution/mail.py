"""Hands messages to the operator's mail server."""

import smtplib
import ssl
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from airspace_server.access.keys import KeyFileError, read_private
from airspace_server.core.notifications import NotTakenError, UndeliverableError
from airspace_server.execution import messages
from airspace_server.storage.notifications import Delivery

SECONDS: Final = 10.0
"""How long the mail server may take for each answer."""
_REFUSED_FOR_GOOD: Final = 500


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where e-mail is handed over, how, and as whom. Without a user name nobody logs in."""

    host: str
    port: int
    security: Literal["starttls", "tls", "none"]
    sender: str
    username: str
    password_file: Path | None


@dataclass(frozen=True, slots=True)
class Mail:
    """E-mail through a mail server; None for a server that sends none."""

    server: MailServer | None

    def send(self, delivery: Delivery) -> None:
        """Hand a message over. Raises UndeliverableError and NotTakenError."""
        if self.server is None:
            raise UndeliverableError("this server sends no e-mail: smtp_host is not set")
        message = messages.email(delivery, self.server.sender)
        try:
            with closing(_connected(self.server)) as smtp:
                _log_in(smtp, self.server)
                smtp.send_message(message, self.server.sender, [delivery.target.address])
                with suppress(OSError, smtplib.SMTPException):  # it was taken, whatever is said at the end
                    smtp.quit()
        except smtplib.SMTPRecipientsRefused as error:
            ((code, _),) = error.recipients.values()
            raise _refusal("the recipient was refused", code) from None
        except smtplib.SMTPAuthenticationError as error:
            raise NotTakenError(f"the mail server did not let this server log in ({error.smtp_code})") from None
        except smtplib.SMTPResponseException as error:
            raise _refusal("the mail server refused it", error.smtp_code) from None
        except (OSError, smtplib.SMTPException) as error:
            raise NotTakenError(f"the mail server could not be used: {type(error).__name__}") from None


def _connected(server: MailServer) -> smtplib.SMTP:
    tls = ssl.create_default_context()
    if server.security == "tls":
        return smtplib.SMTP_SSL(server.host, server.port, timeout=SECONDS, context=tls)
    smtp = smtplib.SMTP(server.host, server.port, timeout=SECONDS)
    if server.security == "starttls":
        try:
            smtp.starttls(context=tls)
        except BaseException:
            smtp.close()
            raise
    return smtp


def _log_in(smtp: smtplib.SMTP, server: MailServer) -> None:
    if not server.username or server.password_file is None:
        return
    try:
        password = read_private(server.password_file).decode().strip()
    except (OSError, KeyFileError, UnicodeDecodeError):
        raise NotTakenError("the file of the mail server's password cannot be used") from None
    smtp.login(server.username, password)


def _refusal(problem: str, code: int) -> Exception:
    reason = f"{problem} ({code})"
    return UndeliverableError(reason) if code >= _REFUSED_FOR_GOOD else NotTakenError(reason)
