import flyte_samples as samples
import pytest
from flyte_samples import compiled, workflow_spec
from flyteidl.admin import workflow_pb2
from flyteidl.core import workflow_pb2 as core_workflow_pb2
from hypothesis import given
from hypothesis import strategies as st

from airspace_server.flyte.digest import digest

SPECS = [workflow_spec(entity) for entity in samples.WORKFLOWS]


def nodes(message):
    if isinstance(message, core_workflow_pb2.Node):
        yield message
    for field, value in message.ListFields():
        if field.message_type is not None and not field.message_type.GetOptions().map_entry:
            for each in value if field.is_repeated else [value]:
                yield from nodes(each)


@given(st.sampled_from(SPECS), st.randoms(use_true_random=False))
def test_the_order_of_upstream_ids_does_not_count_anywhere(spec, random):
    shuffled = workflow_pb2.WorkflowSpec()
    shuffled.CopyFrom(spec)
    for node in nodes(shuffled):
        node.upstream_node_ids[:] = random.sample(list(node.upstream_node_ids), len(node.upstream_node_ids))
    before = shuffled.SerializeToString(deterministic=True)
    assert digest(shuffled) == digest(spec)
    assert shuffled.SerializeToString(deterministic=True) == before


@pytest.mark.parametrize("entity", samples.WORKFLOWS, ids=lambda entity: entity.name)
def test_serializing_the_same_source_again_gives_the_same_digest(entity):
    assert digest(workflow_spec(entity)) == digest(workflow_spec(entity))


def test_upstream_ids_of_closures_do_not_count_by_order_either():
    closure, again = compiled(samples.fan), compiled(samples.fan)
    ids = again.primary.template.nodes[3].upstream_node_ids
    ids[:] = reversed(ids)
    assert closure != again
    assert digest(closure) == digest(again)


def test_the_order_in_which_a_map_was_filled_does_not_count():
    one, other = workflow_pb2.WorkflowSpec(), workflow_pb2.WorkflowSpec()
    for spec, names in ((one, "abcdefgh"), (other, "hgfedcba")):
        for name in names:
            spec.template.interface.inputs.variables[name].description = name
    assert digest(one) == digest(other)


def test_different_content_has_different_digests():
    assert len({digest(spec) for spec in SPECS}) == len(SPECS)
    spec = workflow_spec(samples.fan)
    before = digest(spec)
    spec.template.nodes[3].upstream_node_ids.pop()
    assert digest(spec) != before
