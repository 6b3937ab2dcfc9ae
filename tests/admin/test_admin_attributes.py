"""Matchable attributes: which of them holds where, what their values may be, and what they change."""

import pytest
from flyte_samples import chain, double, task_spec
from flyteidl.admin import common_pb2, execution_pb2, matchable_resource_pb2, task_pb2
from flyteidl.admin import project_attributes_pb2 as project_pb
from flyteidl.admin import project_domain_attributes_pb2 as domain_pb
from flyteidl.admin import workflow_attributes_pb2 as workflow_pb
from flyteidl.core import identifier_pb2, security_pb2, tasks_pb2
from google.protobuf.wrappers_pb2 import BoolValue
from wing_doors import DEV, PROD, Doors, call, flyte_id, integers

from airspace_server.access.decide import Visible
from airspace_server.core.errors import ApiError, Reason
from airspace_server.core.run_as import RunAs
from airspace_server.core.scope import EntityId, Scope

QUEUE, RESOURCES = matchable_resource_pb2.EXECUTION_QUEUE, matchable_resource_pb2.TASK_RESOURCE
CONFIG, PLUGINS = matchable_resource_pb2.WORKFLOW_EXECUTION_CONFIG, matchable_resource_pb2.PLUGIN_OVERRIDE


def tags(*tags: str) -> matchable_resource_pb2.MatchingAttributes:
    queue = matchable_resource_pb2.ExecutionQueueAttributes(tags=tags)
    return matchable_resource_pb2.MatchingAttributes(execution_queue_attributes=queue)


def resources(**sides: dict[str, str]) -> matchable_resource_pb2.MatchingAttributes:
    made = {side: matchable_resource_pb2.TaskResourceSpec(**amounts) for side, amounts in sides.items()}
    both = matchable_resource_pb2.TaskResourceAttributes(**made)
    return matchable_resource_pb2.MatchingAttributes(task_resource_attributes=both)


def config(**fields: object) -> matchable_resource_pb2.MatchingAttributes:
    wanted = matchable_resource_pb2.WorkflowExecutionConfig(**fields)
    return matchable_resource_pb2.MatchingAttributes(workflow_execution_config=wanted)


def put(doors: Doors, attributes: object, domain: str = "", workflow: str = "", project: str = "vision") -> None:
    if workflow:
        level = workflow_pb.WorkflowAttributes(project=project, domain=domain, workflow=workflow)
        level.matching_attributes.CopyFrom(attributes)
        doors.attributes.UpdateWorkflowAttributes(workflow_pb.WorkflowAttributesUpdateRequest(attributes=level), call())
    elif domain:
        level = domain_pb.ProjectDomainAttributes(project=project, domain=domain, matching_attributes=attributes)
        doors.attributes.UpdateProjectDomainAttributes(
            domain_pb.ProjectDomainAttributesUpdateRequest(attributes=level), call()
        )
    else:
        level = project_pb.ProjectAttributes(project=project, matching_attributes=attributes)
        doors.attributes.UpdateProjectAttributes(project_pb.ProjectAttributesUpdateRequest(attributes=level), call())


def get(doors: Doors, resource: int, domain: str = "", workflow: str = ""):
    if workflow:
        request = workflow_pb.WorkflowAttributesGetRequest(
            project="vision", domain=domain, workflow=workflow, resource_type=resource
        )
        return doors.attributes.GetWorkflowAttributes(request, call()).attributes
    if domain:
        request = domain_pb.ProjectDomainAttributesGetRequest(project="vision", domain=domain, resource_type=resource)
        return doors.attributes.GetProjectDomainAttributes(request, call()).attributes
    request = project_pb.ProjectAttributesGetRequest(project="vision", resource_type=resource)
    return doors.attributes.GetProjectAttributes(request, call()).attributes


def found(doors: Doors, domain: str = "", workflow: str = "") -> list[str]:
    return list(get(doors, QUEUE, domain, workflow).matching_attributes.execution_queue_attributes.tags)


def refused(act) -> ApiError:
    with pytest.raises(ApiError) as caught:
        act()
    return caught.value


# --- what holds where


def test_the_most_particular_attributes_hold_whole_and_say_where_they_are_from(doors: Doors):
    assert refused(lambda: found(doors, "development", "bake")).reason is Reason.NOT_FOUND
    put(doors, tags("project"))
    assert found(doors, "development", "bake") == found(doors, "production") == ["project"]
    assert (get(doors, QUEUE, "production").domain, get(doors, QUEUE, "production").project) == ("", "vision")
    put(doors, tags("domain"), "development")
    put(doors, tags("bake"), "development", "bake")
    assert found(doors, "development", "bake") == ["bake"]
    assert found(doors, "development", "other") == found(doors, "development") == ["domain"]
    assert found(doors, "production", "bake") == found(doors) == ["project"]
    assert get(doors, QUEUE, "development", "bake").workflow == "bake"
    assert get(doors, QUEUE, "development", "other").workflow == ""


def test_taking_attributes_away_takes_those_of_exactly_one_level(doors: Doors):
    for level in ((), ("development",), ("development", "bake")):
        put(doors, tags(*level or ("project",)), *level)
    request = project_pb.ProjectAttributesDeleteRequest(project="vision", resource_type=QUEUE)
    doors.attributes.DeleteProjectAttributes(request, call())
    assert refused(lambda: found(doors)).reason is Reason.NOT_FOUND
    assert found(doors, "development") == ["development"]
    request = domain_pb.ProjectDomainAttributesDeleteRequest(
        project="vision", domain="development", resource_type=QUEUE
    )
    for _ in range(2):  # what is not there is no error
        doors.attributes.DeleteProjectDomainAttributes(request, call())
    assert found(doors, "development", "bake") == ["development", "bake"]
    request = workflow_pb.WorkflowAttributesDeleteRequest(
        project="vision", domain="development", workflow="bake", resource_type=QUEUE
    )
    doors.attributes.DeleteWorkflowAttributes(request, call())
    assert refused(lambda: found(doors, "development", "bake")).reason is Reason.NOT_FOUND


def test_each_resource_has_attributes_of_its_own_and_an_update_replaces_them(doors: Doors):
    put(doors, tags("a", "b"), "development")
    put(doors, resources(limits={"cpu": "2"}), "development")
    put(doors, tags("c"), "development")
    assert found(doors, "development") == ["c"]
    kept = get(doors, RESOURCES, "development").matching_attributes.task_resource_attributes
    assert kept.limits.cpu == "2"


def test_plugins_of_task_types_that_an_update_leaves_out_stay(doors: Doors):
    def plugins(**by_type: str) -> matchable_resource_pb2.MatchingAttributes:
        overrides = [
            matchable_resource_pb2.PluginOverride(task_type=task_type, plugin_id=[plugin])
            for task_type, plugin in by_type.items()
        ]
        return matchable_resource_pb2.MatchingAttributes(
            plugin_overrides=matchable_resource_pb2.PluginOverrides(overrides=overrides)
        )

    put(doors, plugins(spark="a", ray="a"))
    put(doors, plugins(spark="b"))
    kept = get(doors, PLUGINS).matching_attributes.plugin_overrides.overrides
    assert {each.task_type: list(each.plugin_id) for each in kept} == {"spark": ["b"], "ray": ["a"]}


def test_a_project_always_has_a_configuration_of_executions(doors: Doors):
    assert get(doors, CONFIG).matching_attributes.HasField("workflow_execution_config")
    assert refused(lambda: get(doors, CONFIG, "development")).reason is Reason.NOT_FOUND


def test_a_list_shows_what_the_caller_may_see_and_nothing_of_the_rest(doors: Doors):
    doors.project("audio")
    put(doors, tags("whole"))
    put(doors, tags("dev"), "development")
    put(doors, tags("prod"), "production", "bake")
    put(doors, tags("theirs"), "development", project="audio")

    def listed(*patterns: tuple[str, str]) -> list[str]:
        request = matchable_resource_pb2.ListMatchableAttributesRequest(resource_type=QUEUE)
        asked = call(visible=Visible(frozenset(patterns)))
        answer = doors.attributes.ListMatchableAttributes(request, asked)
        return [each.attributes.execution_queue_attributes.tags[0] for each in answer.configurations]

    assert listed(("*", "*")) == ["theirs", "whole", "dev", "prod"]
    assert listed(("vision", "*")) == ["whole", "dev", "prod"]
    assert listed(("*", "development")) == ["theirs", "dev"]
    assert listed(("vision", "production")) == ["prod"]
    assert listed() == []


# --- what is refused


@pytest.mark.parametrize(
    ("attributes", "field"),
    [
        (matchable_resource_pb2.MatchingAttributes(), ""),
        (matchable_resource_pb2.MatchingAttributes(quality_of_service={}), ""),
        (resources(limits={"cpu": "banana"}), "task_resource_attributes.limits.cpu"),
        (resources(defaults={"gpu": "500m"}), "task_resource_attributes.defaults.gpu"),
        (
            resources(defaults={"memory": "2Gi"}, limits={"memory": "1Gi"}),
            "task_resource_attributes.defaults.memory",
        ),
        (config(max_parallelism=-1), "workflow_execution_config.max_parallelism"),
        (
            config(raw_output_data_config=common_pb2.RawOutputDataConfig(output_location_prefix="s3://theirs")),
            "workflow_execution_config.raw_output_data_config.output_location_prefix",
        ),
        (
            config(labels=common_pb2.Labels(values={"no spaces": "x"})),
            "workflow_execution_config.labels",
        ),
        (
            config(annotations=common_pb2.Annotations(values={"iam.amazonaws.com/role": "root"})),
            "workflow_execution_config.annotations",
        ),
        (config(envs=common_pb2.Envs(values=[{"key": "A=B"}])), "workflow_execution_config.envs.values[0].key"),
        (tags("a\0"), "execution_queue_attributes.tags"),
        (tags("x" * 1025), "execution_queue_attributes.tags"),
        (tags(*["x" * 1000] * 70), ""),
    ],
)
def test_values_that_make_no_sense_are_refused_by_name_and_nothing_is_kept(doors: Doors, attributes, field: str):
    error = refused(lambda: put(doors, attributes, "development"))
    assert error.reason is Reason.INVALID_FIELD
    assert error.field == ".".join(filter(None, ("attributes.matching_attributes", field)))
    for resource in (QUEUE, RESOURCES, CONFIG):
        assert refused(lambda resource=resource: get(doors, resource, "development")).reason is Reason.NOT_FOUND


def test_resources_that_cannot_be_set_and_organisations_are_refused(doors: Doors):
    for resource in (99, matchable_resource_pb2.QUALITY_OF_SERVICE_SPECIFICATION):
        assert refused(lambda resource=resource: get(doors, resource)).field == "resource_type"
    request = project_pb.ProjectAttributesGetRequest(project="vision", resource_type=QUEUE, org="acme")
    assert refused(lambda: doors.attributes.GetProjectAttributes(request, call())).field == "org"
    assert refused(lambda: put(doors, tags("x"), project="nobody")).reason is Reason.PROJECT_MISSING
    doors.archive()
    assert refused(lambda: put(doors, tags("x"))).reason is Reason.PROJECT_ARCHIVED


# --- what they change


def spec_of(doors: Doors, plan: EntityId, **spec: object) -> execution_pb2.ExecutionSpec:
    request = execution_pb2.ExecutionCreateRequest(
        project=plan.scope.project, domain=plan.scope.domain, inputs=integers(x=1)
    )
    request.spec.CopyFrom(execution_pb2.ExecutionSpec(**spec))
    request.spec.launch_plan.CopyFrom(flyte_id(plan, identifier_pb2.LAUNCH_PLAN))
    made = doors.flyte.CreateExecution(request, call()).id
    return doors.flyte.GetExecution(execution_pb2.WorkflowExecutionGetRequest(id=made), call()).spec


def test_executions_are_configured_where_neither_caller_nor_launch_plan_says_otherwise(doors: Doors):
    plan = doors.plan(doors.register(chain))
    put(
        doors,
        config(
            max_parallelism=4,
            interruptible=BoolValue(value=True),
            overwrite_cache=True,
            labels=common_pb2.Labels(values={"team": "cv", "cost": "7"}),
            annotations=common_pb2.Annotations(values={"note": "configured"}),
            envs=common_pb2.Envs(values=[{"key": "MODE", "value": "fast"}]),
        ),
        "development",
    )
    configured = spec_of(doors, plan)
    assert (configured.max_parallelism, configured.interruptible.value, configured.overwrite_cache) == (4, True, True)
    assert dict(configured.labels.values) == {"team": "cv", "cost": "7"}
    assert configured.annotations.values["note"] == "configured"
    assert [(pair.key, pair.value) for pair in configured.envs.values] == [("MODE", "fast")]
    said = spec_of(
        doors,
        plan,
        max_parallelism=2,
        interruptible=BoolValue(value=False),
        labels=common_pb2.Labels(values={"team": "nlp"}),
        annotations=common_pb2.Annotations(values={"note": "said"}),
        envs=common_pb2.Envs(values=[{"key": "MODE", "value": "slow"}]),
    )
    assert (said.max_parallelism, said.interruptible.value) == (2, False)
    assert dict(said.labels.values) == {"team": "nlp", "cost": "7"}
    assert said.annotations.values["note"] == "said"
    assert [pair.value for pair in said.envs.values] == ["slow"]
    elsewhere = spec_of(doors, doors.plan(doors.register(chain, PROD)))
    assert (elsewhere.max_parallelism, dict(elsewhere.labels.values)) == (0, {})


def test_whom_executions_run_as_can_be_configured_only_among_those_that_the_server_allows(doors: Doors):
    plan = doors.plan(doors.register(chain))
    trainer = config(security_context=security_pb2.SecurityContext(run_as={"k8s_service_account": "trainer"}))
    assert refused(lambda: put(doors, trainer, "development")).reason is Reason.RUN_AS_FORBIDDEN
    doors.allow(DEV, RunAs(service_accounts=("trainer", "other"), default_service_account="other"))
    assert refused(lambda: put(doors, trainer)).reason is Reason.RUN_AS_FORBIDDEN  # not in every domain
    assert spec_of(doors, plan).security_context.run_as.k8s_service_account == "other"
    put(doors, trainer, "development", chain.name)
    assert spec_of(doors, plan).security_context.run_as.k8s_service_account == "trainer"
    doors.allow(DEV, RunAs(service_accounts=("other",)))
    assert refused(lambda: spec_of(doors, plan)).reason is Reason.RUN_AS_FORBIDDEN


def register(doors: Doors, version: str, scope: Scope = DEV, **amounts: str) -> None:
    spec = task_pb2.TaskSpec()
    spec.CopyFrom(task_spec(double))
    spec.template.container.ClearField("resources")
    for name, value in amounts.items():
        resource = tasks_pb2.Resources.ResourceName.Value(name.upper())
        spec.template.container.resources.requests.add(name=resource, value=value)
    id_ = EntityId(scope, "greedy", version)
    doors.admin.CreateTask(task_pb2.TaskCreateRequest(id=flyte_id(id_, identifier_pb2.TASK), spec=spec), call())


def test_a_task_that_asks_for_more_than_its_scope_allows_is_not_registered_there(doors: Doors):
    register(doors, "v0", cpu="16")
    put(doors, resources(limits={"cpu": "2", "memory": "1Gi"}), "development")
    register(doors, "v1", cpu="2", memory="1024Mi", gpu="1")
    for amounts in ({"cpu": "2001m"}, {"memory": "2Gi"}):
        error = refused(lambda amounts=amounts: register(doors, "v2", **amounts))
        (name,) = amounts
        assert error.field == f"spec.template.container.resources.requests[{name}]"
    register(doors, "v2", PROD, cpu="16")
