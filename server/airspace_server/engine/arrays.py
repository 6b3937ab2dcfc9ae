"""Tasks that are run once for each item of a list: how many there are, what each is given, and what comes of all. Pure.

flytekit's map tasks are given the whole lists, with an index in their environment, and write the output of one item.
Inputs that are bound, or are no lists, are the same for every item.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from flyteidl.core import literals_pb2, workflow_pb2

MAX_ITEMS: Final = 5_000
"""Most items of one list."""
_NONE: Final = literals_pb2.Literal(scalar=literals_pb2.Scalar(none_type=literals_pb2.Void()))


class ArrayError(Exception):
    """The inputs of an array, or the outputs of one of its items, are not as they must be. The text is for users."""


@dataclass(frozen=True, slots=True)
class Array:
    """How the items are run.

    `bound` are the inputs that are the same for every item, lists too; `parallelism` is how many run at once, 0 for
    all. `least` is how many must succeed, or else the share `ratio`. With `apart` each item is given what is its own
    and not the whole lists.
    """

    bound: frozenset[str]
    apart: bool
    parallelism: int
    least: int | None
    ratio: float

    @classmethod
    def of(cls, node: workflow_pb2.ArrayNode) -> "Array":
        """Read what a workflow says."""
        criterion = node.WhichOneof("success_criteria")
        return cls(
            frozenset(node.bound_inputs),
            node.data_mode == workflow_pb2.ArrayNode.INDIVIDUAL_INPUT_FILES,
            node.parallelism,
            node.min_successes if criterion == "min_successes" else None,
            node.min_success_ratio if criterion == "min_success_ratio" else 1.0,
        )

    def size(self, inputs: literals_pb2.LiteralMap) -> int:
        """Return how many items there are. Raises ArrayError."""
        sizes = {len(inputs.literals[name].collection.literals) for name in self._mapped(inputs)}
        if not sizes:
            raise ArrayError("none of its inputs is a list to run it for the items of")
        if len(sizes) > 1:
            raise ArrayError(f"its lists have different lengths: {', '.join(map(str, sorted(sizes)))}")
        (size,) = sizes
        if size > MAX_ITEMS:
            raise ArrayError(f"its lists have {size} items; at most {MAX_ITEMS} are run")
        return size

    def item(self, inputs: literals_pb2.LiteralMap, index: int) -> literals_pb2.LiteralMap:
        """Return the inputs that are one item's own."""
        own = {name: inputs.literals[name].collection.literals[index] for name in self._mapped(inputs)}
        return literals_pb2.LiteralMap(literals=own)

    def given(self, inputs: literals_pb2.LiteralMap, index: int) -> literals_pb2.LiteralMap:
        """Return all inputs as the task of an item is given them."""
        if not self.apart:
            return inputs
        given = literals_pb2.LiteralMap()
        given.CopyFrom(inputs)
        given.MergeFrom(self.item(inputs, index))
        return given

    def failures(self, size: int) -> int:
        """Return how many items may fail."""
        # The ratio comes as a float of 32 bits, in which 0.1 of 10 is a little more than 1.
        least = self.least if self.least is not None else math.ceil(round(self.ratio * size, 4))
        return size - max(0, min(least, size))

    def _mapped(self, inputs: literals_pb2.LiteralMap) -> Sequence[str]:
        return [
            name
            for name, literal in inputs.literals.items()
            if name not in self.bound and literal.HasField("collection")
        ]


def gathered(
    names: Sequence[str], items: Sequence[tuple[str, literals_pb2.LiteralMap | None]]
) -> literals_pb2.LiteralMap:
    """Return lists of the outputs with these names, by the ids of the items; nothing where one has failed.

    Raises ArrayError for an item that has succeeded without one of them.
    """
    lists = literals_pb2.LiteralMap()
    for name in names:
        found = lists.literals[name].collection
        found.SetInParent()
        for id_, outputs in items:
            if outputs is not None and name not in outputs.literals:
                raise ArrayError(f"{id_} has no output {name}")
            found.literals.append(_NONE if outputs is None else outputs.literals[name])
    return lists
