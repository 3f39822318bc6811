"""Independent networks that score what models make: `judge-64` scores, `judge-64-b` calibrates and never scores."""

from __future__ import annotations

from visagist.judges.attribute import AttributeJudge
from visagist.judges.judge import CALIBRATING_JUDGE, SCORING_JUDGE, Judge, is_judge, load_judge

__all__ = ["CALIBRATING_JUDGE", "SCORING_JUDGE", "AttributeJudge", "Judge", "is_judge", "load_judge"]
