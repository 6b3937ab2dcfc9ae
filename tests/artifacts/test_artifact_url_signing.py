"""A signed URL allows what was signed, and every other use of it is denied in the same words."""

import hashlib
import hmac
import json
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airspace_server.artifacts.signing import MAX_LIFETIME, UrlGrant, UrlSigner
from airspace_server.core.errors import ApiError, Reason
from airspace_server.core.scope import Scope

SCOPE = Scope("fraud", "development")
NOW = 1_900_000_000
KEY = bytes(range(32))


def signer_at(second: float, key: bytes = KEY) -> UrlSigner:
    return UrlSigner(key, lambda: int(second * 10**6))


def query_of(url: str) -> str:
    return urlsplit(url).query


def denial(signer: UrlSigner, grant: UrlGrant, query: str) -> tuple[object, ...]:
    with pytest.raises(ApiError) as caught:
        signer.verify(grant.method, grant.scope, grant.path, query)
    error = caught.value
    assert error.reason is Reason.PERMISSION_MISSING
    return error.reason, error.message, dict(error.metadata), error.field


GRANTS = st.builds(
    UrlGrant,
    method=st.sampled_from(["GET", "PUT"]),
    scope=st.builds(Scope, st.text(min_size=1, max_size=5), st.text(min_size=1, max_size=5)),
    path=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20),
    expires_at=st.integers(NOW + 1, NOW + MAX_LIFETIME),
    limit=st.integers(0, 10**18 - 1),
    md5=st.none() | st.binary(min_size=16, max_size=16),
    page=st.none() | st.text("0123456789abcdef", min_size=32, max_size=32),
)


def test_the_url_has_the_path_quoted_and_says_its_terms():
    md5 = bytes(16)
    url = signer_at(NOW).sign(UrlGrant("PUT", SCOPE, "uploads/a b/ü?#%.gz", NOW + 60, 1000, md5))
    path, _, query = url.partition("?")
    assert path == "/artifacts/fraud/development/uploads/a%20b/%C3%BC%3F%23%25.gz"
    assert query.startswith(f"expires={NOW + 60}&limit=1000&md5={'0' * 32}&signature=")


@given(GRANTS.filter(lambda g: g.scope.project.isascii() and g.scope.domain.isascii()))
def test_what_was_signed_is_granted(grant):
    signer = signer_at(NOW)
    url = signer.sign(grant)
    assert signer.verify(grant.method, grant.scope, grant.path, query_of(url)) == grant
    assert unquote(url.partition("?")[0]) == f"/artifacts/{grant.scope}/{grant.path}"


@given(GRANTS, GRANTS)
def test_the_signature_of_one_grant_is_no_signature_of_another(grant, other):
    signer = signer_at(NOW)
    swapped = query_of(signer.sign(other)).partition("&signature=")[0]
    signature = query_of(signer.sign(grant)).partition("&signature=")[2]
    if grant != other:
        denial(signer, other, f"{swapped}&signature={signature}")


def test_every_way_of_being_wrong_gets_the_same_denial():
    grant = UrlGrant("PUT", SCOPE, "uploads/x/y", NOW + 60, 1000, bytes(16))
    signer = signer_at(NOW)
    query = query_of(signer.sign(grant))
    terms, _, signature = query.partition("&signature=")
    first = "1" if signature[0] == "0" else "0"

    def changed(**fields: object) -> UrlGrant:
        values = {name: getattr(grant, name) for name in UrlGrant.__slots__}
        return UrlGrant(**(values | fields))

    denials = [
        denial(signer, grant, ""),
        denial(signer, grant, "&"),
        denial(signer, grant, terms),
        denial(signer, grant, f"{terms}&signature="),
        denial(signer, grant, f"{terms}&signature={first}{signature[1:]}"),
        denial(signer, grant, f"{terms}&signature={signature[:-1]}"),
        denial(signer, grant, f"{terms}&signature={signature.upper()}é"),
        denial(signer, grant, f"{query}&more=1"),
        denial(signer, grant, f"{query}&{query}"),
        denial(signer, grant, query.replace("limit=1000", "limit=9999")),
        denial(signer, grant, query.replace(f"expires={NOW + 60}", f"expires={NOW + 61}")),
        denial(signer, grant, query.replace(f"&md5={'0' * 32}", "")),
        denial(signer, grant, query.replace(f"&md5={'0' * 32}", f"&md5={'1' * 32}")),
        denial(signer, grant, query.replace("limit=1000", "limit=-1")),
        denial(signer, grant, query.replace("limit=1000", "limit=" + "9" * 5000)),
        denial(signer, grant, query.replace("limit=1000", "limit=\u0661")),
        denial(signer, changed(method="GET"), query),
        denial(signer, changed(scope=Scope("fraud", "production")), query),
        denial(signer, changed(scope=Scope("ads", "development")), query),
        denial(signer, changed(path="uploads/x/z"), query),
        denial(signer, changed(path="uploads/x/y/"), query),
        denial(signer_at(NOW, bytes(32)), grant, query),
        denial(signer_at(NOW + 60), grant, query),
        denial(signer_at(NOW + 10**6), grant, query),
    ]
    assert all(one == denials[0] for one in denials)
    assert signer.verify("PUT", SCOPE, "uploads/x/y", query) == grant


def test_a_url_is_good_until_its_second_begins():
    grant = UrlGrant("GET", SCOPE, "x", NOW + 60)
    query = query_of(signer_at(NOW).sign(grant))
    assert signer_at(NOW + 59.999).verify("GET", SCOPE, "x", query) == grant
    denial(signer_at(NOW + 60), grant, query)


@pytest.mark.parametrize("lifetime", [-1, 0, MAX_LIFETIME + 1, 10**9])
def test_nothing_is_signed_for_longer_than_an_hour_or_for_no_time(lifetime):
    with pytest.raises(ValueError, match="at most an hour"):
        signer_at(NOW).sign(UrlGrant("GET", SCOPE, "x", NOW + lifetime))


@pytest.mark.parametrize("key", [b"", b"k" * 31])
def test_a_short_key_is_refused(key):
    with pytest.raises(ValueError, match="needs 32"):
        signer_at(NOW, key)


def test_the_key_itself_signs_nothing_that_is_taken():
    grant = UrlGrant("GET", SCOPE, "x", NOW + 60)
    signed = json.dumps(["GET", "fraud", "development", "x", NOW + 60, 0, None, None]).encode()
    denial(
        signer_at(NOW),
        grant,
        f"expires={NOW + 60}&limit=0&signature={hmac.new(KEY, signed, hashlib.sha256).hexdigest()}",
    )
