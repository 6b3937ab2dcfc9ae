"""What became of each command that a client was given. Runs in the environment of any flytekit."""

import contextlib
import json
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import grpc

WORKS, DIFFERS, REFUSED, ABSENT = "works", "differs", "refused", "not in this client"

_GENERATED = (
    (re.compile(r"\ba[a-z0-9]{19}\b"), "EXECUTION"),
    (re.compile(r"(?<=[: ])[A-Za-z0-9_-]{22}(?=[ ,])"), "VERSION"),
    (re.compile(r"127\.0\.0\.1:\d+"), "SERVER"),
    (re.compile(r"\b(fk|fc)-[0-9-]*[0-9]\b"), "PROJECT"),
    (re.compile(r"/\S+/artifacts\b"), "ARTIFACTS"),
)
_STATUS = re.compile(r"StatusCode\.(\w+)")
_DETAILS = re.compile(r"\bdetails\s*[=:]\s*\"?([^\"\n]+)", re.IGNORECASE)


class DiffersError(Exception):
    """The command went through, and did not do what it does against Flyte's own server."""


class RefusedError(Exception):
    """A program ended with an error; the text is what it printed."""


class AbsentError(Exception):
    """This client has no such command."""


@dataclass(frozen=True)
class Outcome:
    """What became of a command; `said` is empty where it works."""

    part: str
    command: str
    verdict: str
    said: str = ""


def expect(held: object, said: str) -> None:
    """Raise DiffersError, with what was seen, unless something held."""
    if not held:
        raise DiffersError(said)


class Commands:
    """The commands of one client, tried in the order in which they were declared."""

    def __init__(self) -> None:
        self._declared: list[tuple[str, str, Callable[[Any], object]]] = []

    def of(self, part: str, *names: str) -> Callable[[Callable[[Any], object]], Callable[[Any], object]]:
        """Declare that a function tries these commands of a part of the client, all of them in one call."""

        def declare(attempt: Callable[[Any], object]) -> Callable[[Any], object]:
            self._declared.extend((part, name, attempt) for name in names)
            return attempt

        return declare

    def tried(self, client: Any) -> Iterator[Outcome]:
        """Try every command and tell what became of it."""
        known: dict[Callable[[Any], object], tuple[str, str]] = {}
        for part, name, attempt in self._declared:
            if attempt not in known:
                known[attempt] = _verdict(attempt, client)
            verdict, said = known[attempt]
            yield Outcome(part, name, verdict, _without_generated_names(said))

    def tell(self, client: Any) -> None:
        """Try every command and print each outcome as a line of JSON."""
        out = sys.stdout
        with contextlib.redirect_stdout(sys.stderr):  # flytekit prints as well
            for outcome in self.tried(client):
                print(json.dumps(asdict(outcome)), file=out, flush=True)


def _verdict(attempt: Callable[[Any], object], client: Any) -> tuple[str, str]:
    try:
        attempt(client)
    except DiffersError as error:
        return DIFFERS, str(error)
    except AbsentError as error:
        return ABSENT, str(error)
    except RefusedError as error:
        return REFUSED, _printed_reason(str(error))
    except Exception as error:  # whatever a client does, the others' commands are tried
        traceback.print_exc(file=sys.stderr)
        return REFUSED, _reason(error)
    return WORKS, ""


def _printed_reason(text: str) -> str:
    """Return the status and the details that a program printed, else its last line."""
    status, details = _STATUS.search(text), _DETAILS.search(text)
    if details:
        return f"{status[1]}: {details[1]}" if status else details[1]
    lines = [line.strip("│ ") for line in text.splitlines() if not re.fullmatch(r"[\s╭╮╰╯─│]*", line)]
    return "".join(lines[-1:])


def _reason(error: BaseException) -> str:
    """Return the server's own words if it said any, else the client's."""
    found: BaseException | None = error
    while found is not None:
        if isinstance(found, grpc.RpcError):
            return f"{found.code().name}: {found.details()}"
        found = found.__cause__ or found.__context__
    return f"{type(error).__name__}: {str(error).strip().splitlines()[:1]}"


def _without_generated_names(said: str) -> str:
    for pattern, word in _GENERATED:
        said = pattern.sub(word, said)
    return said.strip()
