import pytest
from hypothesis import given
from hypothesis import strategies as st

from airspace_server.core.errors import ApiError, Reason
from airspace_server.flyte.filters import MAX_LENGTH, Filter, Function, parse


def test_no_text_is_no_filter():
    assert parse("") == []


@pytest.mark.parametrize(
    ("text", "filters"),
    [
        ("eq(identifier,vision)", [Filter("", "identifier", Function.EQ, ("vision",))]),
        ("ne(state, 1)", [Filter("", "state", Function.NE, ("1",))]),
        ("eq(workflow.name,a.b)", [Filter("workflow", "name", Function.EQ, ("a.b",))]),
        ("eq(version,1.0+build)", [Filter("", "version", Function.EQ, ("1.0+build",))]),
        ("contains(abort_cause,a, b\nc)", [Filter("", "abort_cause", Function.CONTAINS, ("a, b\nc",))]),
        (
            "value_in(execution_tag.key,eager-exec)+value_in(phase,UNDEFINED;QUEUED;RUNNING)",
            [
                Filter("execution_tag", "key", Function.VALUE_IN, ("eager-exec",)),
                Filter("", "phase", Function.VALUE_IN, ("UNDEFINED", "QUEUED", "RUNNING")),
            ],
        ),
        (
            "gte(created_at,2024-01-01T00:00:00Z)+lt(created_at,2024-02-01T00:00:00+00:00)+not_like(name,.flytegen%)",
            [
                Filter("", "created_at", Function.GTE, ("2024-01-01T00:00:00Z",)),
                Filter("", "created_at", Function.LT, ("2024-02-01T00:00:00+00:00",)),
                Filter("", "name", Function.NOT_LIKE, (".flytegen%",)),
            ],
        ),
    ],
)
def test_filters_as_flytes_clients_write_them_are_read(text, filters):
    assert parse(text) == filters


@pytest.mark.parametrize(
    "text",
    [
        "eq(name)",
        "eq(name,)",
        "eq(,a)",
        "eq name,a",
        "like(name,a)",
        "EQ(name,a)",
        "eq(name,a;b)",
        "value_in(name,a;;b)",
        "value_in(name,;)",
        "eq(name,a) ",
        "eq(name,a(b))",
        "eq(name,a)eq(name,b)",
        "+eq(name,a)",
        "eq(name,a)+",
        "eq(a.b.c,d)",
        "eq(na'me,a)",
        "eq(name,a" + "a" * MAX_LENGTH + ")",
    ],
)
def test_what_cannot_be_read_is_refused(text):
    with pytest.raises(ApiError) as caught:
        parse(text)
    assert caught.value.reason is Reason.INVALID_FIELD
    assert caught.value.field == "filters"


WORDS = st.text("abc_", min_size=1, max_size=5)
VALUES = st.text(st.characters(blacklist_characters=";()", blacklist_categories=["Cs"]), min_size=1).filter(
    lambda value: not value.startswith(" ")
)


@given(
    st.lists(
        st.builds(
            lambda e, f, v: Filter(e, f, Function.VALUE_IN, tuple(v)),
            st.just("") | WORDS,
            WORDS,
            st.lists(VALUES, min_size=1),
        ),
        max_size=4,
    )
)
def test_written_filters_are_read_as_they_were_meant(filters):
    def written(each):
        name = f"{each.entity}.{each.field}" if each.entity else each.field
        return f"{each.function}({name},{';'.join(each.values)})"

    assert parse("+".join(map(written, filters))) == filters


@given(st.text("eqvalu_in(),;+ab. ", max_size=40))
def test_any_text_is_read_or_refused(text):
    try:
        found = parse(text)
    except ApiError:
        return
    assert (found == []) == (text == "")
