"""A chain shows whatever is done to it behind the server's back."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airspace_server.audit.chain import Head, Kind, Link, Record, SealedHead, Verification, seal
from airspace_server.storage.changes import Change

KEY, CHAIN = b"k" * 32, "team"
texts = st.text(max_size=8)
changes = st.builds(Change, st.just(CHAIN), texts, texts, texts, texts)
records = st.builds(
    Record, st.just(CHAIN), st.just(0), st.integers(0, 2**62), st.sampled_from(Kind), texts, texts, texts, texts, texts,
    texts, texts, st.integers(1, 2**40), st.lists(changes, max_size=2).map(tuple),
)  # fmt: skip
chains = st.lists(records, min_size=1, max_size=6)


def linked(contents: list[Record]) -> list[Link]:
    links: list[Link] = []
    head = Head()
    for content in contents:
        record = replace(content, sequence=head.sequence + 1)
        links.append(Link(record, head.hash, record.hash(head.hash)))
        head = Head(record.sequence, links[-1].hash)
    return links


def end(links: list[Link]) -> SealedHead:
    head = Head(links[-1].record.sequence, links[-1].hash)
    return SealedHead(head, seal(KEY, CHAIN, head))


def problem(links: list[Link], sealed: SealedHead | None, expected: tuple[Head, ...] = ()) -> int | None:
    verification = Verification(expected)
    verification.follow(links)
    found = verification.end(CHAIN, KEY, sealed)
    return None if found is None else found.sequence


@given(chains)
def test_a_chain_as_it_was_written_holds(contents: list[Record]):
    links = linked(contents)
    assert problem(links, end(links)) is None


@given(chains, st.data())
def test_a_record_that_was_altered_is_found(contents: list[Record], data: st.DataObject):
    links = linked(contents)
    place = data.draw(st.integers(0, len(links) - 1))
    field = data.draw(st.sampled_from(["principal", "method", "reason", "at", "count", "kind", "changes", "domain"]))
    other = getattr(data.draw(records), field)
    altered = replace(links[place].record, **{field: other})
    sealed = end(links)
    tampered = [*links[:place], replace(links[place], record=altered), *links[place + 1 :]]
    assert problem(tampered, sealed) == (None if altered == links[place].record else place + 1)


@given(chains, st.data())
def test_a_record_that_was_removed_is_found(contents: list[Record], data: st.DataObject):
    links = linked(contents)
    place = data.draw(st.integers(0, len(links) - 1))
    assert problem(links[:place] + links[place + 1 :], end(links)) == place + 1


@given(chains, records, st.data())
def test_a_record_that_was_put_in_between_is_found(contents: list[Record], new: Record, data: st.DataObject):
    links = linked(contents)
    sealed = end(links)
    place = data.draw(st.integers(0, len(links)))
    before = links[place - 1].hash if place else Head().hash
    record = replace(new, sequence=place + 1)
    inserted = Link(record, before, record.hash(before))
    # Behind the last one nothing but the head tells; before it, whatever follows has the wrong place.
    assert problem([*links[:place], inserted, *links[place:]], sealed) is not None


@given(chains, st.data())
def test_a_chain_written_anew_is_found_by_its_seal_and_by_a_head_kept_elsewhere(contents, data: st.DataObject):
    links = linked(contents)
    kept = end(links).head
    forged = linked([replace(contents[0], principal=contents[0].principal + "x"), *contents[1:]])
    head = Head(len(forged), forged[-1].hash)
    assert problem(forged, SealedHead(head, seal(b"another key" * 3, CHAIN, head))) is not None
    # Somebody who has stolen the key too is found by who kept a head.
    assert problem(forged, end(forged)) is None
    assert problem(forged, end(forged), (kept,)) == kept.sequence
    shorter = links[: data.draw(st.integers(1, len(links)))]
    expected = None if len(shorter) == len(links) else kept.sequence
    assert problem(shorter, end(shorter), (kept,)) == expected


@pytest.mark.parametrize("sealed", [None, SealedHead(Head(), "")])
def test_a_chain_without_a_head_does_not_hold(sealed: SealedHead | None):
    content = Record(CHAIN, 0, 0, Kind.DENIAL, "", "", "", "", "", "", "", 1, ())
    assert problem(linked([content]), sealed) is not None
    assert problem([], sealed) is not None
