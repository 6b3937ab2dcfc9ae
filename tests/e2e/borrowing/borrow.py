"""What one project makes of what another one exports; nothing of that one's code is here."""

from flytekit import LaunchPlan, reference_launch_plan, reference_task, reference_workflow, workflow

OTHERS = {"project": "recommendation-engine", "domain": "development", "version": "v1"}


@reference_task(name="flows.quick.double", **OTHERS)
def double(x: int) -> int: ...


@reference_workflow(name="flows.quick.double_wf", **OTHERS)
def double_wf(x: int, unit: str) -> str:
    return ""  # flytekit wants a value; it is never run


@reference_launch_plan(name="double_lp", **OTHERS)
def double_lp(x: int) -> str: ...


@workflow
def twice_wf(x: int) -> int:
    return double(x=double(x=x))


@workflow
def launching_wf(x: int) -> str:
    return double_lp(x=x)


borrowed_lp = LaunchPlan.get_or_create(double_wf, name="borrowed_lp", default_inputs={"unit": "plums"})
