"""Nothing is judged by what trained or calibrated it."""

from __future__ import annotations

from torch import nn

from visagist.editing.editor import Editor
from visagist.errors import VisagistError
from visagist.evaluation.study import JudgeLike
from visagist.judges import CALIBRATING_JUDGE


def calibrating_judges(editor: Editor) -> list[str]:
    """Names of the judges that fitted the model's strength."""
    maps = [strength for ways in editor.strength_maps.values() for strength in ways.values()]
    return sorted({strength.judge for strength in maps if strength.judge is not None})


def check_independence(editor: Editor, judge: JudgeLike) -> None:
    """Raise VisagistError if the judge calibrates, is a part of this model, or has its weights."""
    if judge.name == CALIBRATING_JUDGE:
        raise VisagistError(f"{judge.name} calibrates strength and never scores: give another judge, such as judge-64")
    if judge.name in calibrating_judges(editor):
        raise VisagistError(
            f"{judge.name} fitted the strength of {editor.name}, so it may not score it: "
            "give another judge, such as judge-64"
        )
    own = {id(p) for p in editor.method.parameters()}
    theirs = [p for m in vars(judge).values() if isinstance(m, nn.Module) for p in m.parameters()]
    weights = editor.description.get("weights_sha256")
    same = weights is not None and weights == judge.description.get("weights_sha256")
    if same or any(id(p) in own for p in theirs):
        raise VisagistError(
            f"{judge.name} is a network of {editor.name} itself: give an independent judge, such as judge-64"
        )


def check_two_judges(judge: JudgeLike, calibrator: JudgeLike) -> None:
    """Raise VisagistError if one judge would both fit the strength of edits and score them."""
    weights = judge.description.get("weights_sha256")
    same = weights is not None and weights == calibrator.description.get("weights_sha256")
    if same or judge.name == calibrator.name:
        raise VisagistError(f"{judge.name} would fit strength and score it: give another judge, such as judge-64")
