"""Nobody runs as a service account or IAM role that was not allowed for the scope, whoever names it and wherever."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flyteidl.admin import execution_pb2
from flyteidl.core import identifier_pb2
from rpc_expected import ADMIN, EXECUTIONS, PLANS, REGISTRY, SETTINGS
from rpc_requests import THING, VERSION, launch_plan_spec, populate, request_for, task_spec
from rpc_servers import OURS, Airspace, Answer, Caller, airspace

from airspace.settings.v1 import settings_service_pb2 as pb
from airspace_server.core.scope import Scope

PRODUCTION = Scope("ours", "production")
ALLOWED, ROLE = "trainer", "arn:aws:iam::1:role/trainer"
Place = Callable[[Any], None]


@pytest.fixture
def server(database_url: str, tmp_path: Path) -> Iterator[Airspace]:
    with airspace(database_url, tmp_path) as built:
        for scope in (OURS, PRODUCTION):
            populate(built, scope)
        built.account("owner", ("admin", "ours/*"))
        yield built


@pytest.fixture
def caller(server: Airspace) -> Iterator[Callable[[str], Caller]]:
    with server.served() as callers:
        yield callers


def allow(caller: Caller, project: str, domain: str, *names: str, default: str = "", take_away: bool = False) -> Answer:
    request = pb.UpdateRunAsRequest()
    request.pattern.project, request.pattern.domain = project, domain
    if not take_away:
        request.run_as.service_accounts.extend(name for name in names if not name.startswith("arn:"))
        request.run_as.iam_roles.extend(name for name in names if name.startswith("arn:"))
        request.run_as.default_service_account = default
    return caller(f"{SETTINGS}/UpdateRunAs", request)


def named(**fields: str) -> Place:
    """Name an identity in a message of flyteidl; the keyword is the path with two underscores for a dot."""

    def place(message: Any) -> None:
        for path, value in fields.items():
            *owners, name = path.split("__")
            for owner in owners:
                message = getattr(message, owner)
            setattr(message, name, value)

    return place


def pod(message: Any) -> None:
    message.ClearField("container")
    message.k8s_pod.primary_container_name = "main"
    containers = [{"name": "main", "image": "image:1"}]
    message.k8s_pod.pod_spec.update({"serviceAccountName": ALLOWED, "containers": containers})


IN_TASK = [
    named(security_context__run_as__k8s_service_account=ALLOWED),
    named(security_context__run_as__iam_role=ROLE),
    pod,
]
IN_PLAN = [
    *IN_TASK[:2],
    named(auth_role__kubernetes_service_account=ALLOWED),
    named(auth_role__assumable_iam_role=ROLE),
    named(auth__kubernetes_service_account=ALLOWED),
    named(auth__assumable_iam_role=ROLE),
    named(role=ROLE),
]
IN_EXECUTION = IN_PLAN[:4]


def registering_task(place: Place, wire: str) -> tuple[str, Any]:
    if wire == "native":
        request = request_for(f"{REGISTRY}/RegisterTask", OURS, None)
        spec = task_spec(OURS)
        place(spec.template)
        request.task.version = "v2"
        request.spec.Pack(spec)
        return f"{REGISTRY}/RegisterTask", request
    request = request_for(f"{ADMIN}/CreateTask", OURS, None)
    request.id.version = "v2"
    place(request.spec.template)
    return f"{ADMIN}/CreateTask", request


def registering_plan(place: Place, wire: str) -> tuple[str, Any]:
    if wire == "native":
        request = request_for(f"{PLANS}/RegisterLaunchPlan", OURS, None)
        spec = launch_plan_spec(OURS)
        place(spec)
        request.launch_plan.version = "v2"
        request.spec.Pack(spec)
        return f"{PLANS}/RegisterLaunchPlan", request
    request = request_for(f"{ADMIN}/CreateLaunchPlan", OURS, None)
    request.id.version = "v2"
    place(request.spec)
    return f"{ADMIN}/CreateLaunchPlan", request


def launching(place: Place | None = None, name: str = "run", scope: Scope = OURS) -> tuple[str, Any]:
    request = execution_pb2.ExecutionCreateRequest(project=scope.project, domain=scope.domain, name=name)
    request.spec.launch_plan.CopyFrom(
        identifier_pb2.Identifier(
            resource_type=identifier_pb2.LAUNCH_PLAN,
            project=scope.project,
            domain=scope.domain,
            name=THING,
            version=VERSION,
        )
    )
    if place is not None:
        place(request.spec)
    return f"{ADMIN}/CreateExecution", request


CASES = [
    *((registering_task, place, wire) for place in IN_TASK for wire in ("native", "flyte")),
    *((registering_plan, place, wire) for place in IN_PLAN for wire in ("native", "flyte")),
    *((lambda place, _: launching(place), place, "flyte") for place in IN_EXECUTION),
]


def test_an_identity_counts_only_where_it_was_allowed(server: Airspace, caller: Callable[[str], Caller]):
    owner = caller("owner")
    before = server.rows()
    for make, place, wire in CASES:
        path, request = make(place, wire)
        answer = owner(path, request)
        assert answer.reason == "RUN_AS_FORBIDDEN", (path, request)
        assert answer.info.metadata["scope"] == "ours/development"
        assert answer.info.metadata["identity"] in (ALLOWED, ROLE)
        assert all(field.startswith("spec") for field in answer.fields)
        assert answer.fields
    assert server.rows() == before
    assert not allow(caller("admin"), "ours", "production", ALLOWED, ROLE).status
    for make, place, wire in CASES:
        assert owner(*make(place, wire)).reason == "RUN_AS_FORBIDDEN"
    assert not allow(caller("admin"), "ours", "development", ALLOWED, ROLE).status
    for make, place, wire in (CASES[0], CASES[-1]):
        assert not owner(*make(place, wire)).status
    answer = owner(*launching(named(security_context__run_as__k8s_service_account="cluster-admin"), "other"))
    assert answer.reason == "RUN_AS_FORBIDDEN"


def test_what_is_not_allowed_any_more_is_not_launched_any_more(server: Airspace, caller: Callable[[str], Caller]):
    owner, admin = caller("owner"), caller("admin")
    allow(admin, "ours", "development", ALLOWED)
    path, request = registering_plan(IN_PLAN[0], "flyte")
    assert not owner(path, request).status
    _, launch = launching()
    launch.spec.launch_plan.version = "v2"
    assert not owner(f"{ADMIN}/CreateExecution", launch).status
    allow(admin, "ours", "development")
    launch.name = "again"
    assert owner(f"{ADMIN}/CreateExecution", launch).reason == "RUN_AS_FORBIDDEN"
    native = request_for(f"{EXECUTIONS}/LaunchExecution", OURS, server)
    native.version = "v2"
    assert owner(f"{EXECUTIONS}/LaunchExecution", native).reason == "RUN_AS_FORBIDDEN"


def test_only_who_answers_for_the_server_allows_anything(server: Airspace, caller: Callable[[str], Caller]):
    server.account("settings-of-ours", ("admin", "ours/development"))
    for name in ("owner", "settings-of-ours"):
        assert allow(caller(name), "ours", "development", ALLOWED).reason == "PERMISSION_MISSING"
    shown = caller("owner")(f"{SETTINGS}/GetSettings", request_for(f"{SETTINGS}/GetSettings", OURS, server))
    assert not pb.GetSettingsResponse.FromString(shown.messages[0]).HasField("run_as")


def test_the_more_particular_setting_counts_and_says_where_it_is_from(
    server: Airspace, caller: Callable[[str], Caller]
):
    admin = caller("admin")

    def holding() -> tuple[list[str], str]:
        answer = admin(f"{SETTINGS}/GetSettings", request_for(f"{SETTINGS}/GetSettings", OURS, server))
        found = pb.GetSettingsResponse.FromString(answer.messages[0])
        return list(found.run_as.service_accounts), f"{found.run_as_origin.project}/{found.run_as_origin.domain}"

    levels = [("*", "*"), ("*", "development"), ("ours", "*"), ("ours", "development")]
    for place, (project, domain) in enumerate(levels):
        allow(admin, project, domain, f"sa-{place}")
        assert holding() == ([f"sa-{place}"], f"{project}/{domain}")
    for place, (project, domain) in reversed(list(enumerate(levels))[1:]):
        allow(admin, project, domain, take_away=True)
        above = levels[place - 1]
        assert holding() == ([f"sa-{place - 1}"], f"{above[0]}/{above[1]}")


def test_executions_that_name_nobody_run_as_the_default(server: Airspace, caller: Callable[[str], Caller]):
    allow(caller("admin"), "ours", "development", ALLOWED, "other", default=ALLOWED)
    owner = caller("owner")
    for name, place, expected in (
        ("nobody-named", None, ALLOWED),
        ("other-named", named(security_context__run_as__k8s_service_account="other"), "other"),
    ):
        assert not owner(*launching(place, name)).status
        get = request_for(f"{ADMIN}/GetExecution", OURS, server)
        get.id.name = name
        found = execution_pb2.Execution.FromString(owner(f"{ADMIN}/GetExecution", get).messages[0])
        assert found.spec.security_context.run_as.k8s_service_account == expected
        assert found.spec.security_context.run_as.execution_identity == "service-account:owner"


@pytest.mark.parametrize("name", ["", "has space", "x" * 256, "nul\0"])
def test_what_is_no_identity_cannot_be_allowed(server: Airspace, caller: Callable[[str], Caller], name: str):
    answer = allow(caller("admin"), "ours", "development", name)
    assert (answer.reason, answer.fields) == ("INVALID_FIELD", ["run_as.service_accounts[0]"])
    answer = allow(caller("admin"), "ours", "development", ALLOWED, default="another")
    assert (answer.reason, answer.fields) == ("INVALID_FIELD", ["run_as.default_service_account"])


# --- what only the server may say


IMPERSONATING = [
    "iam.amazonaws.com/role",
    "iam.gke.io/gcp-service-account",
    "azure.workload.identity/use",
    "vault.hashicorp.com/role",
    "flyte.org/project",
    "airspace/principal",
    "aadpodidbinding",
    "execution-id",
    "project",
]


@pytest.mark.parametrize("key", IMPERSONATING)
def test_labels_and_annotations_by_which_others_are_known_are_refused(
    server: Airspace, caller: Callable[[str], Caller], key: str
):
    owner = caller("owner")

    def label(message: Any) -> None:
        message.labels.values[key] = "production"

    def annotation(message: Any) -> None:
        message.annotations.values[key] = "production"

    for place, word in ((label, "labels"), (annotation, "annotations")):
        for path, request in (launching(place), *(registering_plan(place, wire) for wire in ("native", "flyte"))):
            answer = owner(path, request)
            assert (answer.reason, answer.fields) == ("INVALID_FIELD", [f"spec.{word}"]), path
    native = request_for(f"{EXECUTIONS}/LaunchExecution", OURS, server)
    native.labels[key] = "production"
    answer = owner(f"{EXECUTIONS}/LaunchExecution", native)
    assert (answer.reason, answer.fields) == ("INVALID_FIELD", ["labels"])


def test_labels_that_only_look_alike_are_let_in(server: Airspace, caller: Callable[[str], Caller]):
    def label(message: Any) -> None:
        message.labels.values.update({"app.kubernetes.io/name": "x", "team": "cv", "my-project": "y"})

    assert not caller("owner")(*launching(label)).status


@pytest.mark.parametrize(
    "place",
    [
        named(security_context__run_as__execution_identity="user:root"),
        named(security_context__run_as__oauth2_client__client_id="admin"),
    ],
)
def test_no_task_and_no_launch_plan_says_who_launches(caller: Callable[[str], Caller], server: Airspace, place: Place):
    for make in (registering_task, registering_plan):
        answer = caller("owner")(*make(place, "flyte"))
        assert answer.reason == "INVALID_FIELD"
        assert answer.fields[0].startswith("spec.")


def test_metadata_that_names_another_caller_is_not_looked_at(server: Airspace, caller: Callable[[str], Caller]):
    path, request = launching()
    forged = {
        "x-user": "user:root",
        "x-forwarded-user": "user:root",
        "airspace-principal": "user:root",
        "flyte-authorization": f"Bearer {server.tokens['admin']}",
        "userinfo": "user:root",
    }
    assert not caller("owner")(path, request, **forged).status
    get = request_for(f"{ADMIN}/GetExecution", OURS, server)
    get.id.name = "run"
    found = execution_pb2.Execution.FromString(caller("owner")(f"{ADMIN}/GetExecution", get).messages[0])
    assert found.spec.metadata.principal == "service-account:owner"
    server.account("nobody")
    assert caller("nobody")(f"{ADMIN}/GetExecution", get, **forged).reason == "PERMISSION_MISSING"
    assert caller("")(f"{ADMIN}/GetExecution", get, **forged).reason == "TOKEN_MISSING"
