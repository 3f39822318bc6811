"""`metrics.json` keeps to the schema that is shipped; a validator of the few keywords that it uses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from doubles import BrightnessJudge, Careless, editor_of, evaluate, plain_faces

from visagist import evaluation
from visagist.evaluation.results import SCHEMA_VERSION

SCHEMA: dict[str, Any] = json.loads((Path(evaluation.__file__).parent / "metrics.schema.json").read_text())
KINDS = {"object": dict, "array": list, "string": str, "number": (int, float), "integer": int, "null": type(None)}
KNOWN = {
    "$schema", "$defs", "$ref", "title", "type", "const", "enum", "anyOf", "required", "properties", "additionalProperties",
    "items", "minimum", "maximum",
}  # fmt: skip


def faults(value: Any, schema: dict[str, Any], at: str = "") -> list[str]:
    """What of the value is not as the schema has it."""
    assert set(schema) <= KNOWN, "a keyword that this validator does not know"
    if "$ref" in schema:
        return faults(value, SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]], at)
    if "anyOf" in schema:
        return [] if any(not faults(value, one, at) for one in schema["anyOf"]) else [f"{at}: none of several"]
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if kinds and not any(isinstance(value, KINDS[kind]) and not isinstance(value, bool) for kind in kinds):
        return [f"{at}: {type(value).__name__}, not {kinds}"]
    found = [f"{at} lacks {key}" for key in schema.get("required", ()) if key not in value]
    if value not in schema.get("enum", [value]) or value != schema.get("const", value):
        found.append(f"{at}: {value!r}")
    if isinstance(value, (int, float)) and not schema.get("minimum", value) <= value <= schema.get("maximum", value):
        found.append(f"{at}: {value} is out of its range")
    if isinstance(value, dict):
        own, rest = schema.get("properties", {}), schema.get("additionalProperties", {})
        for key, part in value.items():
            inner = own.get(key, rest)
            found += [f"{at}.{key} is not in the schema"] if inner is False else faults(part, inner, f"{at}.{key}")
    if isinstance(value, list):
        found += [fault for i, part in enumerate(value) for fault in faults(part, schema.get("items", {}), f"{at}[{i}]")]
    return found


@pytest.fixture(scope="module")
def written() -> dict[str, Any]:
    faces = plain_faces(60)
    one_class = faces.take(np.flatnonzero(faces.labels[:, 0]))
    for part in (faces, one_class):
        metrics = evaluate(editor_of(Careless()), part, judge=BrightnessJudge()).to_json()
        assert faults(json.loads(json.dumps(metrics)), SCHEMA) == []
    return json.loads(json.dumps(metrics))


def test_what_is_written_keeps_to_the_schema_of_its_version(written: dict[str, Any]) -> None:
    assert SCHEMA["properties"]["schema_version"]["const"] == SCHEMA_VERSION == written["schema_version"]


def test_what_is_not_as_it_should_be_is_found(written: dict[str, Any]) -> None:
    key = next(iter(written["metrics"]))
    for damage in ({"n": 0}, {"value": None}, {"extra": 1}):
        other = {**written, "metrics": {key: {**written["metrics"][key], **damage}}}
        assert len(faults(other, SCHEMA)) == 1
    assert faults({**written, "schema_version": 2}, SCHEMA) == [".schema_version: 2"]
    assert faults({k: v for k, v in written.items() if k != "manifest"}, SCHEMA) == [" lacks manifest"]
