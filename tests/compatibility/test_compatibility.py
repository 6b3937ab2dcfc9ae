"""The published matrix holds for the newest flytekit; `make compatibility` asks the older ones as well."""

from pathlib import Path

from e2e_server import BIN, Server
from matrix import DOCUMENT, column, document, drive, newest
from outcomes import ABSENT, DIFFERS, REFUSED, WORKS, Outcome


def test_what_is_refused_or_differs_or_is_absent_is_told_apart_and_found_again():
    columns = {
        "old": [Outcome("a", "x", REFUSED, "no"), Outcome("a", "y", ABSENT), Outcome("b", "z", DIFFERS, "late")],
        "new": [Outcome("a", "x", WORKS), Outcome("a", "y", REFUSED, "no"), Outcome("b", "z", WORKS)],
    }

    text = document(columns)

    assert column("old", text) == {("a", "x"): "refused: no", ("a", "y"): "-", ("b", "z"): "differs: late"}
    assert column("new", text) == {("a", "x"): "works", ("a", "y"): "refused: no", ("b", "z"): "works"}


def test_the_newest_flytekit_does_what_the_published_matrix_says(tmp_path: Path):
    server = Server(tmp_path / "data")
    try:
        outcomes = drive(server, BIN / "python", "fk-1", tmp_path)
    finally:
        assert server.stop() == 0

    assert column(newest(), document({newest(): outcomes})) == column(newest(), DOCUMENT.read_text())
