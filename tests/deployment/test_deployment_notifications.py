"""Notifications with real processes: who is killed between sending and writing that down loses nothing."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from deployment_processes import Deployment, Wire, until
from flyte_samples import chain, serialize
from notification_receivers import Mailbox, Receiver, mail_server, receiving
from wing_doors import DEV, integer, moved, plan_spec, register_plan, register_task, register_workflow, scope_message

from airspace.execution.v1 import execution_service_pb2 as execution_pb
from airspace.launchplan.v1 import launch_plan_service_pb2 as plan_pb
from airspace.notification.v1 import notification_service_pb2 as pb
from airspace.project.v1 import project_service_pb2 as project_pb
from airspace.registry.v1 import registry_service_pb2 as registry_pb
from airspace.settings.v1 import settings_service_pb2 as settings_pb
from airspace.type.v1 import identifiers_pb2
from airspace_server.access.keys import write_private
from airspace_server.core.scope import EntityId

PLANS, REGISTRY = "/airspace.launchplan.v1.LaunchPlanService", "/airspace.registry.v1.RegistryService"
ENDS = (
    pb.EVENT_EXECUTION_SUCCEEDED,
    pb.EVENT_EXECUTION_FAILED,
    pb.EVENT_EXECUTION_TIMED_OUT,
    pb.EVENT_EXECUTION_ABORTED,
)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


@pytest.fixture(scope="module")
def mailbox() -> Iterator[Mailbox]:
    with mail_server() as found:
        yield found


@pytest.fixture(scope="module")
def split(
    empty_database: dict[str, str], tmp_path_factory: pytest.TempPathFactory, mailbox: Mailbox
) -> Iterator[Deployment]:
    deployment = Deployment(
        tmp_path_factory.mktemp("notifying"),
        slots="1",
        webhook_networks="127.0.0.1/32",
        smtp_host="127.0.0.1",
        smtp_port=str(mailbox.port),
        smtp_security="none",
        smtp_sender="airspace@example.com",
        **empty_database,
    )
    try:
        deployment.start("admin", "execution", "worker")
        yield deployment
    finally:
        deployment.discard()


def change(split: Deployment, statement: str) -> None:
    url = split.settings.get("database_url")
    connection: Any = psycopg.connect(url) if url else sqlite3.connect(split.data / "airspace.db", timeout=20)
    with closing(connection), connection:
        connection.execute(statement)


def registered(admin: Wire) -> None:
    request = project_pb.CreateProjectRequest(project=DEV.project)
    admin.call("/airspace.project.v1.ProjectService/CreateProject", request, project_pb.CreateProjectResponse)
    spec, tasks = serialize(chain)
    for task, body in tasks.items():
        made = register_task(replace(task, scope=DEV, version="v1"), moved(body, DEV, "v1"))
        admin.call(f"{REGISTRY}/RegisterTask", made, registry_pb.RegisterTaskResponse)
    workflow = EntityId(DEV, chain.name, "v1")
    made = register_workflow(workflow, moved(spec, DEV, "v1"))
    admin.call(f"{REGISTRY}/RegisterWorkflow", made, registry_pb.RegisterWorkflowResponse)
    plan = register_plan(EntityId(DEV, "plan", "v1"), plan_spec(workflow, defaults={"x": integer(1)}))
    admin.call(f"{PLANS}/RegisterLaunchPlan", plan, plan_pb.RegisterLaunchPlanResponse)


def ruled(admin: Wire, *rules: settings_pb.NotificationRule) -> None:
    request = settings_pb.UpdateNotificationsRequest(
        pattern=identifiers_pb2.ScopePattern(project=DEV.project, domain=DEV.domain),
        notifications=settings_pb.Notifications(rules=rules),
    )
    path = "/airspace.settings.v1.SettingsService/UpdateNotifications"
    admin.call(path, request, settings_pb.UpdateNotificationsResponse)


def ledger(wire: Wire) -> list[Any]:
    request = pb.ListDeliveriesRequest(scope=scope_message(DEV))
    path = "/airspace.notification.v1.NotificationService/ListDeliveries"
    return list(wire.call(path, request, pb.ListDeliveriesResponse).deliveries)


def test_who_is_killed_after_sending_leaves_it_to_be_sent_again_with_the_same_key(
    split: Deployment, receiver: Receiver, mailbox: Mailbox
):
    write_private(split.data / "keys/notifications/vision/ops", b"hush", replace=True)
    mailbox.received.clear()  # it is the mail server of both databases
    with Wire(split.admin, split.token("admin")) as admin:
        registered(admin)
        webhook = settings_pb.WebhookTarget(url=receiver.url(), secret="ops")
        email = settings_pb.EmailTarget(recipients=["ops@example.com"])
        ruled(
            admin,
            settings_pb.NotificationRule(events=ENDS, webhook=webhook),
            settings_pb.NotificationRule(events=ENDS, email=email),
        )
        sender = split.processes["execution"]
        receiver.before = lambda _: sender.process.kill() if len(receiver.received) == 1 else None
        launch = execution_pb.LaunchExecutionRequest(scope=scope_message(DEV), launch_plan="plan", version="v1")
        path = "/airspace.execution.v1.ExecutionService/LaunchExecution"
        launched = admin.call(path, launch, execution_pb.LaunchExecutionResponse).execution
        until(lambda: receiver.received, 60)
        split.processes.pop("execution").ended()
        change(split, "UPDATE deliveries SET next_at = created_at WHERE state = 'WAITING'")  # as if the lease were over
        split.start("execution")
        until(lambda: {each.state for each in ledger(admin)} == {pb.DELIVERY_STATE_DELIVERED}, 60)
        deliveries = {each.channel: each for each in ledger(admin)}
    assert deliveries.keys() == {pb.CHANNEL_WEBHOOK, pb.CHANNEL_EMAIL}
    posted = deliveries[pb.CHANNEL_WEBHOOK]
    assert posted.subject == f"executions/{launched.id.name}"
    assert len(receiver.received) == 2
    assert {got.headers["idempotency-key"] for got in receiver.received} == {posted.id}
    first, second = (json.loads(got.body) for got in receiver.received)
    assert first == second
    assert (first["id"], first["source"]) == (posted.id, f"{split.http}/vision/development")
    assert {message["Message-ID"] for _, _, message in mailbox.received} == {
        f"<{deliveries[pb.CHANNEL_EMAIL].id}@example.com>"
    }


def test_no_secret_is_in_the_database_or_the_logs(split: Deployment):
    logs = b"".join(path.read_bytes() for path in split.data.parent.glob("*.log"))
    assert b"hush" not in logs
    if "database_url" not in split.settings:
        assert b"hush" not in b"".join(path.read_bytes() for path in split.data.glob("airspace.db*"))
