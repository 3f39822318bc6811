"""What one direction does to faces: success, what goes with it, identity, place; at equal strength and at equal length."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from visagist.editing.direction_editor import DirectionEditor
from visagist.editing.editor import Editor
from visagist.editing.strength import StrengthMap
from visagist.evaluation.context import EvaluationContext, Images, JudgeScores, Scores
from visagist.evaluation.extractors.onnx import Embedder
from visagist.evaluation.metrics.edits import MOMENTS, inside, others_flip, readings, success_from_either
from visagist.evaluation.metrics.identity import kept
from visagist.evaluation.results import Metric, metrics_under
from visagist.evaluation.statistics import exact, mean_ci, mean_share_ci
from visagist.latent.direction_method import RANGE
from visagist.latent.direction_types import Direction
from visagist.latent.directions import conditions

SETTINGS = ("at_strength", "at_step")
Amounts = tuple[float, float]
_FIGURES = (
    Metric("success_0", "{A} taken away", "share"),
    Metric("from_0.success_1", "{A} added", "share"),
    Metric("err", "others flip", "share", "lower"),
    *(
        Metric(f"{judge}.{{other}}.{way}.{moment}", f"{{other}} read{by} {where}: {moment}", better=better)
        for judge, by in (("reads", ""), ("second_reads", " by the second judge"))
        for way, where in (("removing", "where both are taken from"), ("adding", "where neither is, on adding"))
        for moment, better in MOMENTS
    ),
    Metric("identity.edit", "identity kept"),
    Metric("identity.drop", "identity lost", better="lower"),
    Metric("locality", "inside the region", "share"),
    Metric("length.removing", "length removing", better="lower"),
    Metric("length.adding", "length adding", better="lower"),
)
# Readings stand side by side on the page, so a title need not say again what the one before it says.
_SHOWN = {
    "success_0": "", "from_0.success_1": "", "err": "", "reads.{other}.removing.change": "",
    "reads.{other}.adding.before": "", "reads.{other}.adding.after": "after", "reads.{other}.adding.change": "change",
    "second_reads.{other}.adding.change": "change by the second judge", "identity.drop": "", "locality": "",
    "length.removing": "", "length.adding": "",
}  # fmt: skip
METRICS = metrics_under("direction.{A}.{direction}.", _FIGURES, "directions", _SHOWN)


def key_of(direction: Direction, setting: str) -> str:
    """Where the measures of a direction are: `direction.A.KIND.plain.at_step`, or `….given_Male.at_strength`."""
    still = "given_" + "+".join(direction.given) if direction.given else "plain"
    return f"direction.{direction.attribute}.{direction.kind}.{still}.{setting}"


def amounts_of(direction: Direction, setting: str, step: float) -> Amounts | None:
    """How far the direction moves faces away from and toward the attribute, in [0, 1]; None without a strength."""
    if setting == "at_step":
        return step / RANGE, step / RANGE
    if direction.strength is None:
        return None
    down, up = (StrengthMap.from_json(direction.strength[way]).amount(1) for way in ("-1", "+1"))
    return down, up


def to_the_other_class(editor: Editor, images: Images, present: NDArray[np.bool_], amounts: Amounts) -> Images:
    """Images [N, S, S, 3] with the attribute moved away from it by amounts[0], those without toward it by amounts[1]."""
    edited = images.copy()
    for target in (0, 1):
        rows = np.flatnonzero(present != target)
        if len(rows):
            edited[rows] = editor.edit_arrays(images[rows], [target], [amounts[target]])
    return edited


def measure_direction(
    context: EvaluationContext,
    direction: Direction,
    given: Sequence[str],
    step: float,
    identity: Embedder | None,
    second: JudgeScores | None = None,
) -> None:
    """All measures of one direction at both settings, from edits to the class opposite to the label.

    A `second` judge says too what it reads of the attributes to be held still; it has no part in other measures.
    """
    if not context.scorer.knows(direction.attribute):
        for setting in SETTINGS:
            why = f"{context.scorer.judge.name} does not know the attribute"
            context.results.not_computed[f"{key_of(direction, setting)}.*"] = why
        return
    editor, labels = DirectionEditor(context.editor, [direction]), context.labels(direction.attribute)
    crop = context.faces.manifest.get("crop")
    for setting in SETTINGS:
        amounts = amounts_of(direction, setting, step)
        if amounts is None:
            continue
        key = key_of(direction, setting)
        context.progress.describe(f"{direction.attribute} by {direction.label}: {setting.replace('_', ' ')}")
        others = conditions(direction.attribute, given)
        second_read = second if others else None
        parts: list[tuple[NDArray, ...]] = []
        seconds: list[tuple[Scores, Scores]] = []
        for rows in context.chunks():
            photos, unedited = context.faces.images[rows], context.unedited[rows]
            edited = to_the_other_class(editor, photos, labels[rows], amounts)
            person = (np.zeros(len(edited)),) * 2 if identity is None else kept(photos, unedited, edited, identity)
            parts.append((context.scorer.score(edited), *person, inside(edited, unedited, direction.attribute, crop)))
            if second_read is not None:
                seconds.append((second_read.score(unedited), second_read.score(edited)))
            context.progress.advance((3.5 if second_read is None else 6) * len(edited))
        scores, edited_cosine, drop, shares = (np.concatenate(part) for part in zip(*parts))
        _report(context, key, direction.attribute, scores)
        _reads(context, f"{key}.reads", direction.attribute, others, context.scorer, context.unedited_scores, scores)
        if second_read is not None:
            before, after = (np.concatenate(part) for part in zip(*seconds))
            _reads(context, f"{key}.second_reads", direction.attribute, others, second_read, before, after)
        if identity is not None:
            context.results.values[f"{key}.identity.edit"] = mean_ci(edited_cosine, context.seed)
            context.results.values[f"{key}.identity.drop"] = mean_ci(drop, context.seed)
        if not np.isnan(shares).all():
            context.results.values[f"{key}.locality"] = mean_share_ci(shares[~np.isnan(shares)], context.seed)
        for way, amount in zip(("removing", "adding"), amounts):
            length = exact(amount * RANGE * direction.unit, len(labels))
            context.results.values[f"{key}.length.{way}"] = length


def measure_unedited(context: EvaluationContext, attribute: str) -> None:
    """`direction.A.unedited.*`: what an editor that does nothing would be credited with."""
    if context.scorer.knows(attribute):
        _success(context, f"direction.{attribute}.unedited", attribute, context.unedited_scores)


def _report(context: EvaluationContext, key: str, attribute: str, scores: Scores) -> None:
    """Success from either side and collateral change."""
    scorer = context.scorer
    _success(context, key, attribute, scores)
    changed = others_flip(scorer, attribute, scores, context.unedited_scores)
    if len(changed):
        context.results.values[f"{key}.err"] = mean_share_ci(changed, context.seed)
    else:
        context.results.not_computed[f"{key}.err"] = "the judge knows no other attribute"


def _reads(
    context: EvaluationContext,
    key: str,
    attribute: str,
    others: Sequence[str],
    scorer: JudgeScores,
    unedited: Scores,
    edited: Scores,
) -> None:
    """What a judge reads of the attributes to be held still, before and after, of its scores [N, J]."""
    labels, values = context.labels(attribute), context.results.values
    for other in others:
        if not scorer.knows(other):
            context.results.not_computed[f"{key}.{other}.*"] = f"{scorer.judge.name} does not know {other}"
            continue
        read, also = readings(scorer, other, unedited, edited), context.labels(other)
        for way, rows in (("adding", ~labels & ~also), ("removing", labels & also)):
            if not rows.any():
                side = "neither" if way == "adding" else "both"
                context.results.not_computed[f"{key}.{other}.{way}.*"] = f"no face has {side} of {attribute} and {other}"
                continue
            for name, column in read.items():
                values[f"{key}.{other}.{way}.{name}"] = mean_ci(column[rows], context.seed)


def _success(context: EvaluationContext, key: str, attribute: str, scores: Scores) -> None:
    judged = context.scorer.column(scores, attribute)
    success_from_either(context.results, key, judged, context.labels(attribute), context.seed)
