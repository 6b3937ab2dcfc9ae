"""Real flytekit tasks, registered as `pyflyte register` does it and run by its own commands."""

import hashlib
import tarfile
import warnings
from collections import OrderedDict
from pathlib import Path

import pytest
from engine_rows import SCOPE, VERSION, attempts_of, launch, nodes_of, outputs_of, stored
from flyteidl.core import compiler_pb2, literals_pb2

from airspace_server.core.execution import ENDED_EXECUTION
from airspace_server.engine.runners.local import LocalRunner

SOURCE = Path(__file__).with_name("engine_flyte_tasks.py")


@pytest.fixture
def compiled(tmp_path, artifacts):
    """Serialize a workflow of engine_flyte_tasks, its code packed and stored as fast registration does."""
    archive = tmp_path / "code.tar.gz"
    with tarfile.open(archive, "w:gz") as packed:
        packed.add(SOURCE, SOURCE.name)
    data = archive.read_bytes()
    path = f"uploads/{hashlib.sha256(data).hexdigest()}/code.tar.gz"
    artifacts.write(SCOPE, path, [data], len(data))
    url = artifacts.native_url(SCOPE, path)

    def compile_workflow(name):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # flytekit's own, while it is imported
            return _compile(name, url)

    return compile_workflow


def _compile(name, url):
    import engine_flyte_tasks
    from flytekit.configuration import FastSerializationSettings, Image, ImageConfig, SerializationSettings
    from flytekit.models.admin.workflow import WorkflowSpec
    from flytekit.models.task import TaskSpec
    from flytekit.tools.translator import Options, get_serializable

    image = Image(name="default", fqn="airspace.test/none", tag="v1")
    settings = SerializationSettings(
        image_config=ImageConfig(default_image=image),
        project=SCOPE.project,
        domain=SCOPE.domain,
        version=VERSION,
        fast_serialization_settings=FastSerializationSettings(
            enabled=True, destination_dir="/root", distribution_location=url
        ),
    )
    entities = OrderedDict()
    spec = get_serializable(entities, settings, getattr(engine_flyte_tasks, name), Options())
    made = compiler_pb2.CompiledWorkflowClosure()
    made.primary.template.CopyFrom(spec.template.to_flyte_idl())
    for one in entities.values():
        if isinstance(one, TaskSpec):
            made.tasks.add().template.CopyFrom(one.template.to_flyte_idl())
        elif isinstance(one, WorkflowSpec) and one is not spec:
            made.sub_workflows.add().template.CopyFrom(one.template.to_flyte_idl())
    return made


@pytest.fixture
def real_runner(tmp_path):
    return LocalRunner(tmp_path / "work")


def text(value):
    return literals_pb2.Literal(scalar=literals_pb2.Scalar(primitive=literals_pb2.Primitive(string_value=value)))


def number(value):
    return literals_pb2.Literal(scalar=literals_pb2.Scalar(primitive=literals_pb2.Primitive(integer=value)))


def test_a_workflow_of_real_tasks_runs_and_sees_nothing_of_the_servers_environment(
    database, working, until, real_runner, compiled, monkeypatch
):
    monkeypatch.setenv("AIRSPACE_SIGNING_KEY", "secret")
    inputs = literals_pb2.LiteralMap(literals={"x": number(5)})
    execution = launch(database, "e1", compiled("journey"), inputs)
    with working(runner=real_runner):
        until(lambda: stored(database, execution).phase in ENDED_EXECUTION, 120)
    row = stored(database, execution)
    assert (row.phase, row.error_message) == ("SUCCEEDED", None)
    outputs = outputs_of(database, execution)
    assert outputs.literals["o0"] == number(16)
    env = {name: one.scalar.primitive.string_value for name, one in outputs.literals["o1"].map.literals.items()}
    assert "AIRSPACE_SIGNING_KEY" not in env
    assert env["FLYTE_INTERNAL_EXECUTION_ID"] == "e1"
    assert env["FLYTE_INTERNAL_TASK_NAME"] == "engine_flyte_tasks.total"
    assert {"n1-0-n0", "n1"} <= nodes_of(database, execution).keys()


def test_map_tasks_run_for_each_item_with_what_is_bound_and_some_may_fail(
    database, working, until, real_runner, compiled
):
    xs = literals_pb2.LiteralCollection(literals=[number(5), number(-1), number(0)])
    inputs = literals_pb2.LiteralMap(literals={"xs": literals_pb2.Literal(collection=xs)})
    execution = launch(database, "e3", compiled("fleet"), inputs)
    with working(runner=real_runner):
        until(lambda: stored(database, execution).phase in ENDED_EXECUTION, 240)
    row = stored(database, execution)
    assert (row.phase, row.error_message) == ("SUCCEEDED", None)
    some, all_ = (list(outputs_of(database, execution).literals[f"o{each}"].collection.literals) for each in (0, 1))
    assert [one.scalar.primitive.integer for one in all_] == [2, 4, 6]
    assert [one.scalar.WhichOneof("value") for one in some] == ["primitive", "none_type", "primitive"]
    assert [some[0], some[2]] == [number(45), number(0)]
    nodes = nodes_of(database, execution)
    assert "less than nothing" in nodes["n0-0-1"].error_message
    assert (nodes["n0"].entity_kind, nodes["n0-0-2"].entity_kind) == ("ARRAY", "TASK")


def test_a_failed_workflow_runs_its_failure_node_which_is_told_what_has_failed(
    database, working, until, real_runner, compiled, tmp_path
):
    said = tmp_path / "said"
    inputs = literals_pb2.LiteralMap(literals={"runway": text(str(said))})
    execution = launch(database, "e4", compiled("swept"), inputs)
    with working(runner=real_runner):
        until(lambda: stored(database, execution).phase in ENDED_EXECUTION, 240)
    row = stored(database, execution)
    assert (row.phase, row.error_kind) == ("FAILED", "USER")
    assert f"there is no runway {said}" in row.error_message
    assert said.read_text().startswith("n0: node n0 (engine_flyte_tasks.land): ")
    assert nodes_of(database, execution)["fn0"].phase == "SUCCEEDED"


def test_a_recoverable_error_is_tried_again_and_a_real_one_comes_back_with_its_traceback(
    database, working, until, real_runner, compiled
):
    inputs = literals_pb2.LiteralMap(literals={"runway": text("27L")})
    execution = launch(database, "e2", compiled("landing"), inputs)
    with working(runner=real_runner):
        until(lambda: stored(database, execution).phase in ENDED_EXECUTION, 120)
    row = stored(database, execution)
    assert (row.phase, row.error_kind) == ("FAILED", "USER")
    assert row.error_code.startswith("USER:")
    assert row.error_message.startswith("node n0 (engine_flyte_tasks.land): ")
    assert 'raise ValueError(f"there is no runway {runway}")' in row.error_message
    assert "there is no runway 27L" in row.error_message
    first, second = attempts_of(database, execution)
    assert (first.phase, first.error_code) == ("FAILED", "USER:Recoverable")
    assert "the runway is wet" in first.error_message
    assert second.phase == "FAILED"
