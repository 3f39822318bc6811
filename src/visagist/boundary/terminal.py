"""Show text from outside on a terminal with its control characters spelled out.

Names of files, what photographs and models say of themselves, labels and keys may hold control characters, which move the
cursor or retitle a window, marks that turn the direction of writing, and what rich takes for markup.
"""

from __future__ import annotations

import re

# C0, DEL and C1; marks of direction; separators of lines and paragraphs; halves of surrogate pairs, which names of files
# that are no UTF-8 hold and no stream writes.
_CONTROLS = "\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff"
_ANY, _BUT_LINES = re.compile(f"[{_CONTROLS}]"), re.compile(f"(?!\n)[{_CONTROLS}]")
_NAMED = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}


def escape_controls(text: str, *, keep_lines: bool = False, keep_bytes: bool = False) -> str:
    r"""The text with control characters spelled as Python does, as in `\x1b` and `\u202e`.

    `keep_lines` keeps `\n`, and `keep_bytes` the bytes of names that are no text, for what is read by a program.
    """
    pattern = _BUT_LINES if keep_lines else _ANY
    return pattern.sub(lambda match: match[0] if keep_bytes and "\udc80" <= match[0] <= "\udcff" else _spell(match), text)


def _spell(match: re.Match[str]) -> str:
    code = ord(match[0])
    return _NAMED.get(match[0]) or (f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}")


def escape_json(text: str) -> str:
    """JSON in which control characters are JSON's own escapes: what is parsed is what was given."""
    return _BUT_LINES.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
