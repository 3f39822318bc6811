"""Convert `--set key=value` into typed fields of frozen dataclasses."""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal, Union

from visagist.errors import VisagistError, nearest

_FILE = "file"
_TRUTHS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
_EXPECTED = {bool: "true or false", int: "a whole number", float: "a number", str: "a word"}


def parse_pairs(pairs: Sequence[str]) -> dict[str, str]:
    """`["width=32", "schedule=cosine"]` as a mapping; a pair without `=` and a key named twice are VisagistErrors."""
    values: dict[str, str] = {}
    for pair in pairs:
        key, separator, value = (part.strip() for part in pair.partition("="))
        if not separator or not key or not value:
            example = f", as in {key}=…" if key else ""
            raise VisagistError(f"--set {pair!r} is no setting: write key=value{example}")
        if key in values:
            raise VisagistError(f"--set {key} is given twice, {values[key]} and {value}: give it once")
        values[key] = value
    return values


def apply_settings(settings: Mapping[str, Any], groups: Mapping[str, Any]) -> dict[str, Any]:
    """The groups (a name to a frozen dataclass) with these fields replaced, each converted to the type of its field.

    A key is a field's name; where two groups have that field it is `group.field`. Values are text from a command line or
    Python values. Raises VisagistError for an unknown key, an ambiguous one, and a value of the wrong type.
    """
    changes: dict[str, dict[str, Any]] = {name: {} for name in groups}
    for key, value in settings.items():
        group, field = _find_field(key, groups)
        if field in changes[group]:
            raise VisagistError(f"setting {field!r} is given twice: give it once")
        changes[group][field] = _convert_field(key, value, groups[group], field)
    return {name: dataclasses.replace(group, **changes[name]) for name, group in groups.items()}


def _find_field(key: str, groups: Mapping[str, Any]) -> tuple[str, str]:
    """The group that a key means, and its field."""
    group, dot, field = key.partition(".")
    if dot and group in groups and field in _fields(groups[group]):
        return group, field
    homes = [name for name, value in groups.items() if key in _fields(value)]
    if len(homes) > 1:
        raise VisagistError(f"setting {key!r} means {' or '.join(f'{home}.{key}' for home in homes)}: write which")
    if not homes:
        known = [field for value in groups.values() for field in _fields(value)]
        raise VisagistError(f"no setting {key!r}: {nearest(key.rpartition('.')[2], known)}")
    return homes[0], key


def _fields(group: Any) -> dict[str, dataclasses.Field[Any]]:
    return {field.name: field for field in dataclasses.fields(group)}


def _convert_field(key: str, value: Any, group: Any, field: str) -> Any:
    kind = typing.get_type_hints(type(group))[field]
    converted = convert(key, value, kind)
    default = _fields(group)[field].default
    if isinstance(converted, int) and not isinstance(converted, bool):
        least = least_value(default)
        if converted < least:
            raise VisagistError(f"setting {key} is {converted}: give a whole number from {least} on")
    return converted


def file_setting() -> Any:
    """A field that names a file on this machine, or None; what a model from outside names is not opened."""
    return dataclasses.field(default=None, metadata={_FILE: True})


def forget_files(settings: Mapping[str, Any], kind: Any, kept: Collection[str]) -> dict[str, Any]:
    """The settings of a dataclass with None for each file that they name; words that are `kept` name none."""
    files = {field.name for field in dataclasses.fields(kind) if field.metadata.get(_FILE)}
    return {name: None if name in files and value not in kept else value for name, value in settings.items()}


def least_value(default: Any) -> int:
    """The smallest value of a whole-number setting: 1 where the default is positive."""
    if not isinstance(default, int):
        return 0
    return 1 if default > 0 else default


def convert(key: str, value: Any, kind: Any) -> Any:
    """`value` as `kind`: bool, int, float, str, a Literal, a tuple of one of them, or any of these or None."""
    origin, members = typing.get_origin(kind), typing.get_args(kind)
    if origin in (Union, types.UnionType):
        if value is None or (isinstance(value, str) and value.lower() == "none"):
            return None
        return convert(key, value, next(member for member in members if member is not type(None)))
    if origin is Literal:
        if value not in members:
            raise VisagistError(f"setting {key} is {value!r}: {nearest(str(value), [str(m) for m in members])}")
        return value
    if origin is tuple:
        parts = value.split(",") if isinstance(value, str) else value
        if not isinstance(parts, list | tuple) or not parts:
            raise VisagistError(f"setting {key} is {value!r}: give values with commas between them")
        return tuple(convert(key, part, members[0]) for part in parts)
    converted = _convert_scalar(value, kind)
    if converted is None:
        raise VisagistError(f"setting {key} is {value!r}: give {_EXPECTED.get(kind, str(kind))}")
    return converted


def _convert_scalar(value: Any, kind: Any) -> Any:
    """The value as a bool, int, float or str; None where it cannot be one."""
    if isinstance(value, str):
        if kind is bool:
            return _TRUTHS.get(value.lower())
        try:
            number = kind(value)
        except ValueError:
            return None
        return number if kind is not float or math.isfinite(number) else None
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value) if math.isfinite(value) else None
    return value if type(value) is kind else None
