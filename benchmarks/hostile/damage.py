"""Damage to bytes and to JSON, as a function of a `random.Random`."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from random import Random
from typing import Any

CONTROLS = "\x1b]0;title\x07\x1b[2Jcleared\r\n\x9b31m\u202egnp.exe"
NUMBERS = (0, -1, 1, 3, 65, 10_000, 10**9, 2**31, 2**63, -(2**63), 10**30, 0.5, -0.0, 1e308, 1e-320)
SPECIAL = (float("nan"), float("inf"), float("-inf"))
WORDS = ("", "x", "../../secret/canary.txt", "/etc/passwd", "a" * 5000, "nul\0byte", CONTROLS, "\ud800", "🙂" * 40)
Bytes = Callable[[Random, bytes], bytes]


def draw_value(draw: Random, depth: int = 0) -> Any:
    """Any JSON value, also those that only Python's JSON knows."""
    kind = draw.randrange(9 if depth < 3 else 6)
    if kind == 0:
        return draw.choice((None, True, False))
    if kind in (1, 2):
        return draw.choice(NUMBERS)
    if kind == 3:
        return draw.choice(SPECIAL)
    if kind in (4, 5):
        return draw.choice(WORDS)
    if kind == 6:
        return {draw.choice(WORDS): draw_value(draw, depth + 1) for _ in range(draw.randrange(3))}
    return [draw_value(draw, depth + 1) for _ in range(draw.randrange(4))]


def damage_value(draw: Random, value: Any) -> Any:
    """A copy of a JSON value in which up to three places are changed, dropped, doubled or of another kind."""
    whole = [copy.deepcopy(value)]
    for _ in range(draw.randint(1, 3)):
        parent, key = _pick_place(draw, whole)
        action = draw.randrange(6)
        if action == 0 and isinstance(parent, dict):
            del parent[key]
        elif action == 1 and isinstance(parent, dict):
            parent[draw.choice(WORDS) or "unknown"] = draw_value(draw)
        elif action == 2 and isinstance(parent, list) and parent is not whole:
            parent.extend(copy.deepcopy(parent[key]) for _ in range(draw.choice((1, 3, 200))))
        elif action == 3:
            parent[key] = [parent[key]] if draw.randrange(2) else {"value": parent[key]}
        elif action == 4 and isinstance(parent[key], (int, float)) and not isinstance(parent[key], bool):
            parent[key] = draw.choice((-parent[key], parent[key] * 10**6, str(parent[key]), parent[key] + 0.5))
        else:
            parent[key] = draw_value(draw)
    return whole[0]


def _pick_place(draw: Random, whole: list[Any]) -> tuple[Any, Any]:
    """A container and a key of it; shallow places are as likely as deep ones."""
    parent: Any = whole
    key: Any = 0
    while draw.randrange(4):
        child = parent[key]
        if not isinstance(child, (dict, list)) or not child:
            break
        parent, key = child, draw.choice(list(child)) if isinstance(child, dict) else draw.randrange(len(child))
    return parent, key


def damage_json(draw: Random, value: Any) -> bytes:
    """The bytes of a JSON file whose value, or whose text, is damaged."""
    if draw.randrange(4):
        return json.dumps(damage_value(draw, value)).encode()
    text = json.dumps(value)
    cut = draw.randrange(len(text))
    return draw.choice(
        (
            lambda: text[:cut].encode(),
            lambda: b"",
            lambda: b"\xef\xbb\xbf" + text.encode(),
            lambda: text.encode("utf-16"),
            lambda: text[:cut].encode() + b"\xff\xfe" + text[cut:].encode(),
            lambda: b"[" * 200_000,
            lambda: b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
            lambda: text[:-1].encode() + b', "number": ' + b"9" * 6000 + b"}",
            lambda: text[:-1].encode() + b", " + text[1:].encode(),
            lambda: text.encode() * 2,
            lambda: text.encode() + b"\0" * 10_000,
            lambda: b" " * 5_000_000 + text.encode(),
            lambda: damage_bytes(draw, text.encode()),
        )
    )()


def damage_bytes(draw: Random, data: bytes) -> bytes:
    """Bytes that are cut, flipped, overwritten, removed, doubled or followed by others."""
    changed = bytearray(data or b"\0")
    for _ in range(draw.choice((1, 1, 2, 4))):
        start = draw.randrange(len(changed)) if changed else 0
        length = draw.randint(1, draw.choice((2, 16, 256)))
        action = draw.randrange(7)
        if action == 0:
            del changed[start:]
        elif action == 1:
            for _ in range(draw.randint(1, 30)):
                changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
        elif action == 2:
            changed[start : start + length] = draw.choice((b"\0" * length, b"\xff" * length, draw.randbytes(length)))
        elif action == 3:
            del changed[start : start + length]
        elif action == 4:
            changed[start:start] = changed[start : start + length] * draw.randint(1, 20)
        elif action == 5:
            order, number = draw.choice(("big", "little")), draw.choice((0, 1, 0x7FFFFFFF, 0xFFFFFFFF, 2**63 - 1, 2**64 - 1))
            width = 8 if number > 2**32 else draw.choice((2, 4)) if number < 2**16 else 4
            changed[start : start + width] = number.to_bytes(width, order)
        else:
            changed += draw.randbytes(length)
        if not changed:
            break
    return bytes(changed)
