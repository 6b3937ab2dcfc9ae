"""What a local attempt is started with: its command line and its environment, from the task's container."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from flyteidl.core import literals_pb2, tasks_pb2

from airspace_server.core.execution import ErrorKind, ExecutionError
from airspace_server.engine.outcome import Failed
from airspace_server.engine.runners.base import AttemptSpec, RefusedError

MARK: Final = "AIRSPACE_ATTEMPT"
"""The variable whose value no other attempt has: what an attempt's processes are known by."""

MAX_COMMAND: Final = 1024 * 1024
"""Most characters of values in a command line: no system that this runs on takes more."""
_SYSTEM_PATH: Final = "/usr/local/bin:/usr/bin:/bin"
_TEMPLATE: Final = re.compile(r"\{\{\s*[.$]([A-Za-z]+)(?:\.([^\s{}]+))?\s*\}\}")
_ENTRY_POINT: Final = re.compile(r"pyflyte-[a-z-]+")
_INDEX: Final = "FLYTE_K8S_ARRAY_INDEX"
_DEST_DIR: Final = "--dest-dir"


def refused(message: str) -> RefusedError:
    """Say that a task is none that can be run here, however often it is tried."""
    return RefusedError(Failed(ExecutionError("NOT_RUNNABLE", message, ErrorKind.USER), retryable=False))


def command_line(
    container: tasks_pb2.Container,
    values: Mapping[str, str],
    inputs: literals_pb2.LiteralMap,
    *,
    programs: Path,
    code: Path,
) -> Sequence[str]:
    """Build the command line: templates filled in, the program found in `programs`, code unpacked to `code`.

    The templates are those of Flyte's containers, "{{.input}}" and so on, in any case of letters; `values` has them in
    lower case, and "{{.inputs.x}}" stands for the input x. Raises RefusedError.
    """
    left = MAX_COMMAND

    def value(match: re.Match[str]) -> str:
        nonlocal left
        name, key = match[1].lower(), match[2]
        if name == "inputs" and key in inputs.literals:
            text = _text(key, inputs.literals[key])
        elif key is not None or name not in values:
            raise refused(f"the task's container uses {match[0]}, which has no value here")
        else:
            text = values[name]
        left -= len(text)
        if left < 0:  # before it is put together: a value can be used any number of times
            raise refused(f"the task's command line would have more than {MAX_COMMAND} characters of values")
        return text

    words = [_TEMPLATE.sub(value, word) for word in (*container.command, *container.args)]
    if not words or not _ENTRY_POINT.fullmatch(words[0]):
        raise refused("the task's container does not begin with a command of flytekit, such as pyflyte-execute")
    program = programs / words[0]
    if not program.is_file():
        raise refused(f"the command {words[0]} is not installed where the tasks run")
    own = words.index("--") if "--" in words else len(words)
    # The folder is one of an image's; here every attempt has its own.
    for place, word in enumerate(words[:own]):
        if word == _DEST_DIR and place + 1 < own:
            words[place + 1] = str(code)
    return str(program), *words[1:]


def environment(attempt: AttemptSpec, *, mark: str, home: Path, programs: Path) -> dict[str, str]:
    """Build the environment: the task's own, the execution's on top, and nothing of this process."""
    execution, task = attempt.execution, attempt.task.id
    own = {pair.key: pair.value for pair in attempt.task.container.env} | dict(attempt.environment)
    # flytekit reads which item is its own from the variable that the first one names.
    item = {} if attempt.index is None else {"BATCH_JOB_ARRAY_INDEX_VAR_NAME": _INDEX, _INDEX: str(attempt.index)}
    return (
        {MARK: mark, "LANG": "C.UTF-8"}  # the mark is first: it is looked for in the head alone
        | own
        | {
            "PATH": f"{programs}:{own.get('PATH', _SYSTEM_PATH)}",
            "HOME": str(home),
            "TMPDIR": str(home),
            "FLYTE_INTERNAL_EXECUTION_ID": execution.name,
            "FLYTE_INTERNAL_EXECUTION_PROJECT": execution.scope.project,
            "FLYTE_INTERNAL_EXECUTION_DOMAIN": execution.scope.domain,
            "FLYTE_INTERNAL_EXECUTION_WORKFLOW": attempt.workflow,
            "FLYTE_INTERNAL_EXECUTION_LAUNCHPLAN": attempt.launch_plan,
            "FLYTE_INTERNAL_TASK_PROJECT": task.project,
            "FLYTE_INTERNAL_TASK_DOMAIN": task.domain,
            "FLYTE_INTERNAL_TASK_NAME": task.name,
            "FLYTE_INTERNAL_TASK_VERSION": task.version,
            "FLYTE_ATTEMPT_NUMBER": str(attempt.number),
            MARK: mark,
        }
        | item
    )


def _text(name: str, literal: literals_pb2.Literal) -> str:
    """Write an input into a command line as Flyte does; only plain values have a text. Raises RefusedError."""
    primitive = literal.scalar.primitive
    kind = primitive.WhichOneof("value")
    if kind == "boolean":
        return str(primitive.boolean).lower()
    if kind in ("integer", "float_value", "string_value"):
        return str(getattr(primitive, kind))
    if kind in ("datetime", "duration"):
        return str(getattr(primitive, kind).ToJsonString())
    raise refused(f"the task's container uses the input {name} as text, which it has none for")
