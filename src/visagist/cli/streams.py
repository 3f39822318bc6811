"""Output to terminals and pipes of any encoding: what cannot be shown is spelled out, and ends nothing."""

from __future__ import annotations

import codecs
import io
import sys

_HANDLER = "visagist-spelled"


def spell_out_unencodable() -> None:
    """Let stdout take every text: bytes of names that are no text go out as they are, other characters as `\\u2192`."""
    codecs.register_error(_HANDLER, _spelled)
    if sys.stdout is sys.__stdout__ and isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors=_HANDLER)
    if sys.stderr is sys.__stderr__ and isinstance(sys.stderr, io.TextIOWrapper):
        sys.stderr.reconfigure(errors="backslashreplace")


def _spelled(error: UnicodeError) -> tuple[str | bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    try:
        return text.encode("ascii", "surrogateescape"), error.end
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
