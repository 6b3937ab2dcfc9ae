from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airspace_server.flyte.quantities import parse


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("0", 0),
        ("1", 1),
        ("500m", Fraction(1, 2)),
        ("1.5", Fraction(3, 2)),
        (".5", Fraction(1, 2)),
        ("1.", 1),
        ("2Gi", 2 * 2**30),
        ("2G", 2 * 10**9),
        ("1e3", 1000),
        ("1E-3", Fraction(1, 1000)),
        ("1E", 10**18),
        ("1n", Fraction(1, 10**9)),
        ("100k", 100_000),
    ],
)
def test_quantities_are_read_as_kubernetes_means_them(text, amount):
    assert parse(text) == amount


@pytest.mark.parametrize(
    "text", ["", ".", "-1", "+1", "1 Gi", "1gi", "1K", "1e", "1e999", "0x1", "\u0661", "1_0", "NaN", "1\n"]
)
def test_what_is_no_quantity_is_none(text):
    assert parse(text) is None


@given(st.integers(0, 10**12))
def test_the_same_amount_in_other_units_is_the_same(number):
    assert parse(f"{number}m") == Fraction(number, 1000)
    assert parse(f"{number}Ki") == parse(str(number * 1024))
