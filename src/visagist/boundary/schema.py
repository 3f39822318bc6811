"""JSON from files: strict text with limits becomes checked values of declared types, or a line that says what is wrong.

A type is declared as for a dataclass: bool, int, float, str, None, Any, a Literal, a union, tuple, list, Mapping or dict, a
dataclass, and `Annotated` with `Bounds` or `Pattern`. A dataclass that inherits `Open` may lie beside unknown fields.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import re
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, Union

from visagist.boundary.untrusted import open_regular
from visagist.errors import VisagistError
from visagist.settings import least_value

MOST_BYTES = 16 * 2**20
MOST_DEPTH = 64
MOST_INTEGER = 2**63 - 1
MOST_COUNT = 2**16
_SHOWN = 60
_KINDS = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}
T = TypeVar("T")


class Open:
    """A record that may have further fields, which another version or another part knows."""


@dataclasses.dataclass(frozen=True)
class Bounds:
    """Least and most: of a number, else of a length."""

    least: float | None = None
    most: float | None = None


@dataclasses.dataclass(frozen=True)
class Pattern:
    """A regular expression that a text matches as a whole, and what it is called."""

    expression: str
    called: str


Sha256 = Annotated[str, Pattern("[0-9a-f]{64}", "a SHA-256 in hexadecimal")]
Attributes = Annotated[tuple[Annotated[str, Bounds(1, 200)], ...], Bounds(0, 10_000)]
Count = Annotated[int, Bounds(0, 2**53)]


class Mismatch(ValueError):
    """A value that is not of its type: `field` is its path, `text` what it is and what it should be."""

    def __init__(self, field: str, text: str) -> None:
        super().__init__(f"{field}: {text}" if field else text)


@typing.overload
def read_json(path: Path, kind: type[T], remedy: str, most_bytes: int = ..., named: str = ...) -> T: ...
@typing.overload
def read_json(path: Path, kind: Any, remedy: str, most_bytes: int = ..., named: str = ...) -> Any: ...
def read_json(path: Path, kind: Any, remedy: str, most_bytes: int = MOST_BYTES, named: str = "") -> Any:
    """The JSON of a file, which errors call `named` or by its path, as `kind`; checked as for `parse_json` and `conform`.

    Raises VisagistError, ending with `remedy`, for a file that cannot be read, is too large, or holds something else, and
    FileNotFoundError where there is none, which may mean different things.
    """
    try:
        with open_regular(path) as file:
            data = file.read(most_bytes + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise VisagistError(f"cannot read {named or path}: {error.strerror or error}; {remedy}") from error
    return parse_json(data, kind, named or str(path), remedy, most_bytes)


def read_object(path: Path, kind: Any, remedy: str, most_bytes: int = MOST_BYTES) -> dict[str, Any]:
    """The JSON object of a file as it stands there, all its fields, once it was checked to be `kind`; as `read_json`."""
    there: dict[str, Any] = read_json(path, dict[str, Any], remedy, most_bytes)
    check(there, kind, str(path), remedy)
    return there


def parse_json(data: bytes | str, kind: Any, named: str, remedy: str, most_bytes: int = MOST_BYTES) -> Any:
    """JSON text as `kind`; VisagistError, which calls it `named`, for what is no strict JSON, and as `check`.

    Strict: UTF-8 without a mark before it, no NaN or Infinity, no number that overflows, no key twice, not too deep.
    """
    try:
        if len(data) > most_bytes:
            raise Mismatch("", f"it is larger than {most_bytes / 2**20:g} MiB")
        value = _load(data)
    except Mismatch as error:
        raise VisagistError(f"cannot read {named}: {error}; {remedy}") from error
    return check(value, kind, named, remedy)


def check(value: Any, kind: Any, named: str, remedy: str) -> Any:
    """A value of JSON as `kind`; VisagistError where it is not, with the field, what was got and what is needed."""
    try:
        return conform(value, kind)
    except Mismatch as error:
        raise VisagistError(f"{named} is damaged: {error}; {remedy}") from error


def json_text(value: Any, indent: int | None = None, *, ensure_ascii: bool = True, sort_keys: bool = False) -> str:
    """A value as JSON that `parse_json` reads; VisagistError where it holds a number that is not finite."""
    try:
        return json.dumps(value, indent=indent, ensure_ascii=ensure_ascii, sort_keys=sort_keys, allow_nan=False)
    except ValueError as error:
        raise VisagistError(f"{_not_finite(value) or 'a value'} is not finite, so it is not written: {error}") from error


def _not_finite(value: Any, field: str = "") -> str | None:
    """The path of the first number that is not finite."""
    if isinstance(value, float) and not math.isfinite(value):
        return field or "the value"
    parts: Any = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list | tuple) else ()
    return next((path for key, part in parts if (path := _not_finite(part, _field_path(field, key)))), None)


def _load(data: bytes | str) -> Any:
    try:
        text = data.decode("utf-8") if isinstance(data, bytes) else data
        if text.startswith("\ufeff"):
            raise Mismatch("", "it begins with a byte-order mark: save it as UTF-8 without")
        value = json.loads(
            text,
            object_pairs_hook=_make_object,
            parse_constant=_refuse_constant,
            parse_float=_parse_float,
            parse_int=_parse_integer,
        )
    except UnicodeDecodeError as error:
        raise Mismatch("", f"it is not UTF-8 (byte {error.start})") from error
    except json.JSONDecodeError as error:
        raise Mismatch("", f"it is no JSON ({error})") from error
    except RecursionError as error:
        raise Mismatch("", f"it is nested deeper than {MOST_DEPTH}") from error
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > MOST_DEPTH + 1:
            raise Mismatch("", f"it is nested deeper than {MOST_DEPTH}")
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
    return value


def _make_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise Mismatch("", f"the key {_show(twice)} is there twice")
    return members


def _refuse_constant(name: str) -> Any:
    raise Mismatch("", f"it holds {name}, which is no number of JSON")


def _parse_float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise Mismatch("", f"the number {text[:_SHOWN]} is too large")
    return number


def _parse_integer(text: str) -> int:
    if len(text) > 20 or abs(int(text)) > MOST_INTEGER:
        raise Mismatch("", f"the number {text[:_SHOWN]} is too large")
    return int(text)


def conform(value: Any, kind: Any, field: str = "") -> Any:
    """A value of JSON as `kind`, lists as the tuples that it declares and objects as its dataclasses; else Mismatch."""
    origin, members = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any or isinstance(kind, TypeVar):
        return value
    if origin is Annotated:
        inner, *rules = members
        return _check_rules(conform(value, inner, field), rules, field)
    if origin in (Union, types.UnionType):
        return _conform_union(value, members, field)
    if origin is Literal:
        if not any(value == member and type(value) is type(member) for member in members):
            raise _mismatch(value, " or ".join(repr(member) for member in members), field)
        return value
    if kind in (None, type(None)):
        if value is not None:
            raise _mismatch(value, "null", field)
        return None
    if kind in _KINDS:
        return _conform_scalar(value, kind, field)
    if dataclasses.is_dataclass(kind):
        return _conform_dataclass(value, kind, field)
    return _conform_sequence(value, kind, origin, members, field)


def _conform_scalar(value: Any, kind: Any, field: str) -> Any:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if kind is float and number and _is_finite(value):
        return float(value)
    if type(value) is not kind or (kind is int and abs(value) > MOST_INTEGER):
        raise _mismatch(value, _KINDS[kind], field)
    if kind is str and not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise Mismatch(field, f"{ascii(value)[:_SHOWN]} is no text of Unicode") from error
    return value


def _is_finite(number: float) -> bool:
    try:
        return math.isfinite(number)
    except OverflowError:  # a whole number beyond float64
        return False


def _conform_union(value: Any, members: tuple[Any, ...], field: str) -> Any:
    if value is None and type(None) in members:
        return None
    problems = []
    for member in (member for member in members if member is not type(None)):
        try:
            return conform(value, member, field)
        except Mismatch as error:
            problems.append(error)
    raise problems[0] if len(problems) == 1 else _mismatch(value, " or ".join(_name_kind(m) for m in members), field)


def _conform_sequence(value: Any, kind: Any, origin: Any, members: tuple[Any, ...], field: str) -> Any:
    """Lists as lists or tuples, objects as dictionaries."""
    container = origin or kind
    if container in (dict, Mapping) or (isinstance(container, type) and issubclass(container, Mapping)):
        if not isinstance(value, Mapping):
            raise _mismatch(value, "an object", field)
        of_key, inner = members if members else (str, Any)
        return {conform(key, of_key, field): conform(part, inner, _field_path(field, key)) for key, part in value.items()}
    if container not in (tuple, list) and not (isinstance(container, type) and issubclass(list, container)):
        raise TypeError(f"{kind} is no type that a schema declares")
    if not isinstance(value, list | tuple):
        raise _mismatch(value, "a list", field)
    fixed = container is tuple and members and members[-1] is not Ellipsis
    if fixed and len(value) != len(members):
        raise Mismatch(field, f"it has {len(value)} values, not {len(members)}")
    kinds = members if fixed else [members[0] if members else Any] * len(value)
    parts = [conform(part, inner, _field_path(field, index)) for index, (part, inner) in enumerate(zip(value, kinds))]
    return tuple(parts) if container is tuple else parts


@functools.lru_cache(maxsize=256)
def hints_of(kind: Any) -> dict[str, Any]:
    """The types of a dataclass's fields by name."""
    hints = typing.get_type_hints(kind, include_extras=True)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind) if field.init}


def _conform_dataclass(value: Any, kind: Any, field: str) -> Any:
    if not isinstance(value, Mapping):
        raise _mismatch(value, "an object", field)
    hints, declared = hints_of(kind), {f.name: f for f in dataclasses.fields(kind)}
    unknown = sorted(str(key) for key in value if key not in hints)
    if unknown and not issubclass(kind, Open):
        raise Mismatch(field, f"there is no field {_show(unknown[0])}")
    missing = [
        name for name in hints
        if name not in value and declared[name].default is declared[name].default_factory is dataclasses.MISSING
    ]  # fmt: skip
    if missing:
        raise Mismatch(field, f"it lacks {', '.join(sorted(missing))}")
    parts = {name: conform(value[name], hints[name], _field_path(field, name)) for name in hints if name in value}
    try:
        return kind(**parts)
    except (VisagistError, ValueError, TypeError) as error:
        raise Mismatch(field, str(error)) from error


def conform_settings(value: Any, kind: Any, field: str = "") -> Any:
    """A dataclass of settings from JSON; whole numbers have the bounds that `settings.apply_settings` gives them.

    Fields may be missing. Those that count layers, widths and the like are at most `MOST_COUNT`, so that no loop over them
    is endless; those that count images may be larger.
    """
    settings = conform(value, kind, field)
    for declared in dataclasses.fields(kind):
        setting = getattr(settings, declared.name)
        large = "images" in declared.name or declared.name == "seed"
        for part in setting if isinstance(setting, tuple) else (setting,):
            if isinstance(part, int) and not isinstance(part, bool):
                bounds = Bounds(least_value(declared.default), MOST_INTEGER if large else MOST_COUNT)
                _check_rules(part, [bounds], _field_path(field, declared.name))
        if isinstance(setting, tuple):
            _check_rules(setting, [Bounds(None, 1000)], _field_path(field, declared.name))
    return settings


def _check_rules(value: Any, rules: list[Any], field: str) -> Any:
    for rule in rules:
        if isinstance(rule, Pattern) and not re.fullmatch(rule.expression, value):
            raise _mismatch(value, rule.called, field)
        if isinstance(rule, Bounds) and value is not None:
            of_number = isinstance(value, int | float)
            size = value if of_number else len(value)
            low = rule.least is not None and size < rule.least
            if low or (rule.most is not None and size > rule.most):
                got = f"is {_show(value)}" if of_number else f"has length {size}"
                limits = (("least", rule.least), ("most", rule.most))
                needed = " and ".join(f"at {word} {end:,}" for word, end in limits if end is not None)
                raise Mismatch(field, f"it {got}, and must be {needed}")
    return value


def _mismatch(value: Any, expected: str, field: str) -> Mismatch:
    return Mismatch(field, f"{_show(value)} is not {expected}")


def _show(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, Mapping | list | tuple):
        return "an object" if isinstance(value, Mapping) else "a list"
    text = ascii(value) if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"


def _name_kind(kind: Any) -> str:
    if kind is type(None):
        return "null"
    origin = typing.get_origin(kind)
    if origin is Annotated:
        return _name_kind(typing.get_args(kind)[0])
    if origin is Literal:
        return " or ".join(repr(member) for member in typing.get_args(kind))
    return _KINDS.get(kind) or ("an object" if origin is dict or dataclasses.is_dataclass(kind) else "a list")


def _field_path(field: str, key: Any) -> str:
    return f"{field}[{key}]" if isinstance(key, int) else f"{field}.{_plain_key(key)}" if field else _plain_key(key)


def _plain_key(key: Any) -> str:
    text = str(key)
    return text if text.isidentifier() and text.isascii() and len(text) <= _SHOWN else _show(text)
