"""Finds a part of a msgpack document, which is how flytekit writes dataclasses, without decoding the rest of it.

The format: https://github.com/msgpack/msgpack/blob/master/spec.md
"""

from collections.abc import Iterable
from typing import Final

# Bytes of the length that follows the first byte, for strings, binaries and extensions; an extension has a type byte.
_LENGTHS: Final = {0xC4: 1, 0xC5: 2, 0xC6: 4, 0xC7: 1, 0xC8: 2, 0xC9: 4, 0xD9: 1, 0xDA: 2, 0xDB: 4}
_EXTENSIONS: Final = frozenset({0xC7, 0xC8, 0xC9})
# Bytes behind the first byte, for what has a fixed size: nil, booleans, numbers and fixed extensions.
_SIZES: Final = {
    0xC0: 0, 0xC2: 0, 0xC3: 0, 0xCA: 4, 0xCB: 8, 0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8,
    0xD0: 1, 0xD1: 2, 0xD2: 4, 0xD3: 8, 0xD4: 2, 0xD5: 3, 0xD6: 5, 0xD7: 9, 0xD8: 17,
}  # fmt: skip
_LISTS: Final = {0xDC: 2, 0xDD: 4}
_MAPS: Final = {0xDE: 2, 0xDF: 4}


class NoPartError(Exception):
    """The document has no such part, or is broken. The text fits behind the document's name."""


def part(data: bytes, keys: Iterable[str | int]) -> bytes:
    """Return the msgpack of the value that stands under the keys: text for entries of maps, numbers for items of lists.

    Raises NoPartError.
    """
    try:
        start = 0
        for key in keys:
            start = _entry(data, start, key)
        return data[start : _end(data, start)]
    except IndexError:
        raise NoPartError("is not well-formed msgpack") from None


def _entry(data: bytes, at: int, key: str | int) -> int:
    """Return where the value under `key` of the map or list at `at` begins."""
    kind, count, at = _head(data, at)
    for index in range(count if kind in ("list", "map") else 0):
        if kind == "map":
            found, at = _text(data, at) == key, _end(data, at)
        else:
            found = index == key
        if found:
            return at
        at = _end(data, at)
    raise NoPartError(f"has no {key!r}")


def _text(data: bytes, at: int) -> str | None:
    """Return the string at `at`, None for another kind of value."""
    kind, size, begin = _head(data, at)
    return data[begin : begin + size].decode(errors="replace") if kind == "text" else None


def _end(data: bytes, at: int) -> int:
    """Return where the value that begins at `at` ends."""
    left = 1
    while left:
        kind, count, at = _head(data, at)
        left -= 1
        if kind in ("list", "map"):
            left += count * (2 if kind == "map" else 1)
        else:
            at += count
    if at > len(data):
        raise IndexError
    return at


def _head(data: bytes, at: int) -> tuple[str, int, int]:
    """Return what begins at `at`, how many entries or bytes it has, and where they begin."""
    first, at = data[at], at + 1
    if first <= 0x7F or first >= 0xE0:
        return "number", 0, at
    if first <= 0x8F:
        return "map", first & 0x0F, at
    if first <= 0x9F:
        return "list", first & 0x0F, at
    if first <= 0xBF:
        return "text", first & 0x1F, at
    if first in _SIZES:
        return "fixed", _SIZES[first], at
    kind, sizes = ("list", _LISTS) if first in _LISTS else ("map", _MAPS) if first in _MAPS else ("bytes", _LENGTHS)
    if first not in sizes:
        raise NoPartError("is not well-formed msgpack")
    width = sizes[first]
    if at + width > len(data):
        raise IndexError
    count = int.from_bytes(data[at : at + width])
    if first in _EXTENSIONS:
        count += 1
    return ("text" if 0xD9 <= first <= 0xDB else kind), count, at + width
