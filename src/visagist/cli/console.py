"""What every command does alike: lines for a person go to stderr, results to stdout."""

from __future__ import annotations

import codecs
import inspect
import io
import sys
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from functools import wraps
from typing import Any, TypeVar, get_type_hints

from visagist.boundary.schema import json_text
from visagist.boundary.terminal import escape_controls, escape_json
from visagist.errors import VisagistError
from visagist.files import cache_folder

_HANDLER = "visagist-spelled"
# What our own lines have, for terminals and files whose encoding does not.
_PLAIN = {"→": "->", "−": "-", "–": "-", "…": "...", "×": "x", "·": "|", "≤": "<=", "≥": ">=", "“": '"', "”": '"', "’": "'"}
Options = TypeVar("Options")


def takes_options(kind: type[Options]) -> Callable[[Callable[[Options], None]], Callable[..., None]]:
    """Make a command of a function of one dataclass: each field is an argument or option, those of its bases last."""
    hints = get_type_hints(kind, include_extras=True)

    def decorate(command: Callable[[Options], None]) -> Callable[..., None]:
        @wraps(command)
        def run(**values: Any) -> None:
            command(kind(**values))

        parameters = []
        for option in sorted(fields(kind), key=lambda option: _depth(kind, option.name)):  # type: ignore[arg-type]
            default = inspect.Parameter.empty if option.default is MISSING else option.default
            parameter = inspect.Parameter(option.name, inspect.Parameter.KEYWORD_ONLY, default=default)
            parameters.append(parameter.replace(annotation=hints[option.name]))
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = hints
        return run

    return decorate


def _depth(kind: type, name: str) -> int:
    """How far up in the bases of a dataclass a field is declared, so that a command's own options come first in its help."""
    return next(depth for depth, base in enumerate(kind.__mro__) if name in inspect.get_annotations(base))


def say(line: str) -> None:
    """A line for a person, on stderr; control characters in it are spelled out."""
    print(escape_controls(line), file=sys.stderr, flush=True)


def print_line(line: object) -> None:
    """A line of results, on stdout; control characters in it are spelled out, and on a terminal bytes that are no text."""
    print(escape_controls(str(line), keep_bytes=not sys.stdout.isatty()), flush=True)


def print_json(value: Any) -> None:
    """A result for a script, on stdout; with `\\u2192` for what its encoding does not have."""
    text = escape_json(json_text(value, 1, ensure_ascii=False))
    print(text if is_shown(text) else json_text(value, 1))


def show(renderable: Any) -> None:
    """A table for a person, on stdout; as wide as it needs to be where no terminal limits it."""
    from visagist.boundary.plain_console import PlainConsole

    console = PlainConsole()
    PlainConsole(width=console.width if console.is_terminal else 160).print(renderable)


def split_names(names: str | None, option: str = "--attributes") -> tuple[str, ...] | None:
    """`Smiling,Young` as a tuple; None stays None, and nothing between commas is a VisagistError."""
    if names is None:
        return None
    parts = tuple(part.strip() for part in names.split(","))
    if not all(parts):
        raise VisagistError(f"{option} {names!r} has an empty name: write for instance Smiling,Eyeglasses")
    return parts


def given_values(text: str | None, option: str = "--given") -> dict[str, float]:
    """`Eyeglasses=1,Smiling=0` as values 0 and 1; None is nothing, anything else is a VisagistError."""
    values: dict[str, float] = {}
    for pair in [] if text is None else text.split(","):
        name, separator, value = (part.strip() for part in pair.partition("="))
        if not name or not separator or value not in ("0", "1"):
            raise VisagistError(f"{option} {pair!r} is no value: write NAME=1 for with and NAME=0 for without, with commas")
        if name in values:
            raise VisagistError(f"{option} names {name} twice: name each once")
        values[name] = float(value)
    return values


def strengths(pairs: Mapping[str, str]) -> dict[str, float]:
    """`Smiling=-1` and its like as strengths in [-1, 1]; anything else is a VisagistError."""
    requested: dict[str, float] = {}
    for name, text in pairs.items():
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not -1 <= value <= 1:
            raise VisagistError(f"--set {name}={text}: a strength is a number from -1 to 1, as in {name}=-1")
        requested[name] = value
    return requested


TERMS = (
    "the shipped weights were trained on CelebA: non-commercial research and education only, "
    "and never to deceive or to identify people (visagist/zoo/LICENSE)"
)


def tell_terms_once() -> None:
    """Say the terms unless this person's cache folder remembers that they were said; where it cannot, say them again."""
    folder = cache_folder()
    marker = folder / "zoo-terms-shown"
    if marker.exists():
        return
    say(TERMS)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        marker.write_text(TERMS + "\n")
    except OSError:
        return  # a place that cannot be written only means that the line is said again


def spell_out_unencodable() -> None:
    """Let stdout and stderr take every text, in plain characters or as `\\u0442`; bytes of names that are no text stay."""
    codecs.register_error(_HANDLER, _spelled)
    if sys.stdout is sys.__stdout__ and isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors=_HANDLER)
    if sys.stderr is sys.__stderr__ and isinstance(sys.stderr, io.TextIOWrapper):
        sys.stderr.reconfigure(errors=_HANDLER)


def _spelled(error: UnicodeError) -> tuple[str | bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    if text[0] in _PLAIN:
        return _PLAIN[text[0]], error.start + 1
    text = text[: next((i for i, character in enumerate(text) if character in _PLAIN), len(text))]
    try:
        return text.encode("ascii", "surrogateescape"), error.start + len(text)
    except UnicodeEncodeError:
        first = text[0]
        if "\udc80" <= first <= "\udcff":
            return bytes([ord(first) - 0xDC00]), error.start + 1
        return first.encode("ascii", "backslashreplace"), error.start + 1


def is_shown(text: str) -> bool:
    """Whether stdout can show all of a text."""
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        return False
    return True
