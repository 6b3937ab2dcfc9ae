"""Amounts of resources as Kubernetes writes them, compared exactly."""

import re
from fractions import Fraction
from typing import Final

_QUANTITY: Final = re.compile(
    r"(?P<number>[0-9]{1,18}(?:\.[0-9]{0,18})?|\.[0-9]{1,18})(?:(?P<suffix>[numkMGTPE]|[KMGTPE]i)|[eE](?P<exponent>[-+]?[0-9]{1,2}))?"
)
_SUFFIXES: Final = {
    "n": Fraction(1, 10**9),
    "u": Fraction(1, 10**6),
    "m": Fraction(1, 10**3),
    **{suffix: Fraction(10 ** (3 * power)) for power, suffix in enumerate("kMGTPE", start=1)},
    **{f"{suffix}i": Fraction(2 ** (10 * power)) for power, suffix in enumerate("KMGTPE", start=1)},
}


def parse(text: str) -> Fraction | None:
    """Return the amount that a Kubernetes quantity such as "500m", "2Gi" or "1e3" stands for; None if it is not one.

    Negative amounts are not taken: nothing here can be requested below zero.
    """
    match = _QUANTITY.fullmatch(text)
    if match is None:
        return None
    amount = Fraction(match["number"])
    if match["suffix"] is not None:
        amount *= _SUFFIXES[match["suffix"]]
    elif match["exponent"] is not None:
        amount *= Fraction(10) ** int(match["exponent"])
    return amount
