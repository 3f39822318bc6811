"""The one exception that visagist raises for what a person can put right."""

from __future__ import annotations

import difflib
import errno
from collections.abc import Iterable


class VisagistError(Exception):
    """Says what is wrong, what was got and what to do, in one line; the command line prints it and exits with 2."""


class NoFaceError(VisagistError):
    """No face was found in a photograph; the command line exits with 3."""


NAME_ERRORS = (
    errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ELOOP,
)  # fmt: skip


def suggest_remedy(error: OSError, otherwise: str) -> str:
    """What to do about an error of writing: another name where the name is the trouble, else more room."""
    if error.errno in (errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ):
        return f"give a shorter and plainer name, or {otherwise}"
    return f"free some space or {otherwise}"


def nearest(word: str, words: Iterable[str]) -> str:
    """A clause that offers the names most like `word`, or all of them where there are few and none is alike."""
    known = sorted(words)
    folded = {name.lower(): name for name in known}
    alike = [folded[name] for name in difflib.get_close_matches(word.lower(), list(folded), n=3, cutoff=0.5)]
    if alike:
        return f"did you mean {' or '.join(alike)}?"
    shown = ", ".join(known[:12]) + (", …" if len(known) > 12 else "")
    return f"known: {shown}" if known else "none is known"


def first_line(error: Exception) -> str:
    """The first line of an exception's message without its full stop, or its type where it has none."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__).rstrip(".")
