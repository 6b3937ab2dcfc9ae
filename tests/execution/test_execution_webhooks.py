"""Webhooks reach what is public, and of the operator's network what the operator has named; nothing else is asked."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from deployment_tls import certificate
from notification_receivers import Receiver, receiving

from airspace_server.core.notifications import (
    LONGEST_WAIT_US,
    NotTakenError,
    Reachable,
    UndeliverableError,
    email_problem,
    told,
    wait,
)
from airspace_server.execution import webhooks
from airspace_server.execution.webhooks import Webhooks

INSIDE = Reachable(["127.0.0.0/8", "10.1.0.0/16"])


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


@pytest.fixture
def resolve(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Let every name have these addresses, the next ones each time it is asked for; the names that were."""
    asked: list[str] = []
    real = socket.getaddrinfo

    def resolving(*answers: tuple[str, ...]) -> list[str]:
        left = list(answers)

        def getaddrinfo(host: str, port: int, *kinds: Any, **named: Any) -> list[Any]:
            if host[0].isdigit():  # an address, of which nothing is asked
                return real(host, port, *kinds, **named)
            asked.append(host)
            found = left.pop(0) if len(left) > 1 else left[0]
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in found]

        monkeypatch.setattr(webhooks.socket, "getaddrinfo", getaddrinfo)
        return asked

    return resolving


# --- what is reachable


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "169.254.169.254", "0.0.0.0"),
        *("224.0.0.1", "255.255.255.255", "240.0.0.1", "192.0.2.1", "198.18.0.1"),
        *("::1", "::", "fe80::1", "fc00::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1"),
        *("2002:7f00:1::", "64:ff9b::7f00:1", "64:ff9b:1::1", "2001:0:7f00:1::", "2001:db8::1"),
    ],
)
def test_nothing_is_sent_to_an_address_that_is_not_public(address: str):
    assert Reachable().address_problem(address, encrypted=True)


def test_link_local_addresses_are_never_reached_whatever_is_allowed():
    for networks in (["0.0.0.0/0"], ["169.254.169.254/32"], ["::/0"], ["fe80::/64"]):
        with pytest.raises(ValueError, match="link-local"):
            Reachable(networks)
    with pytest.raises(ValueError, match="link-local"):
        Reachable(["169.254.0.0/17"])
    assert INSIDE.address_problem("169.254.169.254", encrypted=True)


def test_public_addresses_are_reached_over_https_and_the_operators_over_http_too():
    assert Reachable().address_problem("8.8.8.8", encrypted=False)
    assert Reachable().address_problem("8.8.8.8", encrypted=True) is None
    assert Reachable().address_problem("2606:4700::1111", encrypted=True) is None
    assert INSIDE.address_problem("8.8.8.8", encrypted=False)
    assert INSIDE.address_problem("10.1.2.3", encrypted=False) is None
    assert INSIDE.address_problem("10.2.0.1", encrypted=True)
    assert INSIDE.address_problem("::ffff:10.1.2.3", encrypted=False) is None


@pytest.mark.parametrize(
    "url",
    [
        *("", "example.com", "//example.com/", "http://example.com/", "file:///etc/passwd", "gopher://example.com/"),
        *(
            "https://",
            "https:///path",
            "https://user@example.com/",
            "https://:pw@example.com/",
            "https://example.com/#x",
        ),
        *(
            "https://exa mple.com/",
            "https://example.com/\r\nX: y",
            "https://example.com:99999/",
            "https://example.com:0/",
        ),
        *(
            "https://ex\u00e4mple.com/",
            "https://example.com\\@evil.example/",
            "https://[fe80::1%25eth0]/",
            "https://[::1/",
        ),
        *("https://127.0.0.1/", "https://[::1]/", "https://_.example.com/", f"https://example.com/{'x' * 2000}"),
    ],
)
def test_a_url_that_leads_nowhere_or_inside_is_refused(url: str):
    assert Reachable().url_problem(url)
    assert Reachable().url_problem("https://example.com:8443/hook?token=x") is None
    assert (
        INSIDE.url_problem("http://inside.example.com/") is None
    )  # what it leads to is looked at when it is posted to


# --- a post


def test_a_name_that_leads_inside_is_not_connected_to(receiver: Receiver, resolve):
    resolve(("127.0.0.1",))
    with pytest.raises(UndeliverableError, match="not a public address"):
        Webhooks(Reachable()).post(f"https://hooks.example.com:{receiver.port}/", {}, b"{}")
    resolve(("8.8.8.8", "127.0.0.1"))
    with pytest.raises(UndeliverableError, match="not a public address"):
        Webhooks(Reachable()).post(f"https://hooks.example.com:{receiver.port}/", {}, b"{}")
    resolve(("8.8.8.8",))
    with pytest.raises(UndeliverableError, match="https"):
        Webhooks(INSIDE).post(receiver.url("hooks.example.com"), {}, b"{}")
    assert receiver.received == []


def test_numbers_that_a_resolver_takes_for_an_address_lead_nowhere_either(receiver: Receiver):
    for host in ("2130706433", "0x7f000001", "127.1", "localhost"):
        with pytest.raises(UndeliverableError, match="not a public address"):
            Webhooks(Reachable()).post(f"https://{host}:{receiver.port}/", {}, b"{}")
    assert receiver.received == []


def test_a_name_is_resolved_once_and_the_address_that_was_looked_at_is_connected_to(receiver: Receiver, resolve):
    asked = resolve(("127.0.0.1",), ("169.254.169.254",))
    Webhooks(INSIDE).post(receiver.url("rebound.example.com"), {}, b"{}")
    assert asked == ["rebound.example.com"]
    (got,) = receiver.received
    assert got.headers["host"] == f"rebound.example.com:{receiver.port}"


def test_the_next_address_is_tried_where_one_is_dead(receiver: Receiver, resolve):
    resolve(("127.0.0.2", "127.0.0.1"))  # the receiver listens on the second alone
    Webhooks(INSIDE).post(receiver.url("hooks.example.com"), {}, b"{}")
    assert len(receiver.received) == 1


def test_a_proxy_of_the_environment_is_not_used(receiver: Receiver, monkeypatch: pytest.MonkeyPatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    Webhooks(INSIDE).post(receiver.url(), {}, b"{}")
    assert len(receiver.received) == 1


def test_an_answer_that_comes_a_byte_at_a_time_ends_at_the_deadline(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(webhooks, "SECONDS", 0.3)
    gone = threading.Event()

    def drip(handler: Any) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
        while not gone.wait(0.02):
            handler.wfile.write(b"x")

    receiver.before = drip
    try:
        with pytest.raises(NotTakenError, match="no answer"):
            Webhooks(INSIDE).post(receiver.url(), {}, b"{}")
    finally:
        gone.set()


def test_of_an_answer_nothing_but_the_status_is_read(receiver: Receiver):
    ended = threading.Event()

    def endless(handler: Any) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n")
        try:
            while True:
                handler.wfile.write(b"x" * 65536)
        except OSError:
            ended.set()
            raise

    receiver.before = endless
    Webhooks(INSIDE).post(receiver.url(), {}, b"{}")
    assert ended.wait(20)


def test_headers_without_an_end_are_refused(receiver: Receiver):
    def endless(handler: Any) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            handler.wfile.write(b"X: " + b"x" * 60000 + b"\r\n")

    receiver.before = endless
    with pytest.raises(NotTakenError):
        Webhooks(INSIDE).post(receiver.url(), {}, b"{}")


def test_nobody_who_listens_is_tried_again():
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        with pytest.raises(NotTakenError):
            Webhooks(INSIDE).post(f"http://127.0.0.1:{unheard.getsockname()[1]}/", {}, b"{}")


def test_a_certificate_must_be_the_names_and_trusted(tmp_path: Path, resolve):
    certificate(tmp_path / "c.pem", tmp_path / "k.pem")  # of localhost
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(tmp_path / "c.pem", tmp_path / "k.pem")
    trusting = ssl.create_default_context(cafile=str(tmp_path / "c.pem"))
    resolve(("127.0.0.1",))
    with receiving(server) as receiver:
        with pytest.raises(NotTakenError):
            Webhooks(INSIDE).post(f"https://localhost:{receiver.port}/", {}, b"{}")
        with pytest.raises(NotTakenError):
            Webhooks(INSIDE, trusting).post(f"https://hooks.example.com:{receiver.port}/", {}, b"{}")
        assert receiver.received == []
        Webhooks(INSIDE, trusting).post(f"https://localhost:{receiver.port}/", {}, b"{}")
        assert len(receiver.received) == 1


# --- words


@pytest.mark.parametrize(
    "address",
    [
        *(
            "",
            "ops",
            "@example.com",
            "ops@",
            "a@b@example.com",
            "ops@exa mple.com",
            "ops@-example.com",
            "ops@example..com",
        ),
        *(
            "ops@example.com\n",
            "ops@example.com\r\nBcc: x@example.com",
            "ops@example.com, x@example.com",
            "<ops@example.com>",
        ),
        *(
            '"a b"@example.com',
            "ops@[127.0.0.1]",
            ".ops@example.com",
            "\u00f6ps@example.com",
            f"{'o' * 65}@example.com",
        ),
        f"ops@{'e' * 60}.{'e' * 60}.{'e' * 60}.{'e' * 60}.{'e' * 60}.com",
    ],
)
def test_an_address_that_is_not_plain_is_refused(address: str):
    assert email_problem(address)
    assert email_problem("first.last+tag@mail.example.com") is None


def test_what_is_told_is_one_line_of_bounded_length():
    assert told("a\r\nBcc: b\x00\u2028c") == "a  Bcc: b  c"
    assert len(told("x" * 5000)) == 1000


@pytest.mark.parametrize("chance", [0.0, 0.5, 1.0])
def test_waits_double_up_to_a_bound(chance: float):
    waits = [wait(attempts, chance) for attempts in range(1, 100)]
    assert waits == sorted(waits)
    assert 2_500_000 <= waits[0] <= 5_000_000
    assert LONGEST_WAIT_US // 2 <= waits[-1] <= LONGEST_WAIT_US
