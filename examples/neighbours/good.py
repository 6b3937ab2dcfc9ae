"""What production runs: a little work that takes as long as its process needs to start."""

from flytekit import task, workflow


@task
def add(x: int) -> int:
    """Add up."""
    return sum(range(x))


@workflow
def good(x: int) -> int:
    """Run `add`."""
    return add(x=x)
