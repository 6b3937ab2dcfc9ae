"""Notifications: what happens is told to whom the rules name, at least once, and the ledger says what became of it."""

import hashlib
import hmac
import json
import ssl
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import AuthResult
from deployment_tls import certificate
from execution_rows import launch
from flyte_samples import chain
from flyteidl.admin import common_pb2, execution_pb2
from flyteidl.core import execution_pb2 as core_execution_pb2
from notification_receivers import Receiver, mail_server, receiving, until
from wing_doors import DEV, PROD, Doors, call, flyte_id, integer, plan_spec, register_plan, scope_message

from airspace.notification.v1 import notification_service_pb2 as pb
from airspace.settings.v1 import settings_service_pb2 as settings_pb
from airspace.type.v1 import identifiers_pb2
from airspace_server.access.keys import write_private
from airspace_server.admin.settings_service import SettingsService
from airspace_server.core.errors import ApiError, Reason
from airspace_server.core.execution import ErrorKind, ExecutionError, ExecutionPhase
from airspace_server.core.notifications import (
    MAX_ATTEMPTS,
    Channel,
    Event,
    Notice,
    NotTakenError,
    Reachable,
    Target,
)
from airspace_server.core.quotas import Quota
from airspace_server.core.scope import EntityId, ExecutionId, Scope, ScopePattern
from airspace_server.execution.channels import CloudEvents, Secrets, Slack
from airspace_server.execution.mail import Mail, MailServer
from airspace_server.execution.notices import QUIET_US, execution_ended
from airspace_server.execution.notification_service import NotificationService
from airspace_server.execution.sender import OF_A_SCOPE, THREADS, Sender
from airspace_server.execution.webhooks import Webhooks
from airspace_server.storage import notifications
from airspace_server.storage.notifications import LEASE_US, Delivery, notify
from airspace_server.storage.paging import Pager
from airspace_server.storage.settings import put_quotas
from airspace_server.storage.tables import DeliveryRow, table

SERVER = "https://airspace.example.com"
NOON = 1_800_000_000_000_000
LOOPBACK = Reachable(["127.0.0.0/8"])
_DELIVERIES = table(DeliveryRow)


class DiedError(Exception):
    """What is tried cannot be done."""


class Told:
    """A scope with rules, the settings and the ledger of it, and senders that are started by the test."""

    def __init__(self, doors: Doors, folder: Path) -> None:
        self.doors, self.clock = doors, doors.clock
        self.settings = SettingsService(doors.database, LOOPBACK)
        self.ledger = NotificationService(doors.database, Pager(b"k" * 32))
        self.secrets = folder / "secrets"
        self.senders: list[Sender] = []
        self.clock.frozen = NOON

    def rule(self, *rules: settings_pb.NotificationRule, project: str = "vision", domain: str = "*") -> Any:
        pattern = identifiers_pb2.ScopePattern(project=project, domain=domain)
        request = settings_pb.UpdateNotificationsRequest(
            pattern=pattern, notifications=settings_pb.Notifications(rules=rules)
        )
        return self.settings.UpdateNotifications(request, call()).notifications

    def secret(self, name: str, content: str) -> None:
        write_private(self.secrets / name, content.encode(), replace=True)

    def sender(self, mail: MailServer | None = None, **channels: Callable[[Delivery], None]) -> Sender:
        webhooks, secrets = Webhooks(LOOPBACK), Secrets(self.secrets)
        own = {
            Channel.EMAIL: Mail(mail).send,
            Channel.SLACK: Slack(webhooks, secrets).send,
            Channel.WEBHOOK: CloudEvents(webhooks, secrets, SERVER).send,
        }
        own.update({Channel[name]: send for name, send in channels.items()})
        self.senders.append(Sender(self.doors.database, own, self.clock))
        return self.senders[-1]

    def happen(self, scope: Scope = DEV, event: Event = Event.EXECUTION_FAILED, name: str = "e1") -> None:
        with self.doors.database.write(scope) as tx:
            notice = Notice(event, f"executions/{name}", f"{name} has failed", {"error": "it broke"}, self.clock())
            notify(tx, notice)

    def deliveries(self, scope: Scope = DEV, **fields: Any) -> list[pb.Delivery]:
        request = pb.ListDeliveriesRequest(scope=scope_message(scope), page_size=1000, **fields)
        return list(self.ledger.ListDeliveries(request, call()).deliveries)

    def states(self, scope: Scope = DEV) -> list[str]:
        return [pb.DeliveryState.Name(each.state).removeprefix("DELIVERY_STATE_") for each in self.deliveries(scope)]

    def send(self, sender: Sender, scope: Scope = DEV) -> None:
        """Let what is due now be tried, and wait for what becomes of it."""
        tried = [each.attempts for each in self.deliveries(scope)]
        due = [
            each.state == pb.DELIVERY_STATE_WAITING and each.next_time.ToMicroseconds() <= self.clock()
            for each in self.deliveries(scope)
        ]
        wanted = [count + is_due for count, is_due in zip(tried, due, strict=True)]
        sender.send()
        until(lambda: [each.attempts for each in self.deliveries(scope)] == wanted)


@pytest.fixture
def told(doors: Doors, tmp_path: Path) -> Iterator[Told]:
    found = Told(doors, tmp_path)
    yield found
    for sender in found.senders:
        sender.close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


FAILED = (pb.EVENT_EXECUTION_FAILED,)


def webhook(url: str, secret: str = "ops", events: Any = FAILED) -> settings_pb.NotificationRule:
    return settings_pb.NotificationRule(events=events, webhook=settings_pb.WebhookTarget(url=url, secret=secret))


def email(*recipients: str, events: Any = FAILED) -> settings_pb.NotificationRule:
    return settings_pb.NotificationRule(events=events, email=settings_pb.EmailTarget(recipients=recipients))


# --- rules


@pytest.mark.parametrize(
    ("rule", "field"),
    [
        (email("ops@example.com\r\nBcc: all@example.com"), "notifications.rules[0].email.recipients[0]"),
        (email("Ops <ops@example.com>"), "notifications.rules[0].email.recipients[0]"),
        (webhook("https://169.254.169.254/latest"), "notifications.rules[0].webhook.url"),
        (webhook("https://10.0.0.1/"), "notifications.rules[0].webhook.url"),
        (webhook("http://8.8.8.8/"), "notifications.rules[0].webhook.url"),
        (webhook("ftp://example.com/"), "notifications.rules[0].webhook.url"),
        (webhook("https://user:password@example.com/"), "notifications.rules[0].webhook.url"),
        (webhook("https://example.com/", secret="../audit-heads"), "notifications.rules[0].webhook.secret"),
        (webhook("https://example.com/", secret="sonar/ops"), "notifications.rules[0].webhook.secret"),
        (webhook("https://example.com/", events=(0,)), "notifications.rules[0].events"),
        (settings_pb.NotificationRule(events=FAILED), "notifications.rules[0]"),
    ],
)
def test_a_rule_that_cannot_be_followed_is_refused_with_its_field(told: Told, rule: Any, field: str):
    with pytest.raises(ApiError) as refused:
        told.rule(rule)
    assert (refused.value.reason, refused.value.field) == (Reason.INVALID_FIELD, field)


def test_production_only_is_one_rule_and_settings_say_where_it_comes_from(told: Told):
    told.rule(email("ops@example.com"), project="*", domain="production")
    told.happen(DEV)
    told.happen(PROD)
    assert told.deliveries(DEV) == []
    (delivery,) = told.deliveries(PROD)
    assert (delivery.target, delivery.subject, delivery.title) == ("ops@example.com", "executions/e1", "e1 has failed")
    asked = settings_pb.GetSettingsRequest(pattern=identifiers_pb2.ScopePattern(project="vision", domain="production"))
    found = told.settings.GetSettings(asked, call())
    assert found.notifications_origin == identifiers_pb2.ScopePattern(project="*", domain="production")
    assert found.notifications.rules == [email("ops@example.com")]
    assert not found.HasField("own_notifications")


def test_rules_of_a_scope_take_the_place_of_those_above_and_none_is_silence(told: Told):
    told.rule(email("ops@example.com"), project="*")
    told.rule(project="vision", domain="development")
    told.happen(DEV)
    told.happen(PROD)
    assert told.deliveries(DEV) == []
    assert len(told.deliveries(PROD)) == 1


def test_each_target_is_told_once_however_many_rules_name_it(told: Told):
    told.rule(email("a@example.com", "b@example.com"), email("b@example.com"), email("c@example.com", events=(1,)))
    told.happen()
    assert sorted(each.target for each in told.deliveries()) == ["a@example.com", "b@example.com"]


# --- the outbox


def test_what_is_undone_is_not_told(told: Told, monkeypatch: pytest.MonkeyPatch):
    told.rule(email("ops@example.com"))

    def undone(_: Any) -> None:
        raise RuntimeError

    monkeypatch.setattr(told.doors.database, "before_commit", undone)
    with pytest.raises(RuntimeError):
        told.happen()
    assert told.deliveries() == []


def test_the_ledger_is_paged_newest_first_and_by_state(told: Told):
    told.rule(email("ops@example.com"))
    for number in range(5):
        told.clock.frozen = NOON + number
        told.happen(name=f"e{number}")
    found, token = [], ""
    while True:
        request = pb.ListDeliveriesRequest(scope=scope_message(DEV), page_size=2, page_token=token)
        answer = told.ledger.ListDeliveries(request, call())
        found += [each.subject for each in answer.deliveries]
        if not (token := answer.next_page_token):
            break
    assert found == [f"executions/e{number}" for number in (4, 3, 2, 1, 0)]
    assert told.deliveries(states=(pb.DELIVERY_STATE_GIVEN_UP,)) == []
    assert len(told.deliveries(states=(pb.DELIVERY_STATE_WAITING, pb.DELIVERY_STATE_FAILED))) == 5
    with pytest.raises(ApiError) as refused:
        told.deliveries(states=(0,))
    assert refused.value.field == "states"


# --- webhooks


def test_a_webhook_gets_a_signed_cloud_event_with_its_key(told: Told, receiver: Receiver):
    told.secret("vision/ops", "hush\n")
    told.rule(webhook(receiver.url()))
    told.happen()
    told.send(told.sender())
    (delivery,) = told.deliveries()
    assert (delivery.state, delivery.attempts, delivery.reason) == (pb.DELIVERY_STATE_DELIVERED, 1, "")
    (got,) = receiver.received
    assert json.loads(got.body) == {
        "specversion": "1.0",
        "id": delivery.id,
        "source": f"{SERVER}/vision/development",
        "type": "airspace.execution_failed",
        "subject": "executions/e1",
        "time": "2027-01-15T08:00:00Z",
        "datacontenttype": "application/json",
        "data": {"project": "vision", "domain": "development", "title": "e1 has failed", "error": "it broke"},
    }
    assert got.headers["content-type"] == "application/cloudevents+json"
    assert got.headers["idempotency-key"] == delivery.id
    assert got.headers["host"] == f"127.0.0.1:{receiver.port}"
    stamp, digest = (part.partition("=")[2] for part in got.headers["airspace-signature"].split(","))
    assert digest == hmac.new(b"hush", f"{stamp}.".encode() + got.body, hashlib.sha256).hexdigest()


def test_nothing_is_sent_unsigned_and_no_project_signs_with_anothers_key(told: Told, receiver: Receiver):
    told.secret("ops", "the server's")
    told.secret("sonar/ops", "sonar's")
    told.rule(webhook(receiver.url()))
    told.happen()
    told.send(told.sender())
    (delivery,) = told.deliveries()
    assert delivery.state == pb.DELIVERY_STATE_WAITING
    assert "the secret vision/ops is not there" in delivery.reason
    assert receiver.received == []


def test_a_secret_that_others_may_read_is_not_used(told: Told, receiver: Receiver):
    told.secret("vision/ops", "hush")
    (told.secrets / "vision/ops").chmod(0o644)
    told.rule(webhook(receiver.url()))
    told.happen()
    told.send(told.sender())
    assert told.states() == ["WAITING"]
    assert receiver.received == []


def test_slack_gets_text_in_which_nobody_is_mentioned(told: Told, receiver: Receiver):
    told.secret("vision/team", receiver.url(path="/services/T/B/X"))
    told.rule(settings_pb.NotificationRule(events=FAILED, slack=settings_pb.SlackTarget(secret="team")))
    told.happen(name="<!channel> & co")
    told.send(told.sender())
    (got,) = receiver.received
    assert got.path == "/services/T/B/X"
    assert json.loads(got.body) == {
        "text": "*&lt;!channel&gt; &amp; co has failed*\nscope: vision/development\nerror: it broke"
    }
    (delivery,) = told.deliveries()
    assert delivery.target == "vision/team"
    assert "services" not in str(delivery)


@pytest.mark.parametrize(("status", "state"), [(404, "FAILED"), (302, "FAILED"), (503, "WAITING"), (429, "WAITING")])
def test_what_a_target_answers_decides_what_becomes_of_it(told: Told, receiver: Receiver, status: int, state: str):
    told.secret("vision/ops", "hush")
    told.rule(webhook(receiver.url()))
    receiver.answers.append((status, {"Location": receiver.url(path="/elsewhere"), "Retry-After": "900"}))
    told.happen()
    told.send(told.sender())
    assert told.states() == [state]
    (delivery,) = told.deliveries()
    assert str(status) in delivery.reason
    assert [got.path for got in receiver.received] == ["/hook"]
    if state == "WAITING":
        assert delivery.next_time.ToMicroseconds() == NOON + 900_000_000


# --- trying again


def test_it_is_tried_again_later_and_later_with_the_same_id_and_then_given_up(told: Told, receiver: Receiver):
    told.secret("vision/ops", "hush")
    told.rule(webhook(receiver.url()))
    receiver.answers.extend([(500, {})] * MAX_ATTEMPTS)
    told.happen()
    sender, waits = told.sender(), []
    for attempt in range(1, MAX_ATTEMPTS + 1):
        told.send(sender)
        (delivery,) = told.deliveries()
        assert delivery.attempts == attempt
        if attempt < MAX_ATTEMPTS:
            assert told.states() == ["WAITING"]
            waits.append(delivery.next_time.ToMicroseconds() - told.clock())
            told.clock.frozen = delivery.next_time.ToMicroseconds() - 1
            told.send(sender)  # too early: nothing is due
            told.clock.frozen += 1
    assert told.states() == ["GIVEN_UP"]
    for number, wait in enumerate(waits):
        longest = min(5_000_000 * 2**number, 3_600_000_000)
        assert longest // 2 <= wait <= longest
    assert {got.headers["idempotency-key"] for got in receiver.received} == {delivery.id}
    assert {got.body for got in receiver.received} == {receiver.received[0].body}


def test_a_sender_that_ends_after_sending_leaves_it_to_be_sent_again_with_the_same_id(
    told: Told, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
):
    told.secret("vision/ops", "hush")
    told.rule(webhook(receiver.url()))
    told.happen()
    monkeypatch.setattr(Sender, "_settle", _sent_and_died(Sender._settle))
    first = told.sender()
    first.send()
    until(lambda: len(receiver.received) == 1)
    first.close()
    monkeypatch.undo()
    second = told.sender()
    told.send(second)  # it is still the first one's
    assert told.states() == ["WAITING"]
    told.clock.frozen = NOON + LEASE_US
    told.send(second)
    assert told.states() == ["DELIVERED"]
    assert len({got.headers["idempotency-key"] for got in receiver.received}) == 1
    assert len(receiver.received) == 2


def _sent_and_died(settle: Any) -> Any:
    def dying(sender: Sender, delivery: Delivery) -> None:
        sender._outcome(delivery)
        raise RuntimeError("the process ends here")

    return dying


def test_a_sender_that_slept_through_its_lease_writes_nothing_more(told: Told):
    told.rule(email("ops@example.com"))
    told.happen()
    with told.doors.database.write(across=True) as tx:
        (slept,) = notifications.due(tx, NOON, 10)
        assert notifications.lease(tx, slept, NOON)
        assert not notifications.lease(tx, slept, NOON)
    later = NOON + LEASE_US
    with told.doors.database.write(across=True) as tx:
        (taken,) = notifications.due(tx, later, 10)
        assert notifications.lease(tx, taken, later)
    state = notifications.DeliveryState.DELIVERED
    with told.doors.database.write(DEV) as tx:
        assert not notifications.settle(tx, slept, state, "", later)
        assert notifications.settle(tx, taken, state, "", later)
    assert told.states() == ["DELIVERED"]


def test_several_senders_send_each_message_once(told: Told):
    told.rule(email("ops@example.com"))
    for number in range(40):
        told.happen(name=f"e{number}")
    sent: Counter[str] = Counter()
    senders = [told.sender(EMAIL=lambda delivery: sent.update([delivery.id])) for _ in range(3)]
    threads = [threading.Thread(target=sender.send) for sender in senders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    until(lambda: set(told.states()) == {"DELIVERED"})
    assert set(sent.values()) == {1}
    assert len(sent) == 40


def test_dead_targets_of_one_scope_delay_no_other_scope(told: Told):
    told.rule(email("dead@example.com"))
    told.doors.project("sonar")
    other = Scope("sonar", "development")
    told.rule(email("alive@example.com"), project="sonar")
    for number in range(3 * THREADS):
        told.happen(name=f"e{number}")
    told.clock.frozen = NOON + 1
    told.happen(other)
    hanging, hung = threading.Event(), []

    def send(delivery: Delivery) -> None:
        if delivery.target.address == "dead@example.com":
            hung.append(delivery.id)
            hanging.wait()
            raise NotTakenError("it hangs")

    sender = told.sender(EMAIL=send)
    try:
        sender.send()
        until(lambda: told.states(other) == ["DELIVERED"])
        assert len(hung) == OF_A_SCOPE
    finally:
        hanging.set()
    until(lambda: all(each.attempts == 1 for each in told.deliveries()))


def test_what_was_tried_before_leaves_threads_for_what_is_new(told: Told):
    scopes = [Scope(f"p{number}", "development") for number in range(THREADS)]
    for scope in scopes:
        told.doors.project(scope.project)
    told.rule(email("ops@example.com"), project="*")
    for scope in scopes:
        told.happen(scope)
    release, hung = threading.Event(), []

    def send(delivery: Delivery) -> None:
        if delivery.attempts and not release.is_set():
            hung.append(delivery.id)
            release.wait()
        elif delivery.notice.subject == "executions/e1":
            raise NotTakenError("not now")

    sender = told.sender(EMAIL=send)
    sender.send()
    until(lambda: all(told.deliveries(scope)[0].attempts == 1 for scope in scopes))
    told.clock.frozen = NOON + 10_000_000
    try:
        sender.send()
        until(lambda: len(hung) == THREADS // 2)
        told.rule(email("others@example.com"), project="*")
        for scope in scopes:
            told.happen(scope, name="new")
        sender.send()
        until(lambda: all(told.deliveries(scope)[0].state == pb.DELIVERY_STATE_DELIVERED for scope in scopes))
        assert len(hung) == THREADS // 2
    finally:
        release.set()
    until(lambda: all(told.deliveries(scope)[1].attempts == 2 for scope in scopes))


def test_targets_that_are_dead_leave_threads_for_others_however_many_scopes_name_them(told: Told):
    scopes = [Scope(f"p{number}", "development") for number in range(THREADS)]
    for scope in scopes:
        told.doors.project(scope.project)
        told.rule(email(f"dead@{scope.project}.example.com"), project=scope.project)
        told.happen(scope)
    told.rule(email("alive@example.com"))
    hanging, hung = threading.Event(), []

    def send(delivery: Delivery) -> None:
        if delivery.target.address.startswith("dead"):
            if delivery.notice.subject == "executions/new" and not hanging.is_set():
                hung.append(delivery.id)
                hanging.wait()
            raise NotTakenError("it hangs")

    sender = told.sender(EMAIL=send)
    sender.send()
    until(lambda: all(told.deliveries(scope)[0].attempts == 1 for scope in scopes))
    told.clock.frozen = NOON + 1
    for scope in scopes:
        told.happen(scope, name="new")
    try:
        sender.send()
        until(lambda: len(hung) == THREADS // 2)
        told.happen(DEV)
        sender.send()
        until(lambda: told.states(DEV) == ["DELIVERED"])
        assert len(hung) == THREADS // 2
    finally:
        hanging.set()


def test_a_fault_in_sending_is_no_end_of_the_sender(told: Told):
    told.rule(email("ops@example.com"))
    told.happen()

    def send(delivery: Delivery) -> None:
        raise ZeroDivisionError

    told.send(told.sender(EMAIL=send))
    (delivery,) = told.deliveries()
    assert (delivery.state, delivery.reason) == (
        pb.DELIVERY_STATE_WAITING,
        "a fault of the server, which its log has",
    )


# --- e-mail


def test_an_email_has_its_id_and_its_facts(told: Told):
    told.rule(email("ops@example.com"))
    told.happen(name="ü\nBcc: all@example.com")
    with mail_server() as mailbox:
        told.send(told.sender(MailServer("127.0.0.1", mailbox.port, "none", "airspace@example.com", "", None)))
        (delivery,) = told.deliveries()
        assert delivery.state == pb.DELIVERY_STATE_DELIVERED
        ((sender, recipients, message),) = mailbox.received
    assert (sender, recipients) == ("airspace@example.com", ["ops@example.com"])
    assert message["Message-ID"] == f"<{delivery.id}@example.com>"
    assert message["Subject"] == "[vision/development] ü Bcc: all@example.com has failed"
    assert message["Bcc"] is None
    assert message["Auto-Submitted"] == "auto-generated"
    assert "error: it broke" in message.get_content()


@pytest.mark.parametrize(("answer", "state"), [("451 later", "WAITING"), ("554 no", "FAILED")])
def test_what_a_mail_server_answers_decides_what_becomes_of_it(told: Told, answer: str, state: str):
    told.rule(email("ops@example.com"))
    told.happen()
    with mail_server() as mailbox:
        mailbox.answers.append(answer)
        told.send(told.sender(MailServer("127.0.0.1", mailbox.port, "none", "airspace@example.com", "", None)))
    assert told.states() == [state]
    assert told.deliveries()[0].reason == f"the mail server refused it ({answer[:3]})"


def test_a_mail_server_that_does_not_encrypt_gets_nothing(told: Told):
    told.rule(email("ops@example.com"))
    told.happen()
    with mail_server() as mailbox:
        told.send(told.sender(MailServer("127.0.0.1", mailbox.port, "starttls", "airspace@example.com", "", None)))
        assert mailbox.received == []
    assert told.states() == ["WAITING"]


def test_the_password_goes_encrypted_to_a_trusted_mail_server_and_from_a_private_file(
    told: Told, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    certificate(tmp_path / "c.pem", tmp_path / "k.pem")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "c.pem", tmp_path / "k.pem")
    logins = []

    def authenticate(_server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
        logins.append((data.login, data.password))
        return AuthResult(success=data.password == b"hush", handled=False)

    password = tmp_path / "password"
    write_private(password, b"hush\n", replace=True)
    told.rule(email("ops@example.com"))
    told.happen()
    options = {"tls_context": tls, "require_starttls": True, "auth_required": True, "authenticator": authenticate}
    with mail_server(**options) as mailbox:
        server = MailServer("localhost", mailbox.port, "starttls", "airspace@example.com", "airspace", password)

        def tried(reason: str) -> None:
            told.send(told.sender(server))
            (delivery,) = told.deliveries()
            assert (delivery.state, delivery.reason) == (pb.DELIVERY_STATE_WAITING, reason)
            told.clock.frozen = delivery.next_time.ToMicroseconds()

        tried("the mail server could not be used: SSLCertVerificationError")
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "c.pem"))
        password.chmod(0o644)
        tried("the file of the mail server's password cannot be used")
        assert logins == []
        write_private(password, b"wrong", replace=True)
        tried("the mail server did not let this server log in (535)")
        write_private(password, b"hush\n", replace=True)
        told.send(told.sender(server))
        assert told.states() == ["DELIVERED"]
        assert len(mailbox.received) == 1
    assert logins[-1] == (b"airspace", b"hush")


def test_a_server_that_sends_no_email_says_so(told: Told):
    told.rule(email("ops@example.com"))
    told.happen()
    told.send(told.sender())
    assert told.states() == ["FAILED"]
    assert told.deliveries()[0].reason == "this server sends no e-mail: smtp_host is not set"


def test_an_address_that_could_change_headers_is_never_mailed(told: Told):
    with told.doors.database.write(DEV) as tx:  # from before addresses were checked
        forged = Target(Channel.EMAIL, "a@example.com\r\nBcc: b@example.com")
        notify(tx, Notice(Event.EXECUTION_FAILED, "executions/e1", "failed", {}, NOON), [forged])
    with mail_server() as mailbox:
        told.send(told.sender(MailServer("127.0.0.1", mailbox.port, "none", "airspace@example.com", "", None)))
        assert mailbox.received == []
    assert told.states() == ["FAILED"]


# --- what is told


def notification(kind: str, *recipients: str, phases: tuple[str, ...] = ("FAILED",)) -> common_pb2.Notification:
    made = common_pb2.Notification(phases=[core_execution_pb2.WorkflowExecution.Phase.Value(each) for each in phases])
    getattr(made, kind).recipients_email.extend(recipients)
    return made


def plan(told: Told, *own: common_pb2.Notification, name: str = "plan") -> EntityId:
    workflow = told.doors.register(chain)
    spec = plan_spec(workflow, defaults={"x": integer(1)})
    spec.entity_metadata.notifications.extend(own)
    id_ = EntityId(DEV, name, "v1")
    told.doors.plans.RegisterLaunchPlan(register_plan(id_, spec), call())
    return id_


def end(told: Told, execution: Any, phase: ExecutionPhase = ExecutionPhase.FAILED) -> None:
    error = ExecutionError("USER:Broken", "it broke", ErrorKind.USER) if phase is ExecutionPhase.FAILED else None
    with told.doors.database.write(execution.scope) as tx:
        execution_ended(tx, execution, phase, error, NOON)


def targets(told: Told) -> list[str]:
    return sorted(each.target for each in told.deliveries())


@pytest.mark.parametrize(
    ("own", "field"),
    [
        (common_pb2.Notification(phases=[core_execution_pb2.WorkflowExecution.FAILED]), ""),
        (notification("email"), ""),
        (notification("slack", "a@example.com\nBcc: b@example.com"), ".slack.recipients_email[0]"),
        (notification("email", "a@example.com", phases=("RUNNING",)), ".phases"),
        (notification("email", "a@example.com", phases=()), ".phases"),
    ],
)
def test_a_launch_plan_with_notifications_that_cannot_be_sent_is_refused(told: Told, own: Any, field: str):
    with pytest.raises(ApiError) as refused:
        plan(told, own)
    assert refused.value.field == f"spec.entity_metadata.notifications[0]{field}"


def test_a_launch_plans_notifications_are_sent_for_their_phases(told: Told):
    id_ = plan(
        told,
        notification("email", "mail@example.com"),
        notification("pager_duty", "pager@example.com", "mail@example.com", phases=("FAILED", "TIMED_OUT")),
        notification("slack", "slack@example.com", phases=("SUCCEEDED",)),
    )
    end(told, launch(told.doors, id_), ExecutionPhase.ABORTED)
    assert targets(told) == []
    end(told, launch(told.doors, id_), ExecutionPhase.FAILED)
    assert targets(told) == ["mail@example.com", "pager@example.com"]
    assert {each.event for each in told.deliveries()} == {pb.EVENT_EXECUTION_FAILED}


def test_an_execution_takes_the_place_of_its_launch_plans_notifications(told: Told):
    id_ = plan(told, notification("email", "plan@example.com"))

    def run(**fields: Any) -> Any:
        spec = execution_pb2.ExecutionSpec(launch_plan=flyte_id(id_), **fields)
        request = execution_pb2.ExecutionCreateRequest(project="vision", domain="development", spec=spec)
        name = told.doors.flyte.CreateExecution(request, call()).id.name
        return ExecutionId(DEV, name)

    end(told, run(disable_all=True))
    assert targets(told) == []
    own = execution_pb2.NotificationList(notifications=[notification("email", "own@example.com")])
    end(told, run(notifications=own))
    assert targets(told) == ["own@example.com"]
    end(told, run(notifications=execution_pb2.NotificationList()))  # what FlyteRemote always sends
    assert targets(told) == ["own@example.com", "plan@example.com"]
    bad = execution_pb2.NotificationList(notifications=[notification("email", "nobody")])
    with pytest.raises(ApiError) as refused:
        run(notifications=bad)
    assert refused.value.field == "spec.notifications.notifications[0].email.recipients_email[0]"


def test_rules_and_launch_plans_tell_each_address_once(told: Told):
    told.rule(email("ops@example.com"))
    end(told, launch(told.doors, plan(told, notification("email", "ops@example.com"))))
    (delivery,) = told.deliveries()
    assert delivery.title.startswith("plan: ")


def test_launches_that_a_quota_refuses_are_told_of_once_in_a_while(told: Told):
    told.rule(email("ops@example.com", events=(pb.EVENT_LAUNCH_REFUSED,)))
    id_ = plan(told)
    with told.doors.database.write() as tx:
        put_quotas(tx, ScopePattern("vision", "development"), {Quota.EXECUTIONS_QUEUED: 0})

    def refused() -> None:
        with pytest.raises(ApiError) as error:
            launch(told.doors, id_)
        assert error.value.reason is Reason.QUOTA_EXCEEDED

    for _ in range(3):
        refused()
    told.doors.refusals.tell()
    refused()
    told.doors.refusals.tell()
    (delivery,) = told.deliveries()
    assert delivery.subject == "quotas/executions_queued"
    assert delivery.title.startswith("a launch was refused: vision/development has 0 executions in its queue")
    told.clock.frozen = NOON + QUIET_US
    told.doors.refusals.tell()  # nothing was refused since
    assert len(told.deliveries()) == 1
    refused()
    told.doors.refusals.tell()
    assert len(told.deliveries()) == 2


def test_refusals_that_cannot_be_written_are_kept(told: Told, monkeypatch: pytest.MonkeyPatch):
    told.rule(email("ops@example.com", events=(pb.EVENT_LAUNCH_REFUSED,)))
    error = ApiError(Reason.QUOTA_EXCEEDED, "too many", {"quota": "q", "limit": "1"})
    told.doors.refusals.refused(DEV, error)

    def broken(*_: Any, **__: Any) -> Any:
        raise DiedError

    monkeypatch.setattr(told.doors.database, "write", broken)
    with pytest.raises(DiedError):
        told.doors.refusals.tell()
    monkeypatch.undo()
    told.doors.refusals.tell()
    assert len(told.deliveries()) == 1
