"""Independent networks that read what models make: some score, and those that end in `-b` calibrate and never score."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from visagist.judges.reading import CALIBRATING_JUDGE, SCORING_JUDGE, AnyJudge, GraphJudge, judges_of_strength

if TYPE_CHECKING:
    from visagist.judges.attribute import AttributeJudge
    from visagist.judges.judge import Judge, is_judge, load_judge

__all__ = [
    "CALIBRATING_JUDGE", "SCORING_JUDGE", "AnyJudge", "AttributeJudge", "GraphJudge", "Judge", "is_judge",
    "judges_of_strength", "load_judge",
]  # fmt: skip
_HOMES = {"AttributeJudge": "attribute", "Judge": "judge", "is_judge": "judge", "load_judge": "judge"}


def __getattr__(name: str) -> Any:
    """Import what needs torch only when it is asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
