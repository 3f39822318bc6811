"""JSON from files is what its type declares, or is refused in one line that names file, field, value and remedy."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visagist.boundary.schema import Bounds, Open, Pattern, json_text, parse_json, read_json, read_object
from visagist.errors import VisagistError


@dataclass(frozen=True)
class Knot:
    strength: float
    amount: float = 0.5


@dataclass(frozen=True)
class Record(Open):
    name: Annotated[str, Bounds(1, 10)]
    width: Annotated[int, Bounds(1, 4096)]
    form: Literal["plain", "deep"] = "plain"
    knots: tuple[Knot, ...] = ()
    pair: tuple[int, str] | None = None
    maps: Mapping[str, float] | None = None
    digest: Annotated[str, Pattern("[0-9a-f]{4}", "four digits")] | None = None


WHOLE = {"name": "a", "width": 3}
OTHER = "take another file"


def refused(data: bytes, kind: Any = Record) -> str:
    with pytest.raises(VisagistError) as error:
        parse_json(data, kind, "some.json", OTHER)
    text = str(error.value)
    assert "some.json" in text
    assert text.endswith(OTHER)
    assert "\n" not in text
    return text


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b'{"a": NaN}', "holds NaN, which is no number of JSON"),
        (b'{"a": -Infinity}', "holds -Infinity"),
        (b'{"a": 1e999}', "the number 1e999 is too large"),
        (b'{"a": ' + b"9" * 5000 + b"}", "is too large"),
        (b'{"a": 1, "a": 2}', "the key 'a' is there twice"),
        (b"[" * 100 + b"]" * 100, "nested deeper than 64"),
        (b"[" * 500_000, "nested deeper than 64"),
        (b'{"a": "\xff"}', "it is not UTF-8 (byte 7)"),
        (b"\xef\xbb\xbf{}", "byte-order mark"),
        ('{"a": 1}'.encode("utf-16"), "it is not UTF-8"),
        (b"", "it is no JSON"),
        (b"{} {}", "it is no JSON"),
        (b'{"a": 1,}', "it is no JSON"),
    ],
)
def test_text_that_is_no_strict_json_is_refused(data: bytes, says: str) -> None:
    assert says in refused(data, Any)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"name": None}, "name: null is not text"),
        ({"name": ""}, "name: it has length 0, and must be at least 1 and at most 10"),
        ({"name": "\ud800"}, "is no text of Unicode"),
        ({"width": "3"}, "width: '3' is not a whole number"),
        ({"width": True}, "width: true is not a whole number"),
        ({"width": 3.0}, "width: 3.0 is not a whole number"),
        ({"width": 5000}, "width: it is 5000, and must be at least 1 and at most 4,096"),
        ({"form": "round"}, "form: 'round' is not 'plain' or 'deep'"),
        ({"knots": {}}, "knots: an object is not a list"),
        ({"knots": [{"strength": "x"}]}, "knots[0].strength: 'x' is not a number"),
        ({"knots": [{}]}, "knots[0]: it lacks strength"),
        ({"knots": [{"strength": 1, "sense": 2}]}, "knots[0]: there is no field 'sense'"),
        ({"pair": [1]}, "pair: it has 1 values, not 2"),
        ({"maps": {"a b": []}}, "maps.'a b': a list is not a number"),
        ({"digest": "xyz"}, "digest: 'xyz' is not four digits"),
    ],
)
def test_a_field_of_another_kind_is_named_with_what_was_got(changes: dict[str, Any], says: str) -> None:
    assert says in refused(json.dumps({**WHOLE, **changes}).encode())


def test_a_record_comes_back_typed_and_may_have_more_fields_where_it_is_open() -> None:
    text = json.dumps({**WHOLE, "knots": [{"strength": 1}], "pair": [1, "b"], "maps": {"c": 2}, "later": [None]})
    assert parse_json(text, Record, "", "") == Record("a", 3, knots=(Knot(1.0),), pair=(1, "b"), maps={"c": 2.0})


def test_a_file_is_read_up_to_its_limit_and_no_further(tmp_path: Path) -> None:
    path = tmp_path / "large.json"
    with path.open("wb") as file:
        file.truncate(100 * 2**20)
    with pytest.raises(VisagistError, match="it is larger than 16 MiB; take another file"):
        read_json(path, Any, OTHER)
    with pytest.raises(VisagistError, match="is a device, not a file"):
        read_json(Path("/dev/zero"), Any, OTHER)
    with pytest.raises(VisagistError, match="is a folder, not a file"):
        read_json(tmp_path, Any, OTHER)
    with pytest.raises(FileNotFoundError):
        read_json(tmp_path / "nowhere", Any, OTHER)


def test_an_object_is_given_as_it_stands_once_it_was_checked(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps({**WHOLE, "later": [1]}))
    assert read_object(tmp_path / "a.json", Record, OTHER) == {**WHOLE, "later": [1]}


def test_what_is_not_finite_is_not_written_and_is_named() -> None:
    with pytest.raises(VisagistError, match=r"loss\.decoder\[1\] is not finite, so it is not written"):
        json_text({"loss": {"decoder": [1.0, float("nan")]}})


leaves = st.sampled_from([None, True, 0, -1, 3, 2**70, 0.5, float("nan"), float("inf"), "", "a", "\ud800", "plain"])
values = st.recursive(leaves, lambda part: st.lists(part, max_size=3) | st.dictionaries(leaves.map(str), part, max_size=2))
FIELDS = ["name", "width", "form", "knots", "pair", "maps", "digest"]


def one_line_or_none(data: bytes) -> str:
    """What the error says, if any."""
    try:
        parse_json(data, Record, "some.json", OTHER)
    except VisagistError as error:
        return str(error)
    return OTHER


@given(changes=st.dictionaries(st.sampled_from(FIELDS), values))
def test_any_values_are_taken_or_refused(changes: dict[str, Any]) -> None:
    assert one_line_or_none(json.dumps({**WHOLE, **changes}).encode()).endswith(OTHER)


@given(data=st.binary(max_size=40))
def test_any_bytes_are_taken_or_refused(data: bytes) -> None:
    assert "\n" not in one_line_or_none(data)
