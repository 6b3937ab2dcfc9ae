"""Flyte's data proxy: where uploads go, and which downloads are signed."""

import hashlib
import re
from urllib.parse import urlsplit

import pytest
from flyteidl.service import dataproxy_pb2
from google.protobuf.duration_pb2 import Duration
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airspace_server.artifacts.flyte import DataProxy, scope_of_native_url
from airspace_server.artifacts.store import segment_problem
from airspace_server.core.errors import ApiError, Reason
from airspace_server.core.scope import Scope

SCOPE = Scope("fraud", "development")
MD5 = hashlib.md5(b"content").digest()
MAX_UPLOAD = 1 << 20
DOMAINS = ("development", "staging", "production")
CALL = object()


@pytest.fixture
def proxy(store, signer, clock) -> DataProxy:
    return DataProxy(store, signer, "http://127.0.0.1:1", clock, MAX_UPLOAD, DOMAINS, lambda _: None)


def upload(**fields) -> dataproxy_pb2.CreateUploadLocationRequest:
    return dataproxy_pb2.CreateUploadLocationRequest(**({"project": "fraud", "domain": "development"} | fields))


def download(url: str, **fields) -> dataproxy_pb2.CreateDownloadLocationRequest:
    return dataproxy_pb2.CreateDownloadLocationRequest(native_url=url, **fields)


def refused_field(call, request) -> str:
    with pytest.raises(ApiError) as caught:
        call(request, CALL)
    assert caught.value.reason is Reason.INVALID_FIELD
    return caught.value.field


def granted(signer, method, signed_url):
    parts = urlsplit(signed_url)
    project, domain, path = parts.path.removeprefix("/artifacts/").split("/", 2)
    return signer.verify(method, Scope(project, domain), path, parts.query)


def test_a_code_archive_goes_below_its_md5(proxy, signer, clock, root):
    answer = proxy.CreateUploadLocation(upload(filename="fast.tar.gz", content_md5=MD5), CALL)
    assert answer.native_url == f"{root}/fraud/development/uploads/{MD5.hex()}/fast.tar.gz"
    assert answer.signed_url.startswith("http://127.0.0.1:1/artifacts/fraud/development/uploads/")
    assert dict(answer.headers) == {}
    assert answer.expires_at.ToSeconds() == clock.after(3600)
    grant = granted(signer, "PUT", answer.signed_url)
    assert (grant.md5, grant.limit, grant.expires_at) == (MD5, MAX_UPLOAD, clock.after(3600))


def test_the_files_of_a_folder_go_below_the_root_that_the_client_names(proxy, root):
    one, two = (
        proxy.CreateUploadLocation(upload(filename=name, content_md5=MD5, filename_root="GEZDGNBV=="), CALL).native_url
        for name in ("a.csv", "b.csv")
    )
    assert (one, two) == tuple(f"{root}/fraud/development/uploads/GEZDGNBV==/{name}" for name in ("a.csv", "b.csv"))


def test_a_dataframe_without_name_and_md5_gets_a_random_name_each_time(proxy, signer, root):
    answers = [proxy.CreateUploadLocation(upload(filename_root="00000"), CALL) for _ in range(3)]
    assert len({answer.native_url for answer in answers}) == 3
    for answer in answers:
        assert re.fullmatch(f"{root}/fraud/development/uploads/00000/[0-9a-f]{{32}}", answer.native_url)
        assert granted(signer, "PUT", answer.signed_url).md5 is None


@pytest.mark.parametrize(
    ("field", "fields"),
    [
        ("project", {"project": "", "content_md5": MD5}),
        ("project", {"project": "..", "content_md5": MD5}),
        ("project", {"project": "fraud/production", "content_md5": MD5}),
        ("domain", {"domain": "", "content_md5": MD5}),
        ("domain", {"domain": "Development", "content_md5": MD5}),
        ("org", {"org": "acme", "content_md5": MD5}),
        ("content_md5", {"filename": "x"}),
        ("content_md5", {"content_md5": MD5[:15]}),
        ("content_md5", {"content_md5": MD5.hex().encode(), "filename_root": "x"}),
        ("filename", {"filename": "..", "content_md5": MD5}),
        ("filename", {"filename": "a/b", "content_md5": MD5}),
        ("filename", {"filename": "../../production/uploads/x", "content_md5": MD5}),
        ("filename", {"filename": "a\\b", "content_md5": MD5}),
        ("filename", {"filename": "a\0b", "content_md5": MD5}),
        ("filename", {"filename": "x" * 256, "content_md5": MD5}),
        ("filename_root", {"filename_root": ".."}),
        ("filename_root", {"filename_root": "a/b"}),
        ("filename_root", {"filename_root": "/etc"}),
        ("filename_root", {"filename_root": " "}),
        ("expires_in", {"content_md5": MD5, "expires_in": Duration()}),
        ("expires_in", {"content_md5": MD5, "expires_in": Duration(seconds=-1)}),
        ("expires_in", {"content_md5": MD5, "expires_in": Duration(nanos=-1)}),
        ("expires_in", {"content_md5": MD5, "expires_in": Duration(seconds=3600, nanos=1)}),
        ("expires_in", {"content_md5": MD5, "expires_in": Duration(seconds=2**62)}),
        ("expires_in", {"content_md5": MD5, "expires_in": Duration(seconds=10, nanos=-5)}),
    ],
)
def test_an_upload_that_cannot_be_is_refused_naming_the_field(proxy, field, fields):
    assert refused_field(proxy.CreateUploadLocation, upload(**fields)) == field


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(filename=st.text(), root_name=st.text())
def test_any_upload_lies_below_uploads_in_its_own_scope_or_is_refused(proxy, store, filename, root_name):
    names = {"filename": filename, "filename_root": root_name}
    request = upload(content_md5=MD5, **names)
    if bad := {name for name, value in names.items() if value and segment_problem(value)}:
        assert refused_field(proxy.CreateUploadLocation, request) in bad
        return
    scope, path = store.locate(proxy.CreateUploadLocation(request, CALL).native_url)
    assert scope == SCOPE
    assert path.split("/")[:2] == ["uploads", root_name or MD5.hex()]
    assert path.count("/") == 2


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [(Duration(seconds=60), 60), (Duration(nanos=1), 1), (Duration(seconds=59, nanos=5), 60), (None, 3600)],
)
def test_a_url_lives_as_long_as_asked_in_whole_seconds(proxy, signer, clock, root, asked, seconds):
    put = proxy.CreateUploadLocation(upload(content_md5=MD5, expires_in=asked), CALL)
    get = proxy.CreateDownloadLocation(download(f"{root}/fraud/development/x", expires_in=asked), CALL)
    for method, answer in (("PUT", put), ("GET", get)):
        assert answer.expires_at.ToSeconds() == clock.after(seconds)
        assert answer.expires_at.nanos == 0
        assert granted(signer, method, answer.signed_url).expires_at == clock.after(seconds)


def test_a_download_of_what_lies_in_the_store_is_signed_whether_or_not_it_is_there(proxy, signer, store):
    store.write(SCOPE, "there", [b"x"], 10)
    for path in ("there", "missing"):
        answer = proxy.CreateDownloadLocation(download(store.native_url(SCOPE, path)), CALL)
        grant = granted(signer, "GET", answer.signed_url)
        assert (grant.method, grant.scope, grant.path, grant.limit) == ("GET", SCOPE, path, 0)


def test_the_scope_of_a_download_is_where_its_url_lies(store, root):
    assert scope_of_native_url(store, f"{root}/ads/production/any/thing") == Scope("ads", "production")


def test_a_url_outside_the_store_is_refused_without_saying_what_exists(proxy, store, root, tmp_path):
    (tmp_path / "there").write_bytes(b"x")
    said = set()
    for url in ("", "/etc/passwd", f"{tmp_path}/there", f"{tmp_path}/missing", f"{root}/../there", f"{root}/a/b/../x"):
        with pytest.raises(ApiError) as caught:
            scope_of_native_url(store, url)
        said.add((caught.value.reason, caught.value.field, caught.value.message, str(caught.value.metadata)))
        assert refused_field(proxy.CreateDownloadLocation, download(url)) == "native_url"
    ((reason, field, message, _),) = said
    assert (reason, field) == (Reason.INVALID_FIELD, "native_url")
    assert str(tmp_path) not in message


def test_a_base_url_may_end_with_a_slash(store, signer, clock):
    proxy = DataProxy(store, signer, "https://airspace.example.org/", clock, MAX_UPLOAD, DOMAINS, lambda _: None)
    answer = proxy.CreateUploadLocation(upload(content_md5=MD5), CALL)
    assert answer.signed_url.startswith("https://airspace.example.org/artifacts/")


def test_what_the_proxy_signs_works_at_the_door(door, store, signer, clock):
    proxy = DataProxy(store, signer, door.base_url, clock, MAX_UPLOAD, DOMAINS, lambda _: None)
    put = proxy.CreateUploadLocation(upload(filename="a b.tar.gz", content_md5=MD5), CALL)
    assert door.client.put(put.signed_url, content=b"content").status_code == 200
    get = proxy.CreateDownloadLocation(download(put.native_url), CALL)
    assert door.client.get(get.signed_url).content == b"content"
    clock.advance(3600)
    assert door.client.get(get.signed_url).status_code == 403
    assert door.client.put(put.signed_url, content=b"content").status_code == 403
