"""Drives the state machine of an execution by hand."""

from engine_rows import literals

from airspace_server.core.execution import ErrorKind, ExecutionError, ExecutionPhase
from airspace_server.engine import graph
from airspace_server.engine.graph import AttemptEnded, AttemptStarted, Begun, State
from airspace_server.engine.outcome import Failed, Succeeded
from airspace_server.engine.plan import parse

USER = ExecutionError("USER:ValueError", "no runway", ErrorKind.USER)
SYSTEM = ExecutionError("EXIT_CODE", "exit code 1", ErrorKind.SYSTEM)
FAILS = Failed(USER, retryable=False)
AGAIN = Failed(USER, retryable=True)


def queued(**inputs):
    return State(ExecutionPhase.QUEUED, literals(**inputs), {})


class Run:
    """Drives a state machine and keeps what it recorded."""

    def __init__(self, compiled, **inputs):
        self.plan = parse(compiled)
        self.state = queued(**inputs)
        self.recorded = []

    def apply(self, event):
        step = graph.apply(self.plan, self.state, event)
        self.state = step.state
        self.recorded += step.transitions
        return step

    def start(self, node_id):
        self.apply(AttemptStarted(node_id, "handle", "uri"))

    def end(self, node_id, outcome):
        self.apply(AttemptEnded(node_id, len(self.state.nodes[node_id].attempts) - 1, outcome))

    def run(self, node_id, outcome=None):
        self.start(node_id)
        self.end(node_id, Succeeded(literals(o=1)) if outcome is None else outcome)

    def waiting(self):
        return list(graph.waiting(self.state))

    def surplus(self):
        return [node_id for node_id, _ in graph.surplus(self.plan, self.state)]

    def phase(self, node_id):
        return self.state.nodes[node_id].phase


def begun(compiled, **inputs):
    run = Run(compiled, **inputs)
    run.apply(Begun())
    return run
