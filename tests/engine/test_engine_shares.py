"""The slots of a worker are shared between domains: what one does not use others may, and give back to later ones."""

from collections import Counter
from fractions import Fraction

import pytest
from engine_rows import attempts_of, closure, launch, lines, node, nodes_of, stored, task, workflow
from hypothesis import given
from hypothesis import strategies as st

from airspace_server.core.execution import ENDED_EXECUTION
from airspace_server.core.scope import Scope
from airspace_server.core.shares import Shares

DEV, STAGING, PROD = (Scope("flights", domain) for domain in ("development", "staging", "production"))
ORDER = ("development", "staging", "production")
RUNNING = st.fixed_dictionaries({domain: st.integers(0, 8) for domain in (*ORDER, "forgotten")})
WEIGHTS = st.fixed_dictionaries({domain: st.integers(1, 5) for domain in ORDER})


# --- the rule


def test_shares_are_by_weight_and_add_up_to_the_slots():
    shares = Shares.of({"development": 1, "staging": 1, "production": 2}, 2)
    assert shares.slots == {"development": Fraction(1, 2), "staging": Fraction(1, 2), "production": 1}
    assert [shares.holds(domain) for domain in (*ORDER, "forgotten")] == [0, 0, 1, 0]


def test_tasks_of_earlier_domains_stand_back_for_those_of_later_ones():
    shares = Shares.of({"development": 1, "staging": 1, "production": 2}, 2)
    assert [shares.nice(domain) for domain in (*ORDER, "forgotten")] == [19, 9, 0, 19]
    assert Shares.of({"only": 1}, 2).nice("only") == 0


def test_the_domain_that_uses_the_least_of_its_share_is_next_and_one_without_a_share_is_last():
    shares = Shares.of({"development": 1, "staging": 1, "production": 2}, 4)

    def first(**running: int) -> str:
        return min((*ORDER, "forgotten"), key=lambda domain: shares.rank(domain, running.get(domain, 0)))

    assert first() == "production"
    assert first(production=1) in ("development", "production", "staging")
    assert first(production=2) == "development"
    assert first(production=2, development=1) == "staging"
    assert first(production=9, development=9, staging=9) != "forgotten"


@given(RUNNING, WEIGHTS, st.integers(1, 12), st.sets(st.sampled_from((*ORDER, "forgotten"))))
def test_slots_are_given_back_to_later_domains_within_their_shares_and_never_to_and_fro(running, weights, slots, wants):
    shares, now = Shares.of({domain: weights[domain] for domain in ORDER}, slots), Counter(running)
    places = {**{domain: place for place, domain in enumerate(ORDER)}, "forgotten": -1}
    for _ in range(100):
        pair = shares.reclaim(now, sorted(wants))
        if pair is None:
            break
        claimant, loser = pair
        assert claimant in wants
        assert places[loser] < places[claimant]
        now[claimant] += 1
        now[loser] -= 1
        assert now[claimant] <= shares.slots[claimant]
        assert now[loser] >= shares.slots.get(loser, 0)
    else:
        raise AssertionError("slots go to and fro")
    for claimant in wants - {"forgotten"}:  # and whoever lacks a whole slot of its share lacks it to no earlier one
        if now[claimant] + 1 <= shares.slots[claimant]:
            earlier = [domain for domain in running if places[domain] < places[claimant]]
            assert all(now[domain] - 1 < shares.slots.get(domain, 0) for domain in earlier)


# --- a worker


@pytest.fixture
def log(tmp_path):
    return tmp_path / "log"


@pytest.fixture
def fan(database, tmp_path, log):
    """Launch as many tasks beside each other as `names` has letters; each waits for its domain's gate."""

    def launched(scope, names):
        gate = tmp_path / scope.domain
        tasks = [task(name, LOG=str(log), ACT="wait", GATE=str(gate)) for name in names]
        flow = workflow("wf", *(node(name, task=name) for name in names))
        return launch(database, f"e-{names}", closure(flow, tasks=tasks), scope=scope), gate

    return launched


def ready(log):
    return {line.split()[1] for line in lines(log) if line.startswith("ready")}


def ended(database, execution):
    return stored(database, execution).phase in ENDED_EXECUTION


WEIGHED = {"slots": 4, "weights": {"development": 1, "staging": 1, "production": 2}}


def test_production_gets_its_share_back_at_once_and_development_loses_no_try(database, working, until, log, fan):
    greedy, dev_gate = fan(DEV, "abcdef")
    with working(**WEIGHED):
        until(lambda: len(ready(log)) == 4)  # nobody else wants a slot: development has all of them
        release, gate = fan(PROD, "xyz")
        until(lambda: len(ready(log) & set("xyz")) == 2)  # its share of four slots, although nothing has ended
        running = [row for row in nodes_of(database, greedy).values() if row.phase == "RUNNING"]
        assert not ended(database, greedy)
        gate.touch()
        until(lambda: ended(database, release))
        dev_gate.touch()
        until(lambda: ended(database, greedy))
    assert len(running) >= 2
    assert stored(database, release).phase == stored(database, greedy).phase == "SUCCEEDED"
    assert {one.phase for one in attempts_of(database, release)} == {"SUCCEEDED"}
    ends = Counter(one.phase for one in attempts_of(database, greedy))
    assert ends == {"SUCCEEDED": 6, "PREEMPTED": 2}  # of tasks without any retries
    preempted = [one for one in attempts_of(database, greedy) if one.phase == "PREEMPTED"]
    assert {one.error_code for one in preempted} == {"PREEMPTED"}
    assert "wanted by production" in preempted[0].error_message


def test_nothing_of_production_is_ended_for_development(database, working, until, log, fan):
    release, gate = fan(PROD, "wxyz")
    with working(**WEIGHED):
        until(lambda: len(ready(log)) == 4)  # two more than its share
        early, dev_gate = fan(DEV, "ab")
        dev_gate.touch()
        until(lambda: stored(database, early).phase == "RUNNING")  # it was taken, and waits for a slot
        gate.touch()
        until(lambda: ended(database, early) and ended(database, release))
    assert Counter(one.phase for one in attempts_of(database, release)) == {"SUCCEEDED": 4}
    assert Counter(one.phase for one in attempts_of(database, early)) == {"SUCCEEDED": 2}


def test_a_flood_of_one_domain_does_not_keep_another_from_its_turn(database, working, until, log, fan):
    flood = [fan(DEV, names)[0] for names in ("abcdefgh", "ijklmnop", "qrstuvw")]
    _, dev_gate = fan(DEV, "1")
    with working(slots=2, weights={"development": 1, "production": 1}):
        until(lambda: len(ready(log)) == 2)
        release, gate = fan(PROD, "x")
        gate.touch()
        until(lambda: ended(database, release))
        assert len([line for line in lines(log) if line.startswith("start")]) == 3  # and nothing else began before it
        dev_gate.touch()
        until(lambda: all(ended(database, execution) for execution in flood))
    assert {stored(database, execution).phase for execution in flood} == {"SUCCEEDED"}
