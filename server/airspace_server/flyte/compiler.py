"""From what a client registers to what is stored and run: one function for each kind of entity."""

from airspace_server.flyte.launch_plans import compile_launch_plan
from airspace_server.flyte.tasks import compile_task
from airspace_server.flyte.workflows import compile_workflow, references

__all__ = ["compile_launch_plan", "compile_task", "compile_workflow", "references"]
