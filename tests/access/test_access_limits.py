"""Limits: bursts, rates, whom an address is limited as, and memory that does not grow."""

import pytest

from airspace_server.access.limits import REMEMBERED, Limit, Recent, peer, short


def test_a_key_has_its_burst_and_then_its_rate_and_no_other_key_pays_for_it():
    limit = Limit(3, 0.5)
    assert [limit.take("a", 0.0) for _ in range(5)] == [0, 0, 0, 2, 2]
    assert limit.take("b", 0.0) == 0
    assert limit.take("a", 1.9) == 1
    assert limit.take("a", 2.0) == 0
    assert limit.take("a", 2.0) == 2
    assert [limit.take("a", 1000.0) for _ in range(4)] == [0, 0, 0, 2]


def test_looking_takes_nothing():
    limit = Limit(1, 1.0)
    assert [limit.wait("a", 0.0) for _ in range(3)] == [0, 0, 0]
    assert len(limit) == 0
    limit.take("a", 0.0)
    assert [limit.wait("a", 0.0) for _ in range(3)] == [1, 1, 1]
    assert limit.wait("a", 1.0) == 0


def test_keys_without_end_use_no_more_memory_and_the_one_that_is_busy_stays():
    limit = Limit(1, 0.001)
    for number in range(3 * REMEMBERED):
        limit.take(f"made-up-{number}", 0.0)
        limit.take("busy", 0.0)
    assert len(limit) == REMEMBERED
    assert limit.wait("busy", 0.0)


def test_the_newest_keys_are_remembered():
    recent = Recent()
    for number in range(REMEMBERED + 1):
        recent.add(str(number))
        recent.add("kept")
    assert "kept" in recent
    assert str(REMEMBERED) in recent
    assert "0" not in recent


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("192.0.2.1", "::ffff:192.0.2.1"),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9"),
        ("fe80::1%eth0", "fe80::2"),
        ("", "unknown"),
        ("x" * 100_000, "proxy.example"),
    ],
)
def test_these_are_one_peer(one: str, other: str):
    assert peer(one) == peer(other)
    assert len(peer(one)) < 64


@pytest.mark.parametrize(
    ("one", "other"),
    [("192.0.2.1", "192.0.2.2"), ("2001:db8:1:2::1", "2001:db8:1:3::1"), ("192.0.2.1", ""), ("::1", "127.0.0.1")],
)
def test_these_are_not(one: str, other: str):
    assert peer(one) != peer(other)


def test_words_are_told_apart_whatever_their_length():
    assert short("a", "bc") != short("ab", "c")
    assert len(short("x" * 1_000_000)) == len(short("")) == 64
