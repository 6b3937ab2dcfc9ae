"""One of everything, as the contract has it and as the client gives it."""

from datetime import UTC, datetime

from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.struct_pb2 import Struct

from airspace.access.v1 import access_service_pb2 as access_pb
from airspace.audit.v1 import audit_service_pb2 as audit_pb
from airspace.execution.v1 import execution_service_pb2 as execution_pb
from airspace.launchplan.v1 import launch_plan_service_pb2 as launch_plan_pb
from airspace.notification.v1 import notification_service_pb2 as notification_pb
from airspace.options.v1 import options_pb2
from airspace.project.v1 import project_service_pb2 as project_pb
from airspace.promotion.v1 import promotion_service_pb2 as promotion_pb
from airspace.reference.v1 import reference_service_pb2 as reference_pb
from airspace.registry.v1 import registry_service_pb2 as registry_pb
from airspace.settings.v1 import settings_service_pb2 as settings_pb
from airspace.type.v1.identifiers_pb2 import ExecutionId, LaunchPlanId, Scope, ScopePattern, TaskId, WorkflowId
from airspace_client import (
    AccessAnswer,
    Activation,
    ActivationCause,
    Approval,
    AuditRecord,
    Binding,
    Change,
    Data,
    Delivery,
    DeliveryState,
    Dependent,
    Difference,
    DifferenceKind,
    Domain,
    EmailTarget,
    EntityKind,
    EntryState,
    ErrorKind,
    Execution,
    ExecutionError,
    ExecutionPhase,
    Export,
    FlippedCalls,
    Freeze,
    Gate,
    Gates,
    Identity,
    LaunchPlan,
    LaunchPlanState,
    NodeExecution,
    NodePhase,
    NotificationChannel,
    NotificationEvent,
    NotificationRule,
    Notifications,
    Project,
    ProjectState,
    Promotion,
    PromotionEntry,
    PromotionPreview,
    PromotionState,
    Quota,
    Quotas,
    QuotaUsage,
    RecordKind,
    Registered,
    Role,
    RunAs,
    ServiceAccount,
    ServiceAccountSecret,
    Settings,
    SlackTarget,
    Task,
    Tick,
    TickOutcome,
    Waiting,
    WaitReason,
    WebhookTarget,
    Workflow,
)

P, D = "recommendation-engine", "development"
SCOPE = Scope(project=P, domain=D)
NOON = datetime(2026, 1, 2, 12, 0, 0, 250_000, tzinfo=UTC)
BODY = AnyMessage(type_url="type.googleapis.com/flyteidl.admin.TaskClosure", value=b"\x0a\x00")

PROJECT_PB = project_pb.Project(
    id=P, name="Recommendations", description="What to watch", labels={"team": "ml"},
    state=project_pb.PROJECT_STATE_ACTIVE, etag="e1", create_time=NOON, update_time=NOON,
)  # fmt: skip
PROJECT = Project(P, "Recommendations", "What to watch", {"team": "ml"}, ProjectState.ACTIVE, "e1", NOON, NOON)

TASK_ID = TaskId(scope=SCOPE, name="w.fit", version="v1")
TASK_PB = registry_pb.Task(id=TASK_ID, digest="d1", type="python-task", create_time=NOON, closure=BODY)
TASK = Task(P, D, "w.fit", "v1", "d1", "python-task", NOON, BODY)

WORKFLOW_ID = WorkflowId(scope=SCOPE, name="w.train", version="v1")
WORKFLOW_PB = registry_pb.Workflow(id=WORKFLOW_ID, digest="d2", create_time=NOON)
WORKFLOW = Workflow(P, D, "w.train", "v1", "d2", NOON)

LAUNCH_PLAN_ID = LaunchPlanId(scope=SCOPE, name="w.nightly", version="v1")
LAUNCH_PLAN_PB = launch_plan_pb.LaunchPlan(
    id=LAUNCH_PLAN_ID, digest="d3", workflow=WORKFLOW_ID, state=launch_plan_pb.LAUNCH_PLAN_STATE_ACTIVE,
    schedule="0 2 * * *", create_time=NOON, update_time=NOON,
)  # fmt: skip
LAUNCH_PLAN = LaunchPlan(
    P, D, "w.nightly", "v1", "d3", "w.train", "v1", LaunchPlanState.ACTIVE, "0 2 * * *", NOON, NOON
)

ACTIVATION_PB = launch_plan_pb.Activation(
    sequence=2, version="v1", cause=launch_plan_pb.ACTIVATION_CAUSE_ROLLBACK, principal="user:ada", time=NOON
)
TICK_PB = launch_plan_pb.Tick(
    due_time=NOON,
    last_due_time=NOON,
    version="v1",
    outcome=launch_plan_pb.TICK_OUTCOME_FIRED,
    execution="e1",
    time=NOON,
)
TICK = Tick(NOON, NOON, "v1", TickOutcome.FIRED, "", "e1", NOON)
ACTIVATION = Activation(2, "v1", ActivationCause.ROLLBACK, "user:ada", NOON)

GATES_PB = settings_pb.Gates(
    successes=3, within_hours=24, soak_hours=1, approvals=2, closed=True,
    freezes=[settings_pb.Freeze(start=NOON, end=NOON, reason="fair")],
)  # fmt: skip
NOTIFICATIONS_PB = settings_pb.Notifications(
    rules=[
        settings_pb.NotificationRule(
            events=[notification_pb.EVENT_EXECUTION_FAILED, notification_pb.EVENT_LAUNCH_REFUSED],
            email=settings_pb.EmailTarget(recipients=["ops@example.com"]),
        ),
        settings_pb.NotificationRule(
            events=[notification_pb.EVENT_TICK_FAILED], slack=settings_pb.SlackTarget(secret="team")
        ),
        settings_pb.NotificationRule(
            events=[notification_pb.EVENT_PROMOTION_PROMOTED],
            webhook=settings_pb.WebhookTarget(url="https://example.com/", secret="key"),
        ),
    ]
)
NOTIFICATIONS = Notifications(
    (
        NotificationRule(
            (NotificationEvent.EXECUTION_FAILED, NotificationEvent.LAUNCH_REFUSED), EmailTarget(("ops@example.com",))
        ),
        NotificationRule((NotificationEvent.TICK_FAILED,), SlackTarget("team")),
        NotificationRule((NotificationEvent.PROMOTION_PROMOTED,), WebhookTarget("https://example.com/", "key")),
    )
)
GATES = Gates(3, 24, 1, 2, True, (Freeze(NOON, NOON, "fair"),))
PROMOTED = {
    "source": SCOPE, "target": Scope(project=P, domain="production"),
    "kind": promotion_pb.PROMOTED_KIND_LAUNCH_PLAN, "name": "w.nightly", "version": "v1",
}  # fmt: skip
ENTRY_PB = promotion_pb.Entry(
    kind=promotion_pb.PROMOTED_KIND_TASK, project=P, name="w.fit", version="v1", source_digest="d1", digest="d2",
    state=promotion_pb.ENTRY_STATE_NEW,
)  # fmt: skip
ENTRY = PromotionEntry(EntityKind.TASK, P, "w.fit", "v1", "d1", "d2", EntryState.NEW)
GATE_PB = promotion_pb.Gate(name="soak", passed=False, message="0 of 1 hours")
GATE = Gate("soak", False, "0 of 1 hours")
DIFFERENCE_PB = promotion_pb.Difference(
    kind=promotion_pb.PROMOTED_KIND_TASK, name="w.fit", difference=promotion_pb.DIFFERENCE_KIND_CHANGED,
    active_version="v0", promoted_version="v1",
)  # fmt: skip
DIFFERENCE = Difference(EntityKind.TASK, "w.fit", DifferenceKind.CHANGED, "v0", "v1")
PROMOTION_PB = promotion_pb.Promotion(
    scope=Scope(project=P, domain="production"), name="p1", source_domain=D,
    kind=promotion_pb.PROMOTED_KIND_LAUNCH_PLAN, entity="w.nightly", version="v1", activate=True,
    state=promotion_pb.PROMOTION_STATE_PENDING, requester="user:ada", comment="ready", gates=[GATE_PB],
    approvals=[promotion_pb.Approval(principal="user:bob", comment="seen", time=NOON)], entries=[ENTRY_PB],
    artifacts=["uploads/a"], create_time=NOON, expire_time=NOON,
)  # fmt: skip
PROMOTION = Promotion(
    P, "production", "p1", D, EntityKind.LAUNCH_PLAN, "w.nightly", "v1", True, PromotionState.PENDING, "user:ada",
    "ready", (GATE,), (Approval("user:bob", "seen", NOON),), (ENTRY,), ("uploads/a",), False, "", "", NOON, NOON, None,
)  # fmt: skip

ERROR_PB = execution_pb.ExecutionError(code="USER:ValueError", message="bad rate", kind=execution_pb.ERROR_KIND_USER)
ERROR = ExecutionError("USER:ValueError", "bad rate", ErrorKind.USER)

EXECUTION_ID = ExecutionId(scope=SCOPE, name="run-1")
EXECUTION_PB = execution_pb.Execution(
    id=EXECUTION_ID, launch_plan=LAUNCH_PLAN_ID, phase=execution_pb.EXECUTION_PHASE_FAILED, error=ERROR_PB,
    principal="service-account:developer", create_time=NOON, start_time=NOON, labels={"kind": "nightly"},
    waiting=execution_pb.Waiting(position=2, reason=execution_pb.WAIT_REASON_QUOTA, message="number 2"),
)  # fmt: skip
EXECUTION = Execution(
    P, D, "run-1", "w.nightly", "v1", ExecutionPhase.FAILED, ERROR, "service-account:developer", "", "",
    NOON, NOON, None, {"kind": "nightly"}, "", "", Waiting(2, WaitReason.QUOTA, "number 2"),
)  # fmt: skip

NODE_PB = execution_pb.NodeExecution(
    id="n0", spec_node_id="n0", phase=execution_pb.NODE_PHASE_RUNNING, entity="w.fit", attempts=1, create_time=NOON
)
NODE = NodeExecution("n0", "n0", "", NodePhase.RUNNING, "w.fit", 1, None, NOON, None, None)

JSON_INPUTS = {"epochs": 3, "learning_rate": 0.01, "names": ["a", None], "nested": {"deep": [True, {}]}, "empty": []}


def struct(values: dict[str, object]) -> Struct:
    message = Struct()
    message.update(values)
    return message


BINDING_PB = access_pb.Binding(
    member="user:ada", role="viewer", pattern=ScopePattern(project=P, domain="*"), creator="user:root", create_time=NOON
)
BINDING = Binding("user:ada", "viewer", P, "*", "user:root", NOON)
ROLE_PB = access_pb.Role(
    name="launcher", permissions=[options_pb2.PERMISSION_EXECUTION_LAUNCH, options_pb2.PERMISSION_EXECUTION_VIEW]
)
ROLE = Role("launcher", ("execution.launch", "execution.view"), built_in=False)
EXPORT_PB = reference_pb.Export(
    scope=SCOPE, kind=reference_pb.ENTITY_KIND_TASK, name="w.fit", consumer="ads", creator="user:root", create_time=NOON
)
EXPORT = Export(P, D, EntityKind.TASK, "w.fit", "ads", "user:root", NOON)
DEPENDENT_PB = reference_pb.Dependent(
    scope=Scope(project="ads", domain=D), kind=reference_pb.ENTITY_KIND_LAUNCH_PLAN, name="lp", version="v2",
    uses_version="v1",
)  # fmt: skip
DEPENDENT = Dependent("ads", D, EntityKind.LAUNCH_PLAN, "lp", "v2", "v1")
IDENTITY = Identity("user:ada", ("ml",), (BINDING,))
ACCOUNT = ServiceAccountSecret("ci", "hunter2")
ACCOUNT_PB = access_pb.ServiceAccount(name="ci", disabled=True, creator="user:root", create_time=NOON)
LISTED_ACCOUNT = ServiceAccount("ci", True, "user:root", NOON)
RUN_AS_PB = settings_pb.RunAs(service_accounts=["sa"], iam_roles=["arn:x"], default_service_account="sa")
RUN_AS = RunAs(("sa",), ("arn:x",), "sa")
QUOTAS_PB = settings_pb.Quotas(executions_running=0, launches_per_minute=30)
QUOTAS = Quotas(executions_running=0, launches_per_minute=30)
EFFECTIVE_PB = settings_pb.EffectiveQuotas(
    executions_running=settings_pb.Quota(limit=0, origin=ScopePattern(project=P, domain="*")),
    executions_queued=settings_pb.Quota(limit=1000),
)
EFFECTIVE = (Quota("executions_running", 0, (P, "*")), Quota("executions_queued", 1000, None))
FLIPPED_PB = access_pb.FlippedCalls(
    member="user:ada", method="/a.B/C", permission=options_pb2.PERMISSION_EXECUTION_VIEW,
    pattern=ScopePattern(project=P, domain="*"), calls=7, last_hour=NOON, allowed=True,
)  # fmt: skip
FLIPPED = FlippedCalls("user:ada", "/a.B/C", "execution.view", P, "*", 7, NOON, True)
RECORD_PB = audit_pb.Record(
    chain=P, sequence=3, time=NOON, kind=audit_pb.RECORD_KIND_MUTATION, principal="user:ada", method="/a.B/C", count=1,
    changes=[audit_pb.Change(domain=D, resource="task x", after="ab")], previous_hash="cd", hash="ef",
)  # fmt: skip
RECORD = AuditRecord(
    P, 3, NOON, RecordKind.MUTATION, "user:ada", "", "/a.B/C", "", "", "", "", 1, (Change(D, "task x", "", "ab"),),
    "cd", "ef",
)  # fmt: skip
DOMAINS = (Domain("development", "Development"), Domain("production", "Production"))
DATA = Data(JSON_INPUTS, None)

# What every RPC is answered with, what its method is called as, what it then sends and what it gives.
PATTERN = ScopePattern(project=P, domain="*")
CASES = {
    "ListProjects": (
        project_pb.ListProjectsResponse(projects=[PROJECT_PB]),
        lambda c: list(c.projects.list(include_archived=True)),
        project_pb.ListProjectsRequest(include_archived=True, page_size=200),
        [PROJECT],
    ),
    "GetProject": (
        project_pb.GetProjectResponse(project=PROJECT_PB),
        lambda c: c.projects.get(P),
        project_pb.GetProjectRequest(project=P),
        PROJECT,
    ),
    "CreateProject": (
        project_pb.CreateProjectResponse(project=PROJECT_PB),
        lambda c: c.projects.create(P, name="n", description="d", labels={"a": "b"}),
        project_pb.CreateProjectRequest(project=P, name="n", description="d", labels={"a": "b"}),
        PROJECT,
    ),
    "UpdateProject": (
        project_pb.UpdateProjectResponse(project=PROJECT_PB),
        lambda c: c.projects.update(P, description="", labels={}, etag="e0"),
        project_pb.UpdateProjectRequest(project=P, update_mask={"paths": ["description", "labels"]}, etag="e0"),
        PROJECT,
    ),
    "ArchiveProject": (
        project_pb.ArchiveProjectResponse(project=PROJECT_PB),
        lambda c: c.projects.archive(P),
        project_pb.ArchiveProjectRequest(project=P),
        PROJECT,
    ),
    "RestoreProject": (
        project_pb.RestoreProjectResponse(project=PROJECT_PB),
        lambda c: c.projects.restore(P),
        project_pb.RestoreProjectRequest(project=P),
        PROJECT,
    ),
    "ListDomains": (
        project_pb.ListDomainsResponse(domains=[project_pb.Domain(id=d.id, name=d.name) for d in DOMAINS]),
        lambda c: c.projects.list_domains(),
        project_pb.ListDomainsRequest(),
        DOMAINS,
    ),
    "RegisterTask": (
        registry_pb.RegisterTaskResponse(task=TASK_PB, created=True),
        lambda c: c.tasks.register(P, D, "w.fit", "v1", BODY),
        registry_pb.RegisterTaskRequest(task=TASK_ID, spec=BODY),
        Registered(TASK, True),
    ),
    "GetTask": (
        registry_pb.GetTaskResponse(task=TASK_PB),
        lambda c: c.tasks.get(P, D, "w.fit", "v1"),
        registry_pb.GetTaskRequest(task=TASK_ID),
        TASK,
    ),
    "ListTasks": (
        registry_pb.ListTasksResponse(tasks=[TASK_PB]),
        lambda c: list(c.tasks.list(P, D, name="w.fit")),
        registry_pb.ListTasksRequest(scope=SCOPE, name="w.fit", page_size=200),
        [TASK],
    ),
    "RegisterWorkflow": (
        registry_pb.RegisterWorkflowResponse(workflow=WORKFLOW_PB),
        lambda c: c.workflows.register(P, D, "w.train", "v1", BODY),
        registry_pb.RegisterWorkflowRequest(workflow=WORKFLOW_ID, spec=BODY),
        Registered(WORKFLOW, False),
    ),
    "GetWorkflow": (
        registry_pb.GetWorkflowResponse(workflow=WORKFLOW_PB),
        lambda c: c.workflows.get(P, D, "w.train", "v1"),
        registry_pb.GetWorkflowRequest(workflow=WORKFLOW_ID),
        WORKFLOW,
    ),
    "ListWorkflows": (
        registry_pb.ListWorkflowsResponse(workflows=[WORKFLOW_PB]),
        lambda c: list(c.workflows.list(P, D)),
        registry_pb.ListWorkflowsRequest(scope=SCOPE, page_size=200),
        [WORKFLOW],
    ),
    "RegisterLaunchPlan": (
        launch_plan_pb.RegisterLaunchPlanResponse(launch_plan=LAUNCH_PLAN_PB, created=True),
        lambda c: c.launch_plans.register(P, D, "w.nightly", "v1", BODY),
        launch_plan_pb.RegisterLaunchPlanRequest(launch_plan=LAUNCH_PLAN_ID, spec=BODY),
        Registered(LAUNCH_PLAN, True),
    ),
    "GetLaunchPlan": (
        launch_plan_pb.GetLaunchPlanResponse(launch_plan=LAUNCH_PLAN_PB),
        lambda c: c.launch_plans.get(P, D, "w.nightly", "v1"),
        launch_plan_pb.GetLaunchPlanRequest(launch_plan=LAUNCH_PLAN_ID),
        LAUNCH_PLAN,
    ),
    "GetActiveLaunchPlan": (
        launch_plan_pb.GetActiveLaunchPlanResponse(launch_plan=LAUNCH_PLAN_PB),
        lambda c: c.launch_plans.get_active(P, D, "w.nightly"),
        launch_plan_pb.GetActiveLaunchPlanRequest(scope=SCOPE, name="w.nightly"),
        LAUNCH_PLAN,
    ),
    "ListLaunchPlans": (
        launch_plan_pb.ListLaunchPlansResponse(launch_plans=[LAUNCH_PLAN_PB]),
        lambda c: list(c.launch_plans.list(P, D, name="w.nightly", active_only=True)),
        launch_plan_pb.ListLaunchPlansRequest(scope=SCOPE, name="w.nightly", active_only=True, page_size=200),
        [LAUNCH_PLAN],
    ),
    "ActivateLaunchPlan": (
        launch_plan_pb.ActivateLaunchPlanResponse(launch_plan=LAUNCH_PLAN_PB),
        lambda c: c.launch_plans.activate(P, D, "w.nightly", "v1"),
        launch_plan_pb.ActivateLaunchPlanRequest(launch_plan=LAUNCH_PLAN_ID),
        LAUNCH_PLAN,
    ),
    "RollbackLaunchPlan": (
        launch_plan_pb.RollbackLaunchPlanResponse(launch_plan=LAUNCH_PLAN_PB),
        lambda c: c.launch_plans.rollback(P, D, "w.nightly"),
        launch_plan_pb.RollbackLaunchPlanRequest(scope=SCOPE, name="w.nightly"),
        LAUNCH_PLAN,
    ),
    "ListScheduleTicks": (
        launch_plan_pb.ListScheduleTicksResponse(ticks=[TICK_PB]),
        lambda c: list(c.launch_plans.ticks(P, D, "w.nightly")),
        launch_plan_pb.ListScheduleTicksRequest(scope=SCOPE, name="w.nightly", page_size=200),
        [TICK],
    ),
    "PreviewSchedule": (
        launch_plan_pb.PreviewScheduleResponse(ticks=[NOON]),
        lambda c: c.launch_plans.next_ticks(P, D, "w.nightly", "v1", count=1),
        launch_plan_pb.PreviewScheduleRequest(launch_plan=LAUNCH_PLAN_ID, count=1),
        [NOON],
    ),
    "ListActivations": (
        launch_plan_pb.ListActivationsResponse(activations=[ACTIVATION_PB]),
        lambda c: list(c.launch_plans.activations(P, D, "w.nightly")),
        launch_plan_pb.ListActivationsRequest(scope=SCOPE, name="w.nightly", page_size=200),
        [ACTIVATION],
    ),
    "DeactivateLaunchPlan": (
        launch_plan_pb.DeactivateLaunchPlanResponse(launch_plan=LAUNCH_PLAN_PB),
        lambda c: c.launch_plans.deactivate(P, D, "w.nightly", "v1"),
        launch_plan_pb.DeactivateLaunchPlanRequest(launch_plan=LAUNCH_PLAN_ID),
        LAUNCH_PLAN,
    ),
    "LaunchExecution": (
        execution_pb.LaunchExecutionResponse(execution=EXECUTION_PB),
        lambda c: (
            c.executions.launch(
                P, D, "w.nightly", version="v1", inputs=JSON_INPUTS, name="run-1", labels={"kind": "nightly"}
            ).launched
        ),
        execution_pb.LaunchExecutionRequest(
            scope=SCOPE,
            launch_plan="w.nightly",
            version="v1",
            name="run-1",
            inputs=struct(JSON_INPUTS),
            labels={"kind": "nightly"},
        ),
        EXECUTION,
    ),
    "GetExecution": (
        execution_pb.GetExecutionResponse(execution=EXECUTION_PB),
        lambda c: c.executions.get(P, D, "run-1"),
        execution_pb.GetExecutionRequest(execution=EXECUTION_ID),
        EXECUTION,
    ),
    "ListExecutions": (
        execution_pb.ListExecutionsResponse(executions=[EXECUTION_PB]),
        lambda c: list(c.executions.list(P, D, phases=[ExecutionPhase.FAILED], launch_plan="w.nightly")),
        execution_pb.ListExecutionsRequest(
            scope=SCOPE, phases=[execution_pb.EXECUTION_PHASE_FAILED], launch_plan="w.nightly", page_size=200
        ),
        [EXECUTION],
    ),
    "TerminateExecution": (
        execution_pb.TerminateExecutionResponse(execution=EXECUTION_PB),
        lambda c: c.executions.handle(P, D, "run-1").terminate("enough"),
        execution_pb.TerminateExecutionRequest(execution=EXECUTION_ID, cause="enough"),
        EXECUTION,
    ),
    "GetExecutionData": (
        execution_pb.GetExecutionDataResponse(inputs=struct(JSON_INPUTS)),
        lambda c: c.executions.handle(P, D, "run-1").data(),
        execution_pb.GetExecutionDataRequest(execution=EXECUTION_ID),
        DATA,
    ),
    "ListNodeExecutions": (
        execution_pb.ListNodeExecutionsResponse(node_executions=[NODE_PB]),
        lambda c: list(c.executions.handle(P, D, "run-1").nodes()),
        execution_pb.ListNodeExecutionsRequest(execution=EXECUTION_ID, page_size=200),
        [NODE],
    ),
    "GetNodeExecutionData": (
        execution_pb.GetNodeExecutionDataResponse(inputs=struct({}), outputs=struct({"o0": 1.5})),
        lambda c: c.executions.handle(P, D, "run-1").node_data("n0"),
        execution_pb.GetNodeExecutionDataRequest(execution=EXECUTION_ID, node_id="n0"),
        Data({}, {"o0": 1.5}),
    ),
    "WhoAmI": (
        access_pb.WhoAmIResponse(principal="user:ada", groups=["ml"], bindings=[BINDING_PB]),
        lambda c: c.access.who_am_i(),
        access_pb.WhoAmIRequest(),
        IDENTITY,
    ),
    "ListRoles": (
        access_pb.ListRolesResponse(roles=[ROLE_PB]),
        lambda c: c.access.list_roles(),
        access_pb.ListRolesRequest(),
        (ROLE,),
    ),
    "CreateRole": (
        access_pb.CreateRoleResponse(role=ROLE_PB),
        lambda c: c.access.create_role("launcher", ["execution.launch", "execution.view"]),
        access_pb.CreateRoleRequest(name="launcher", permissions=ROLE_PB.permissions),
        ROLE,
    ),
    "DeleteRole": (
        access_pb.DeleteRoleResponse(),
        lambda c: c.access.delete_role("launcher"),
        access_pb.DeleteRoleRequest(name="launcher"),
        None,
    ),
    "ListBindings": (
        access_pb.ListBindingsResponse(bindings=[BINDING_PB]),
        lambda c: list(c.access.list_bindings(member="user:ada")),
        access_pb.ListBindingsRequest(member="user:ada", page_size=200),
        [BINDING],
    ),
    "CreateBinding": (
        access_pb.CreateBindingResponse(binding=BINDING_PB),
        lambda c: c.access.create_binding("user:ada", "viewer", project=P, domain="*"),
        access_pb.CreateBindingRequest(member="user:ada", role="viewer", pattern=PATTERN),
        BINDING,
    ),
    "DeleteBinding": (
        access_pb.DeleteBindingResponse(),
        lambda c: c.access.delete_binding("user:ada", "viewer", project=P, domain="*"),
        access_pb.DeleteBindingRequest(member="user:ada", role="viewer", pattern=PATTERN),
        None,
    ),
    "CreateServiceAccount": (
        access_pb.CreateServiceAccountResponse(name="ci", secret="hunter2"),
        lambda c: c.access.create_service_account("ci"),
        access_pb.CreateServiceAccountRequest(name="ci"),
        ACCOUNT,
    ),
    "ListServiceAccounts": (
        access_pb.ListServiceAccountsResponse(service_accounts=[ACCOUNT_PB]),
        lambda c: list(c.access.list_service_accounts()),
        access_pb.ListServiceAccountsRequest(page_size=200),
        [LISTED_ACCOUNT],
    ),
    "RotateServiceAccountSecret": (
        access_pb.RotateServiceAccountSecretResponse(name="ci", secret="hunter2"),
        lambda c: c.access.rotate_service_account_secret("ci"),
        access_pb.RotateServiceAccountSecretRequest(name="ci"),
        ACCOUNT,
    ),
    "DisableServiceAccount": (
        access_pb.DisableServiceAccountResponse(service_account=ACCOUNT_PB),
        lambda c: c.access.disable_service_account("ci"),
        access_pb.DisableServiceAccountRequest(name="ci"),
        LISTED_ACCOUNT,
    ),
    "EnableServiceAccount": (
        access_pb.EnableServiceAccountResponse(service_account=ACCOUNT_PB),
        lambda c: c.access.enable_service_account("ci"),
        access_pb.EnableServiceAccountRequest(name="ci"),
        LISTED_ACCOUNT,
    ),
    "PreviewPolicy": (
        access_pb.PreviewPolicyResponse(flipped=[FLIPPED_PB], total=1),
        lambda c: list(c.access.preview(create=[("user:ada", "viewer", P, "*")], days=3)),
        access_pb.PreviewPolicyRequest(
            create=[access_pb.BindingChange(member="user:ada", role="viewer", pattern=PATTERN)], days=3
        ),
        [FLIPPED],
    ),
    "TestAccess": (
        access_pb.TestAccessResponse(
            allowed=True, bindings=[BINDING_PB], could_grant=["user:root"], shut_out=True, revision=7
        ),
        lambda c: c.access.test("user:ada", "execution.view", project=P, domain=D, groups=["group:ml"]),
        access_pb.TestAccessRequest(
            member="user:ada", groups=["group:ml"], permission=options_pb2.PERMISSION_EXECUTION_VIEW, scope=SCOPE
        ),
        AccessAnswer(True, (BINDING,), ("user:root",), True, 7),
    ),
    "GetSettings": (
        settings_pb.GetSettingsResponse(
            run_as=RUN_AS_PB,
            run_as_origin=PATTERN,
            own_quotas=QUOTAS_PB,
            quotas=EFFECTIVE_PB,
            gates=GATES_PB,
            gates_origins={"closed": PATTERN},
            notifications=NOTIFICATIONS_PB,
            notifications_origin=PATTERN,
        ),
        lambda c: c.settings.get(project=P, domain="*"),
        settings_pb.GetSettingsRequest(pattern=PATTERN),
        Settings(
            RUN_AS, (P, "*"), None, EFFECTIVE, QUOTAS, GATES, {"closed": (P, "*")}, None, NOTIFICATIONS, (P, "*"), None
        ),
    ),
    "UpdateRunAs": (
        settings_pb.UpdateRunAsResponse(run_as=RUN_AS_PB),
        lambda c: c.settings.set_run_as(RUN_AS, project=P, domain="*"),
        settings_pb.UpdateRunAsRequest(pattern=PATTERN, run_as=RUN_AS_PB),
        RUN_AS,
    ),
    "GetQuotaUsage": (
        execution_pb.GetQuotaUsageResponse(
            executions_running=execution_pb.QuotaUsage(limit=5, used=3, origin=PATTERN),
            executions_queued=execution_pb.QuotaUsage(limit=1000),
        ),
        lambda c: c.executions.quota_usage(P, D),
        execution_pb.GetQuotaUsageRequest(scope=SCOPE),
        (QuotaUsage("executions_running", 5, 3, (P, "*")), QuotaUsage("executions_queued", 1000, 0, None)),
    ),
    "UpdateGates": (
        settings_pb.UpdateGatesResponse(gates=GATES_PB),
        lambda c: c.settings.set_gates(GATES, project=P, domain="*"),
        settings_pb.UpdateGatesRequest(pattern=PATTERN, gates=GATES_PB),
        GATES,
    ),
    "UpdateNotifications": (
        settings_pb.UpdateNotificationsResponse(notifications=NOTIFICATIONS_PB),
        lambda c: c.settings.set_notifications(NOTIFICATIONS, project=P, domain="*"),
        settings_pb.UpdateNotificationsRequest(pattern=PATTERN, notifications=NOTIFICATIONS_PB),
        NOTIFICATIONS,
    ),
    "ListDeliveries": (
        notification_pb.ListDeliveriesResponse(
            deliveries=[
                notification_pb.Delivery(
                    id="m1",
                    event=notification_pb.EVENT_EXECUTION_FAILED,
                    subject="executions/run-1",
                    title="run-1 has failed",
                    channel=notification_pb.CHANNEL_WEBHOOK,
                    target="https://example.com/",
                    state=notification_pb.DELIVERY_STATE_WAITING,
                    attempts=2,
                    reason="it answered 503",
                    create_time=NOON,
                    update_time=NOON,
                    next_time=NOON,
                )
            ]
        ),
        lambda c: list(c.notifications.list(P, D, states=[DeliveryState.WAITING])),
        notification_pb.ListDeliveriesRequest(
            scope=SCOPE, states=[notification_pb.DELIVERY_STATE_WAITING], page_size=200
        ),
        [
            Delivery(
                "m1",
                NotificationEvent.EXECUTION_FAILED,
                "executions/run-1",
                "run-1 has failed",
                NotificationChannel.WEBHOOK,
                "https://example.com/",
                DeliveryState.WAITING,
                2,
                "it answered 503",
                NOON,
                NOON,
                NOON,
            )
        ],
    ),
    "PreviewPromotion": (
        promotion_pb.PreviewPromotionResponse(
            entries=[ENTRY_PB],
            artifacts=["uploads/a"],
            gates=[GATE_PB],
            active_version="v0",
            differences=[DIFFERENCE_PB],
        ),
        lambda c: c.promotions.preview(P, D, EntityKind.LAUNCH_PLAN, "w.nightly", "v1", to="production"),
        promotion_pb.PreviewPromotionRequest(**PROMOTED),
        PromotionPreview((ENTRY,), ("uploads/a",), (GATE,), "v0", (DIFFERENCE,)),
    ),
    "RequestPromotion": (
        promotion_pb.RequestPromotionResponse(promotion=PROMOTION_PB),
        lambda c: c.promotions.request(
            P, D, EntityKind.LAUNCH_PLAN, "w.nightly", "v1", to="production", activate=True, comment="ready"
        ),
        promotion_pb.RequestPromotionRequest(**PROMOTED, activate=True, comment="ready"),
        PROMOTION,
    ),
    "GetPromotion": (
        promotion_pb.GetPromotionResponse(promotion=PROMOTION_PB),
        lambda c: c.promotions.get(P, D, "p1"),
        promotion_pb.GetPromotionRequest(scope=SCOPE, name="p1"),
        PROMOTION,
    ),
    "ListPromotions": (
        promotion_pb.ListPromotionsResponse(promotions=[PROMOTION_PB]),
        lambda c: list(c.promotions.list(P, D, pending_only=True)),
        promotion_pb.ListPromotionsRequest(scope=SCOPE, pending_only=True, page_size=200),
        [PROMOTION],
    ),
    "ApprovePromotion": (
        promotion_pb.ApprovePromotionResponse(promotion=PROMOTION_PB),
        lambda c: c.promotions.approve(P, D, "p1", comment="seen"),
        promotion_pb.ApprovePromotionRequest(scope=SCOPE, name="p1", comment="seen"),
        PROMOTION,
    ),
    "RejectPromotion": (
        promotion_pb.RejectPromotionResponse(promotion=PROMOTION_PB),
        lambda c: c.promotions.reject(P, D, "p1", comment="no"),
        promotion_pb.RejectPromotionRequest(scope=SCOPE, name="p1", comment="no"),
        PROMOTION,
    ),
    "OverridePromotion": (
        promotion_pb.OverridePromotionResponse(promotion=PROMOTION_PB),
        lambda c: c.promotions.override(P, D, "p1", reason="fire"),
        promotion_pb.OverridePromotionRequest(scope=SCOPE, name="p1", reason="fire"),
        PROMOTION,
    ),
    "UpdateQuotas": (
        settings_pb.UpdateQuotasResponse(quotas=QUOTAS_PB),
        lambda c: c.settings.set_quotas(QUOTAS, project=P, domain="*"),
        settings_pb.UpdateQuotasRequest(pattern=PATTERN, quotas=QUOTAS_PB),
        QUOTAS,
    ),
    "ListRecords": (
        audit_pb.ListRecordsResponse(records=[RECORD_PB]),
        lambda c: list(c.audit.list(project=P, kind=RecordKind.MUTATION, since=NOON)),
        audit_pb.ListRecordsRequest(
            filter=audit_pb.RecordFilter(pattern=PATTERN, kind=audit_pb.RECORD_KIND_MUTATION, since=NOON), page_size=200
        ),
        [RECORD],
    ),
    "CreateExport": (
        reference_pb.CreateExportResponse(export=EXPORT_PB),
        lambda c: c.references.create_export(P, D, EntityKind.TASK, "w.fit", consumer="ads"),
        reference_pb.CreateExportRequest(scope=SCOPE, kind=reference_pb.ENTITY_KIND_TASK, name="w.fit", consumer="ads"),
        EXPORT,
    ),
    "ListExports": (
        reference_pb.ListExportsResponse(exports=[EXPORT_PB]),
        lambda c: list(c.references.list_exports(P, D)),
        reference_pb.ListExportsRequest(scope=SCOPE, page_size=200),
        [EXPORT],
    ),
    "DeleteExport": (
        reference_pb.DeleteExportResponse(),
        lambda c: c.references.delete_export(P, D, EntityKind.TASK, "w.fit", consumer="ads"),
        reference_pb.DeleteExportRequest(scope=SCOPE, kind=reference_pb.ENTITY_KIND_TASK, name="w.fit", consumer="ads"),
        None,
    ),
    "ListDependents": (
        reference_pb.ListDependentsResponse(dependents=[DEPENDENT_PB]),
        lambda c: list(c.references.dependents(P, D, EntityKind.TASK, "w.fit", version="v1")),
        reference_pb.ListDependentsRequest(
            scope=SCOPE, kind=reference_pb.ENTITY_KIND_TASK, name="w.fit", version="v1", page_size=200
        ),
        [DEPENDENT],
    ),
}


def transition(sequence: int, phase: str, node: str = "", attempt: int = 0, error: bool = False):
    """Return a transition as the contract has it."""
    response = execution_pb.WatchExecutionResponse(sequence=sequence, time=NOON)
    if node:
        response.node.node_id = node
        response.node.phase = execution_pb.NodePhase.Value(f"NODE_PHASE_{phase}")
        response.node.attempt = attempt
        moved = response.node
    else:
        response.execution.phase = execution_pb.ExecutionPhase.Value(f"EXECUTION_PHASE_{phase}")
        moved = response.execution
    if error:
        moved.error.CopyFrom(ERROR_PB)
    return response
