"""Promotion: the same version in a later domain with all that it needs, once the gates are passed, or nothing."""

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flyte_samples import (
    chain,
    chain_lp,
    choice,
    choice_or_fail,
    double,
    fan,
    gated,
    growing,
    guarded,
    launching,
    mapped,
    mapped_partly,
    nightly,
    outer,
    outermost,
    serialize,
    task_spec,
    typed,
)
from flyteidl.admin import launch_plan_pb2
from flyteidl.core import identifier_pb2
from flytekit import task, workflow
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select
from wing_doors import (
    DEV,
    DOMAINS,
    PROD,
    Doors,
    call,
    errors,
    flyte_id,
    integer,
    moved,
    pages,
    plan_id,
    register_plan,
    register_task,
    register_workflow,
    scope_message,
    task_id,
    together,
    workflow_id,
)

from airspace.launchplan.v1 import launch_plan_service_pb2 as plan_pb
from airspace.promotion.v1 import promotion_service_pb2 as pb
from airspace.registry.v1 import registry_service_pb2 as registry_pb
from airspace.settings.v1 import settings_service_pb2 as settings_pb
from airspace.type.v1 import identifiers_pb2
from airspace_server.admin import promotions
from airspace_server.admin.gates import PROMOTION
from airspace_server.admin.promotion_service import PromotionService
from airspace_server.admin.promotion_store import WAITS
from airspace_server.admin.promotions import Promotions
from airspace_server.admin.registry import NewTask, insert_task
from airspace_server.admin.settings_service import SettingsService
from airspace_server.artifacts.local import LocalArtifactStore
from airspace_server.core.errors import ApiError, Reason
from airspace_server.core.gates import Asked, Facts, Freeze, Gates, check, inherited
from airspace_server.core.notifications import Event, Reachable
from airspace_server.core.run_as import RunAs
from airspace_server.core.scope import EntityId, Scope, ScopePattern
from airspace_server.storage import notifications
from airspace_server.storage.database import Transaction, scoped
from airspace_server.storage.paging import Pager
from airspace_server.storage.settings import put
from airspace_server.storage.tables import (
    ExecutionRow,
    LaunchPlanRow,
    PromotionRow,
    TaskRow,
    WorkflowRow,
    table,
)

STAGING = Scope("vision", "staging")
OTHER = Scope("sonar", "development")
HOUR = 3_600_000_000
MOST = 1_000_000


@task
def one(x: int) -> int:
    return x


@task
def two(x: int) -> int:
    return x


@task
def three(x: int) -> int:
    return x


@workflow
def there(x: int) -> int:
    return three(x=two(x=one(x=x)))


@workflow
def back(x: int) -> int:
    return one(x=two(x=three(x=x)))


class Promoter:
    """The front doors of promotions and gates, as one account after the other."""

    def __init__(self, doors: Doors, folder: Path) -> None:
        self.doors = doors
        self.store = LocalArtifactStore(folder)
        cases = Promotions(doors.database, self.store, doors.clock, DOMAINS, MOST)
        self.service = PromotionService(cases, Pager(b"k" * 32))
        self.settings = SettingsService(doors.database, Reachable())

    def preview(self, plan: EntityId, target: Scope = STAGING, kind: str = "LAUNCH_PLAN") -> Any:
        return self.service.PreviewPromotion(pb.PreviewPromotionRequest(**_of(plan, target, kind)), call())

    def request(
        self,
        plan: EntityId,
        target: Scope = STAGING,
        *,
        kind: str = "LAUNCH_PLAN",
        activate: bool = False,
        comment: str = "",
        by: str = "user:ann",
    ) -> pb.Promotion:
        request = pb.RequestPromotionRequest(**_of(plan, target, kind), activate=activate, comment=comment)
        return self.service.RequestPromotion(request, call(by)).promotion

    def approve(self, promotion: pb.Promotion, by: str = "user:bob") -> pb.Promotion:
        request = pb.ApprovePromotionRequest(scope=promotion.scope, name=promotion.name, comment="seen")
        return self.service.ApprovePromotion(request, call(by)).promotion

    def reject(self, promotion: pb.Promotion, by: str = "user:bob") -> pb.Promotion:
        request = pb.RejectPromotionRequest(scope=promotion.scope, name=promotion.name, comment="not yet")
        return self.service.RejectPromotion(request, call(by)).promotion

    def override(self, promotion: pb.Promotion, by: str = "user:root") -> pb.Promotion:
        request = pb.OverridePromotionRequest(scope=promotion.scope, name=promotion.name, reason="it burns")
        return self.service.OverridePromotion(request, call(by)).promotion

    def get(self, promotion: pb.Promotion) -> pb.Promotion:
        request = pb.GetPromotionRequest(scope=promotion.scope, name=promotion.name)
        return self.service.GetPromotion(request, call()).promotion

    def names(self, scope: Scope, *, pending: bool = False, size: int = 0) -> list[str]:
        def fetch(token: str) -> tuple[Sequence[pb.Promotion], str]:
            request = pb.ListPromotionsRequest(
                scope=scope_message(scope), pending_only=pending, page_size=size, page_token=token
            )
            answer = self.service.ListPromotions(request, call())
            return answer.promotions, answer.next_page_token

        return [promotion.name for rows in pages(fetch) for promotion in rows]

    def ask(self, domain: str, **gates: Any) -> None:
        """Set the gates of a domain."""
        pattern = identifiers_pb2.ScopePattern(project="*", domain=domain)
        self.settings.UpdateGates(settings_pb.UpdateGatesRequest(pattern=pattern, gates=gates), call())


def _of(version: EntityId, target: Scope, kind: str) -> dict[str, Any]:
    return {
        "source": scope_message(version.scope),
        "target": scope_message(target),
        "kind": f"PROMOTED_KIND_{kind}",
        "name": version.name,
        "version": version.version,
    }


@pytest.fixture
def promoter(doors: Doors, tmp_path: Path) -> Promoter:
    return Promoter(doors, tmp_path / "artifacts")


def ids(doors: Doors, scope: Scope) -> set[tuple[str, str, str]]:
    """What is registered in a scope."""
    with doors.database.read(scope) as tx:
        return {
            (versions.name, row.name, row.version)
            for versions in (table(TaskRow), table(WorkflowRow), table(LaunchPlanRow))
            for row in tx.all(select(versions).where(scoped(versions)))
        }


def digests(doors: Doors, scope: Scope) -> dict[tuple[str, str, str], str]:
    with doors.database.read(scope) as tx:
        return {
            (versions.name, row.name, row.version): row.digest
            for versions in (table(TaskRow), table(WorkflowRow), table(LaunchPlanRow))
            for row in tx.all(select(versions).where(scoped(versions)))
        }


def active(doors: Doors, scope: Scope, name: str = "plan") -> str:
    request = plan_pb.GetActiveLaunchPlanRequest(scope=scope_message(scope), name=name)
    return doors.plans.GetActiveLaunchPlan(request, call()).launch_plan.id.version


def succeed(doors: Doors, plan: EntityId, name: str, phase: str = "SUCCEEDED", ago: int = 0) -> None:
    """Keep an execution that ended so long ago."""
    workflow = doors.plans.GetLaunchPlan(plan_pb.GetLaunchPlanRequest(launch_plan=plan_id(plan)), call()).launch_plan
    now = doors.clock()
    row = {
        "name": name,
        "launch_plan_name": plan.name,
        "launch_plan_version": plan.version,
        "workflow_project": workflow.workflow.scope.project,
        "workflow_name": workflow.workflow.name,
        "workflow_version": workflow.workflow.version,
        "phase": phase,
        "state": "ACTIVE",
        "spec": b"",
        "labels": "{}",
        "inputs": b"",
        "user_inputs": b"",
        "principal": "user:ann",
        "sequence": 1,
        "lease_epoch": 0,
        "lease_expires_at": 1,
        "created_at": now - ago,
        "updated_at": now - ago,
        "ended_at": now - ago,
    }
    with doors.database.write(plan.scope) as tx:
        tx.insert(table(ExecutionRow), row)


def failed(promotion: Any) -> list[str]:
    return [gate.name for gate in promotion.gates if not gate.passed]


# --- what is promoted


def test_a_launch_plan_goes_with_all_that_it_needs_and_is_as_if_it_had_been_registered_there(
    doors: Doors, promoter: Promoter
):
    plan = doors.plan(doors.register(outermost), defaults={"x": integer(3)}, labels={"team": "cv"})
    promotion = promoter.request(plan, comment="it is ready")
    assert promotion.state == pb.PROMOTION_STATE_PROMOTED
    assert (promotion.requester, promotion.decider, promotion.comment) == ("user:ann", "user:ann", "it is ready")
    assert ids(doors, STAGING) == ids(doors, DEV)
    promoted = digests(doors, STAGING)
    # The same source, registered in a third domain by a client: promotion and registration make the same content.
    doors.plan(doors.register(outermost, PROD), defaults={"x": integer(3)}, labels={"team": "cv"})
    promoter.request(replace(plan, scope=STAGING), PROD)
    assert digests(doors, PROD).keys() == promoted.keys()
    for entry in promotion.entries:
        assert entry.state == pb.ENTRY_STATE_NEW
        assert entry.digest in promoted.values()
        assert entry.digest != entry.source_digest
        assert entry.source_digest in digests(doors, DEV).values()
    fetched = doors.registry.GetWorkflow(
        registry_pb.GetWorkflowRequest(workflow=workflow_id(EntityId(STAGING, outermost.name, "v1"))), call()
    )
    assert b"development" not in fetched.workflow.closure.value


@pytest.mark.parametrize(
    "workflow",
    [choice, choice_or_fail, mapped, mapped_partly, growing, gated, guarded, nightly],
    ids=lambda workflow: workflow.name.rpartition(".")[2],
)
def test_whatever_flytekit_writes_is_the_same_promoted_and_registered(doors: Doors, promoter: Promoter, workflow: Any):
    here, there = doors.register(workflow), doors.register(workflow, STAGING)
    preview = promoter.preview(here, kind="WORKFLOW")
    assert {entry.state for entry in preview.entries} == {pb.ENTRY_STATE_SAME}
    assert len(preview.entries) == len(ids(doors, STAGING))
    promoter.request(there, PROD, kind="WORKFLOW")
    assert ids(doors, PROD) == ids(doors, STAGING)


def test_launch_plans_that_nodes_launch_go_along_with_their_workflows(doors: Doors, promoter: Promoter):
    for scope in (DEV, STAGING):
        doors.plan(doors.register(chain, scope), name=chain_lp.name, defaults={"x": integer(3)})
    here = doors.register(launching)
    promoter.request(here, kind="WORKFLOW")
    kinds = Counter(kind for kind, _, _ in ids(doors, STAGING))
    assert kinds["launch_plans"] == 1
    assert {(chain_lp.name, "v1"), (launching.name, "v1")} <= {
        (name, version) for _, name, version in ids(doors, STAGING)
    }
    assert promoter.request(replace(here, scope=STAGING), PROD, kind="WORKFLOW").state == pb.PROMOTION_STATE_PROMOTED
    assert ids(doors, PROD) == ids(doors, STAGING)


def launching_plan(doors: Doors, name: str, plan: str) -> EntityId:
    """Register a workflow whose nodes launch a launch plan of chain, or of one that was made by this."""
    spec = moved(serialize(chain)[0], DEV, "v1")
    spec.template.id.name = name
    for node in spec.template.nodes:
        if node.HasField("task_node"):
            launched = flyte_id(EntityId(DEV, plan, "v1"), identifier_pb2.LAUNCH_PLAN)
            node.workflow_node.launchplan_ref.CopyFrom(launched)
    id_ = EntityId(DEV, name, "v1")
    doors.registry.RegisterWorkflow(register_workflow(id_, spec), call())
    return id_


def test_launch_plans_may_launch_one_another_more_deeply_than_python_calls(doors: Doors, promoter: Promoter):
    plan = doors.plan(doors.register(chain), "p0")
    for depth in range(1, sys.getrecursionlimit() // 2 + 1):
        plan = doors.plan(launching_plan(doors, f"w{depth}", f"p{depth - 1}"), f"p{depth}")
    assert promoter.request(plan).state == pb.PROMOTION_STATE_PROMOTED
    assert ids(doors, STAGING) == ids(doors, DEV)


def test_a_sub_workflow_that_is_registered_as_one_that_launches_what_has_it_goes_along(
    doors: Doors, promoter: Promoter
):
    workflow = doors.register(outer)
    plan = doors.plan(workflow, "of_outer")
    sub = serialize(outer)[0].sub_workflows[0].id.name
    launching_plan(doors, sub, "of_outer")
    assert promoter.request(workflow, kind="WORKFLOW").state == pb.PROMOTION_STATE_PROMOTED
    assert promoter.request(plan).state == pb.PROMOTION_STATE_PROMOTED
    assert ids(doors, STAGING) == ids(doors, DEV)


def test_a_launch_plan_may_be_called_as_its_workflow_is_which_is_how_flytekit_calls_it(
    doors: Doors, promoter: Promoter
):
    plan = doors.plan(doors.register(chain), name=chain.name)
    assert promoter.request(plan, activate=True).state == pb.PROMOTION_STATE_PROMOTED
    assert ids(doors, STAGING) == ids(doors, DEV)
    assert active(doors, STAGING, chain.name) == "v1"


def test_what_is_there_already_is_left_and_a_promotion_done_again_creates_nothing(doors: Doors, promoter: Promoter):
    plan = doors.plan(doors.register(chain))
    first = promoter.request(plan)
    before = digests(doors, STAGING)
    again = promoter.request(plan)
    assert again.name != first.name
    assert {entry.state for entry in again.entries} == {pb.ENTRY_STATE_SAME}
    assert digests(doors, STAGING) == before


def test_a_version_that_is_there_with_other_content_stops_all_of_it(doors: Doors, promoter: Promoter):
    plan = doors.plan(doors.register(chain))
    name = next(name for kind, name, _ in ids(doors, DEV) if kind == "tasks")
    body = moved(serialize(chain)[1][replace(next(iter(serialize(chain)[1])), name=name)], STAGING, "v1")
    body.template.container.image = "other:1"
    doors.registry.RegisterTask(register_task(EntityId(STAGING, name, "v1"), body), call())
    preview = promoter.preview(plan)
    assert [e.name for e in preview.entries if e.state == pb.ENTRY_STATE_DIFFERENT] == [name]
    with pytest.raises(ApiError) as refused:
        promoter.request(plan)
    assert refused.value.reason is Reason.DIFFERENT_CONTENT
    assert ids(doors, STAGING) == {("tasks", name, "v1")}
    assert promoter.names(STAGING) == []


def test_a_workflow_is_promoted_without_its_launch_plans_and_a_task_not_by_itself(doors: Doors, promoter: Promoter):
    workflow = doors.register(fan)
    doors.plan(workflow)
    promoter.request(workflow, kind="WORKFLOW")
    assert {kind for kind, _, _ in ids(doors, STAGING)} == {"tasks", "workflows"}
    with pytest.raises(ApiError) as refused:
        promoter.request(EntityId(DEV, double.name, "v1"), kind="TASK")
    assert refused.value.field == "kind"
    with pytest.raises(ApiError) as refused:
        promoter.request(workflow, kind="WORKFLOW", activate=True)
    assert refused.value.field == "activate"


@pytest.mark.parametrize(
    ("target", "field"),
    [(DEV, "target.domain"), (Scope("sonar", "staging"), "target.project")],
)
def test_versions_go_forward_in_their_own_project(doors: Doors, promoter: Promoter, target: Scope, field: str):
    doors.project("sonar")
    plan = doors.plan(doors.register(chain))
    for act in (promoter.preview, promoter.request):
        with pytest.raises(ApiError) as refused:
            act(plan, target)
        assert (refused.value.reason, refused.value.field) == (Reason.INVALID_FIELD, field)


def test_what_is_not_registered_is_not_promoted(doors: Doors, promoter: Promoter):
    for kind in ("LAUNCH_PLAN", "WORKFLOW"):
        with pytest.raises(ApiError) as refused:
            promoter.request(EntityId(DEV, "never", "v1"), kind=kind)
        assert refused.value.reason is Reason.NOT_FOUND


def test_an_archived_project_promotes_nothing(doors: Doors, promoter: Promoter):
    plan = doors.plan(doors.register(chain))
    doors.archive()
    with pytest.raises(ApiError) as refused:
        promoter.request(plan)
    assert refused.value.reason is Reason.PROJECT_ARCHIVED
    assert ids(doors, STAGING) == set()


def test_what_tasks_may_be_run_as_is_the_targets_to_say(doors: Doors, promoter: Promoter):
    spec = task_spec(double)
    spec.template.security_context.run_as.k8s_service_account = "reader"
    doors.allow(DEV, RunAs(("reader",)))
    workflow, tasks = serialize(chain)
    for id_, body in tasks.items():
        named = moved(spec if id_.name == double.name else body, DEV, "v1")
        doors.registry.RegisterTask(register_task(replace(id_, scope=DEV, version="v1"), named), call())
    id_ = EntityId(DEV, chain.name, "v1")
    doors.registry.RegisterWorkflow(register_workflow(id_, moved(workflow, DEV, "v1")), call())
    plan = doors.plan(id_)
    with pytest.raises(ApiError) as refused:
        promoter.request(plan)
    assert refused.value.reason is Reason.RUN_AS_FORBIDDEN
    assert (ids(doors, STAGING), promoter.names(STAGING)) == (set(), [])
    doors.allow(STAGING, RunAs(("reader",)))
    assert promoter.request(plan).state == pb.PROMOTION_STATE_PROMOTED


# --- files


def registered_with(doors: Doors, *arguments: str) -> EntityId:
    """Register a workflow whose first task has these arguments."""
    workflow, tasks = serialize(chain)
    for id_, body in tasks.items():
        named = moved(body, DEV, "v1")
        named.template.container.args.extend(arguments)
        doors.registry.RegisterTask(register_task(replace(id_, scope=DEV, version="v1"), named), call())
    id_ = EntityId(DEV, chain.name, "v1")
    doors.registry.RegisterWorkflow(register_workflow(id_, moved(workflow, DEV, "v1")), call())
    return doors.plan(id_)


def test_archives_of_code_come_along_and_tasks_name_the_copies(doors: Doors, promoter: Promoter):
    promoter.store.write(DEV, "uploads/abc/fast.tar.gz", [b"code"], 10)
    plan = registered_with(doors, promoter.store.native_url(DEV, "uploads/abc/fast.tar.gz"), "plain/development/word")
    assert promoter.preview(plan).artifacts == ["uploads/abc/fast.tar.gz"]
    assert not promoter.store.exists(STAGING, "uploads/abc/fast.tar.gz")
    assert promoter.request(plan).artifacts == ["uploads/abc/fast.tar.gz"]
    with promoter.store.open(STAGING, "uploads/abc/fast.tar.gz") as file:
        assert file.read() == b"code"
    task = next(name for kind, name, _ in ids(doors, STAGING) if kind == "tasks")
    got = doors.registry.GetTask(
        registry_pb.GetTaskRequest(task=task_id(EntityId(STAGING, task, "v1"))), call()
    ).task.closure.value
    assert promoter.store.native_url(STAGING, "uploads/abc/fast.tar.gz").encode() in got
    assert promoter.store.native_url(DEV, "uploads/abc/fast.tar.gz").encode() not in got
    assert b"plain/development/word" in got


def test_a_file_that_is_gone_or_is_there_with_other_content_stops_all_of_it(doors: Doors, promoter: Promoter):
    plan = registered_with(doors, promoter.store.native_url(DEV, "uploads/abc/fast.tar.gz"))
    with pytest.raises(ApiError) as refused:
        promoter.request(plan)
    assert refused.value.reason is Reason.NOT_FOUND
    promoter.store.write(DEV, "uploads/abc/fast.tar.gz", [b"code"], 10)
    promoter.store.write(STAGING, "uploads/abc/fast.tar.gz", [b"other"], 10)
    with pytest.raises(ApiError) as refused:
        promoter.request(plan)
    assert refused.value.reason is Reason.ALREADY_EXISTS
    assert ids(doors, STAGING) == set()


@pytest.mark.parametrize("of", [DEV, OTHER])
@pytest.mark.parametrize("text", ["{}", "{}/sub", "--file={}", "a{}b", "file://{}"])
@pytest.mark.parametrize("slash", ["/", "//./"])
def test_what_leads_back_into_the_source_and_does_not_come_along_is_refused(
    doors: Doors, promoter: Promoter, text: str, of: Scope, slash: str
):
    address = promoter.store.native_url(of, "data/e1/n0/0/model").replace(f"/{of.domain}/", f"{slash}{of.domain}/")
    plan = registered_with(doors, text.format(address))
    for act in (promoter.preview, promoter.request):
        with pytest.raises(ApiError) as refused:
            act(plan)
        assert refused.value.reason is Reason.FOREIGN_REFERENCE
        assert refused.value.metadata["field"].startswith("template.container.args[")


# --- what other projects have


def borrowing(doors: Doors, promoter: Promoter) -> EntityId:
    """Register a launch plan of a workflow that another project exports."""
    doors.project("sonar")
    theirs = doors.register(chain, OTHER)
    doors.export("WORKFLOW", of=OTHER, to="vision")
    return doors.plan(theirs, scope=DEV)


def test_what_is_another_projects_must_be_in_the_target_exported_and_the_same(doors: Doors, promoter: Promoter):
    plan = borrowing(doors, promoter)
    there = Scope("sonar", "staging")

    def seen() -> int:
        (entry,) = [each for each in promoter.preview(plan).entries if each.project == "sonar"]
        assert (entry.name, entry.version) == (chain.name, "v1")
        return entry.state

    assert seen() == pb.ENTRY_STATE_MISSING
    with pytest.raises(ApiError) as refused:
        promoter.request(plan)
    assert refused.value.reason is Reason.EXPORT_MISSING
    theirs = doors.register(chain, there)
    assert seen() == pb.ENTRY_STATE_MISSING  # as long as it is not exported, it is as if it were not there
    doors.export("WORKFLOW", of=there, to="vision")
    assert seen() == pb.ENTRY_STATE_SAME
    assert promoter.request(plan).state == pb.PROMOTION_STATE_PROMOTED
    assert ids(doors, STAGING) == {("launch_plans", "plan", "v1")}
    assert theirs.scope == there


def test_another_projects_version_with_other_content_in_the_target_is_not_what_was_tried(
    doors: Doors, promoter: Promoter
):
    plan = borrowing(doors, promoter)
    there = Scope("sonar", "staging")
    workflow, tasks = serialize(chain)
    for id_, body in tasks.items():
        named = moved(body, there, "v1")
        named.template.container.image = "other:1"
        doors.registry.RegisterTask(register_task(replace(id_, scope=there, version="v1"), named), call())
    id_ = EntityId(there, chain.name, "v1")
    doors.registry.RegisterWorkflow(register_workflow(id_, moved(workflow, there, "v1")), call())
    doors.export("WORKFLOW", of=there, to="vision")
    with pytest.raises(ApiError) as refused:
        promoter.request(plan)
    assert refused.value.reason is Reason.DIFFERENT_CONTENT


# --- activation


def test_a_promotion_activates_in_the_same_step_and_can_be_rolled_back(doors: Doors, promoter: Promoter):
    workflow = doors.register(chain)
    first, second = doors.plan(workflow, version="v1"), doors.plan(workflow, version="v2")
    promoter.request(first, activate=True)
    promoter.request(second, activate=True, by="user:cleo")
    assert active(doors, STAGING) == "v2"
    request = plan_pb.ListActivationsRequest(scope=scope_message(STAGING), name="plan")
    history = doors.plans.ListActivations(request, call()).activations
    assert [(each.version, each.principal) for each in history] == [("v2", "user:cleo"), ("v1", "user:ann")]
    assert {each.cause for each in history} == {plan_pb.ACTIVATION_CAUSE_PROMOTE}
    doors.plans.RollbackLaunchPlan(plan_pb.RollbackLaunchPlanRequest(scope=scope_message(STAGING), name="plan"), call())
    assert active(doors, STAGING) == "v1"


def test_a_preview_tells_what_differs_from_what_is_active_there(doors: Doors, promoter: Promoter):
    first = doors.plan(doors.register(chain))
    assert promoter.preview(first).active_version == ""
    promoter.request(first, activate=True)
    doors.register(chain, version="v2")
    same = doors.plan(EntityId(DEV, chain.name, "v2"), version="v2")
    preview = promoter.preview(same)
    assert (preview.active_version, list(preview.differences)) == ("v1", [])
    other = doors.plan(doors.register(typed, version="v3"), version="v3")
    found = {(each.name, each.difference) for each in promoter.preview(other).differences}
    assert ("plan", pb.DIFFERENCE_KIND_CHANGED) in found
    assert (typed.name, pb.DIFFERENCE_KIND_ADDED) in found
    assert (chain.name, pb.DIFFERENCE_KIND_REMOVED) in found


# --- gates


def test_a_domain_is_not_skipped(doors: Doors, promoter: Promoter):
    plan = doors.plan(doors.register(chain))
    waiting = promoter.request(plan, PROD)
    assert (waiting.state, failed(waiting)) == (pb.PROMOTION_STATE_PENDING, ["order"])
    assert ids(doors, PROD) == set()
    assert promoter.names(PROD, pending=True) == [waiting.name]


def test_executions_of_the_very_version_must_have_succeeded_lately(doors: Doors, promoter: Promoter):
    workflow = doors.register(chain)
    plan, other = doors.plan(workflow), doors.plan(workflow, version="v2")
    promoter.ask("staging", successes=2, within_hours=24)
    succeed(doors, plan, "e1")
    succeed(doors, plan, "e2", phase="FAILED")
    succeed(doors, plan, "e3", ago=25 * HOUR)
    succeed(doors, other, "e4")
    waiting = promoter.request(plan)
    assert failed(waiting) == ["successes"]
    assert "1 of 2" in next(gate.message for gate in waiting.gates if not gate.passed)
    succeed(doors, plan, "e5")
    promoted = promoter.request(plan)
    assert (promoted.name, promoted.state) == (waiting.name, pb.PROMOTION_STATE_PROMOTED)


def test_a_version_soaks_and_a_frozen_domain_takes_nothing(doors: Doors, promoter: Promoter):
    plan = doors.plan(doors.register(chain))
    now = doors.clock()
    freeze = settings_pb.Freeze(reason="the fair")
    freeze.start.FromMicroseconds(now)
    freeze.end.FromMicroseconds(now + 2 * HOUR)
    promoter.ask("staging", soak_hours=1, freezes=[freeze])
    assert failed(promoter.request(plan)) == ["soak", "freeze"]
    doors.clock.frozen = now + HOUR
    assert failed(promoter.request(plan)) == ["freeze"]
    doors.clock.frozen = now + 2 * HOUR
    assert promoter.request(plan).state == pb.PROMOTION_STATE_PROMOTED


def test_somebody_else_must_approve_each_once(doors: Doors, promoter: Promoter):
    plan = doors.plan(doors.register(chain))
    promoter.ask("staging", approvals=2)
    waiting = promoter.request(plan, activate=True)
    with pytest.raises(ApiError) as refused:
        promoter.approve(waiting, by="user:ann")
    assert refused.value.reason is Reason.OWN_APPROVAL
    for _ in range(2):
        assert promoter.approve(waiting, by="user:bob").state == pb.PROMOTION_STATE_PENDING
    promoted = promoter.approve(waiting, by="user:cleo")
    assert (promoted.state, promoted.decider) == (pb.PROMOTION_STATE_PROMOTED, "user:cleo")
    assert [each.principal for each in promoter.get(promoted).approvals] == ["user:bob", "user:cleo"]
    assert active(doors, STAGING) == "v1"
    for act in (promoter.approve, promoter.reject, promoter.override):
        with pytest.raises(ApiError) as refused:
            act(promoted)
        assert (refused.value.reason, refused.value.metadata["state"]) == (Reason.WRONG_STATE, "PROMOTED")


def test_who_is_named_for_the_target_is_told_how_a_promotion_was_decided(doors: Doors, promoter: Promoter):
    rule = settings_pb.NotificationRule(events=(5, 6), email=settings_pb.EmailTarget(recipients=["ops@example.com"]))
    request = settings_pb.UpdateNotificationsRequest(
        pattern=identifiers_pb2.ScopePattern(project="*", domain="staging"),
        notifications=settings_pb.Notifications(rules=[rule]),
    )
    promoter.settings.UpdateNotifications(request, call())
    plan = doors.plan(doors.register(chain))
    promoter.ask("staging", approvals=1)

    def told() -> list[tuple[Event, str]]:
        with doors.database.read(STAGING) as tx:
            found, _ = notifications.newest(tx, (), 10, None)
        return [(each.notice.event, each.notice.facts["decided_by"]) for each in found]

    rejected = promoter.request(plan)
    assert told() == []
    promoter.reject(rejected)
    promoter.approve(promoter.request(plan), by="user:cleo")
    assert told() == [(Event.PROMOTION_PROMOTED, "user:cleo"), (Event.PROMOTION_REJECTED, "user:bob")]


def test_a_rejected_promotion_stays_so_and_can_be_asked_for_anew(doors: Doors, promoter: Promoter):
    plan = doors.plan(doors.register(chain))
    promoter.ask("staging", approvals=1)
    first = promoter.request(plan)
    assert promoter.request(plan, by="user:bob").name == first.name
    rejected = promoter.reject(first)
    assert (rejected.state, rejected.decision_comment) == (pb.PROMOTION_STATE_REJECTED, "not yet")
    with pytest.raises(ApiError):
        promoter.approve(first)
    second = promoter.request(plan)
    assert second.name != first.name
    assert promoter.names(STAGING, size=1) == [second.name, first.name]
    assert promoter.names(STAGING, pending=True) == [second.name]


@pytest.mark.parametrize("activate", [True, False])
def test_one_that_waits_is_not_promoted_by_asking_for_another_activation(
    doors: Doors, promoter: Promoter, activate: bool
):
    plan = doors.plan(doors.register(chain))
    promoter.ask("staging", approvals=1)
    waiting = promoter.request(plan, activate=activate)
    promoter.ask("staging")  # all gates are passed by now
    with pytest.raises(ApiError) as refused:
        promoter.request(plan, activate=not activate, by="user:bob")
    assert (refused.value.reason, refused.value.metadata["state"]) == (Reason.WRONG_STATE, "PENDING")
    assert waiting.name in refused.value.message
    assert (ids(doors, STAGING), promoter.get(waiting).state) == (set(), pb.PROMOTION_STATE_PENDING)
    assert promoter.request(plan, activate=activate, by="user:bob").state == pb.PROMOTION_STATE_PROMOTED


def test_a_promotion_that_waited_for_too_long_has_expired(doors: Doors, promoter: Promoter):
    plan = doors.plan(doors.register(chain))
    promoter.ask("staging", approvals=1)
    first = promoter.request(plan)
    doors.clock.frozen = doors.clock() + WAITS
    assert promoter.get(first).state == pb.PROMOTION_STATE_EXPIRED
    assert promoter.names(STAGING, pending=True) == []
    with pytest.raises(ApiError) as refused:
        promoter.approve(first)
    assert refused.value.metadata["state"] == "EXPIRED"
    second = promoter.request(plan)
    assert second.name != first.name
    assert promoter.get(first).state == pb.PROMOTION_STATE_EXPIRED
    assert promoter.approve(second).state == pb.PROMOTION_STATE_PROMOTED


def test_an_override_passes_every_gate_and_says_so(doors: Doors, promoter: Promoter):
    plan = doors.plan(doors.register(chain))
    promoter.ask("production", approvals=2, successes=5, soak_hours=5)
    waiting = promoter.request(plan, PROD)
    done = promoter.override(waiting)
    assert (done.state, done.overridden, done.decider) == (pb.PROMOTION_STATE_PROMOTED, True, "user:root")
    assert done.decision_comment == "it burns"
    assert failed(done) == ["order", "successes", "soak", "approvals"]
    assert ids(doors, PROD) == ids(doors, DEV)


def test_a_closed_domain_takes_promotions_and_no_registrations(doors: Doors, promoter: Promoter):
    workflow = doors.register(chain)
    plan = doors.plan(workflow)
    promoter.ask("staging", closed=True)
    spec, tasks = serialize(chain)
    id_, body = next(iter(tasks.items()))
    acts = (
        lambda: doors.registry.RegisterTask(
            register_task(replace(id_, scope=STAGING, version="v1"), moved(body, STAGING, "v1")), call()
        ),
        lambda: doors.plans.RegisterLaunchPlan(
            register_plan(EntityId(STAGING, "plan", "v9"), spec_in_staging(doors, plan)), call()
        ),
        lambda: doors.registry.RegisterWorkflow(
            register_workflow(EntityId(STAGING, chain.name, "v9"), moved(spec, STAGING, "v1")), call()
        ),
    )
    with pytest.raises(ApiError) as refused:
        acts[0]()
    assert (refused.value.reason, refused.value.metadata) == (Reason.DOMAIN_CLOSED, {"scope": str(STAGING)})
    assert promoter.request(plan).state == pb.PROMOTION_STATE_PROMOTED
    for act in acts:
        with pytest.raises(ApiError) as refused:
            act()
        assert refused.value.reason is Reason.DOMAIN_CLOSED


def spec_in_staging(doors: Doors, plan: EntityId) -> Any:
    got = doors.plans.GetLaunchPlan(plan_pb.GetLaunchPlanRequest(launch_plan=plan_id(plan)), call()).launch_plan
    return moved(launch_plan_pb2.LaunchPlanSpec.FromString(got.spec.value), STAGING, "v1")


def test_many_who_ask_at_once_make_one_promotion(doors: Doors, promoter: Promoter):
    plan = doors.plan(doors.register(chain))
    promoter.ask("staging", approvals=1)
    answers = together(*[lambda: promoter.request(plan, by="user:ann") for _ in range(6)])
    assert not errors(answers)
    assert len({answer.name for answer in answers}) == 1
    approved = together(*[lambda: promoter.approve(answers[0]) for _ in range(4)])
    assert {error.reason for error in errors(approved)} <= {Reason.WRONG_STATE}
    assert promoter.get(answers[0]).state == pb.PROMOTION_STATE_PROMOTED
    with doors.database.read(STAGING) as tx:
        rows = tx.all(select(table(PromotionRow)).where(scoped(table(PromotionRow))))
    assert len(rows) == 1


def test_promotions_with_tasks_in_common_do_not_wait_for_each_other(
    doors: Doors, promoter: Promoter, monkeypatch: pytest.MonkeyPatch
):
    written: list[str] = []

    def noting(tx: Transaction, new: NewTask) -> bool:
        written.append(new.id.name)
        return insert_task(tx, new)

    monkeypatch.setattr(promotions, "insert_task", noting)
    orders = []
    for each in (there, back):
        promoter.request(doors.plan(doors.register(each), each.name))
        orders.append(written.copy())
        written.clear()
    assert orders[0] == orders[1]
    plans = [doors.plan(doors.register(each, version="v2"), each.name, "v2") for each in (there, back)]
    assert not errors(together(*[lambda plan=plan: promoter.request(plan) for plan in plans]))
    assert ids(doors, STAGING) == ids(doors, DEV)


small = st.integers(0, 3)


@given(small, small, st.booleans(), small, small, small, small)
def test_a_gate_is_passed_exactly_when_what_it_asks_for_is_there(
    successes: int, had: int, frozen: bool, soak: int, age: int, approvals: int, approved: int
):
    now = 10 * HOUR
    gates = Gates(successes, 1, soak, approvals, False, (Freeze(now - 1, now + frozen, "x"),))
    found = {gate.name: gate.passed for gate in check(gates, Facts((), had, now - age * HOUR, approved, now))}
    assert found == {
        "order": True,
        "successes": had >= successes,
        "soak": age >= soak,
        "approvals": approved >= approvals,
        "freeze": not frozen,
    }
    asked = Asked(successes, 1, soak, approvals, False, gates.freezes)
    assert inherited([Asked.loads(asked.dumps())]) == gates


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"successes": 1001}, "gates.successes"),
        ({"approvals": 11}, "gates.approvals"),
        ({"freezes": [settings_pb.Freeze()]}, "gates.freezes[0].end"),
    ],
)
def test_gates_that_make_no_sense_are_refused(promoter: Promoter, wrong: dict[str, Any], field: str):
    with pytest.raises(ApiError) as refused:
        promoter.ask("staging", **wrong)
    assert (refused.value.reason, refused.value.field) == (Reason.INVALID_FIELD, field)


def test_each_gate_is_inherited_by_itself_and_shown_with_where_it_comes_from(promoter: Promoter):
    pattern = identifiers_pb2.ScopePattern(project="vision", domain="staging")
    request = settings_pb.GetSettingsRequest(pattern=pattern)
    assert not promoter.settings.GetSettings(request, call()).gates_origins
    promoter.ask("*", soak_hours=7, freezes=[freeze_of("all", 1, 5)])
    promoter.ask("staging", approvals=2, closed=True, freezes=[freeze_of("staging", 2, 4)])
    shown = promoter.settings.GetSettings(request, call())
    assert not shown.HasField("own_gates")
    assert (shown.gates.approvals, shown.gates.closed) == (2, True)
    own = settings_pb.Gates(approvals=0, freezes=[freeze_of("ours", 3, 6)])
    promoter.settings.UpdateGates(settings_pb.UpdateGatesRequest(pattern=pattern, gates=own), call())
    shown = promoter.settings.GetSettings(request, call())
    assert shown.own_gates == own
    held = shown.gates
    assert (held.successes, held.soak_hours, held.approvals, held.closed) == (0, 7, 0, True)
    assert [each.reason for each in held.freezes] == ["ours", "staging", "all"]
    assert {name: f"{origin.project}/{origin.domain}" for name, origin in shown.gates_origins.items()} == {
        "soak_hours": "*/*",
        "approvals": "vision/staging",
        "closed": "*/staging",
    }


def test_of_several_freezes_the_last_to_end_is_named_with_its_own_reason():
    gates = Gates(freezes=(Freeze(0, 5 * HOUR, "short"), Freeze(0, 9 * HOUR, "long"), Freeze(0, 7 * HOUR, "middle")))
    frozen = next(gate for gate in check(gates, Facts((), 0, 0, 0, HOUR)) if gate.name == "freeze")
    assert frozen.message == "frozen until 1970-01-01 09:00 UTC: long"


def test_gates_that_a_newer_version_wrote_let_nothing_in(doors: Doors, promoter: Promoter):
    plan = doors.plan(doors.register(chain))
    with doors.database.write() as tx:
        put(tx, PROMOTION, ScopePattern("*", "staging"), '{"freezes": [], "moon": "full"}')
    with pytest.raises(ApiError) as refused:
        promoter.request(plan)
    assert refused.value.reason is Reason.UNAVAILABLE
    assert ids(doors, STAGING) == set()


def freeze_of(reason: str, start: int, end: int) -> settings_pb.Freeze:
    freeze = settings_pb.Freeze(reason=reason)
    freeze.start.FromSeconds(start)
    freeze.end.FromSeconds(end)
    return freeze
