"""Do edits succeed in the judge's eyes, what else do they change, and where in the picture."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visagist.attributes import REGIONS, WHOLE_FACE, Box, reads_as, related_attributes
from visagist.evaluation.context import EvaluationContext, Images, JudgeScores, Scores
from visagist.evaluation.results import Better, Metric, Metrics
from visagist.evaluation.statistics import mean_ci, mean_share_ci, sum_of_shares_ci
from visagist.latent.backend import optional_method
from visagist.methods.families.label_conditioned import LabelConditioned

NO_CHANGE = "no edit changed a pixel"
ALIGNED_CROPS = ("centre148", "drawn")
SETTINGS = {
    "": "the paper's setting",
    "at_strength.": "strength −1 and +1",
    "at_class.": "as far as the class goes, and not beyond",
    "base_rate_reconstruction.": "no edit: reconstructions",
    "base_rate_photo.": "no edit: photographs",
}
MOMENTS: tuple[tuple[str, Better], ...] = (("before", "lower"), ("after", "lower"), ("change", "nearer to 0"))
_GOALS = {"success_0": "y ← 0, judged 0", "success_1": "y ← 1, judged 1", "success_sum": "sum"}
_SUCCESS_ON = {
    "success_0": {"summary": "taken away, judged 0"},
    "from_0.success_1": {"summary": "given, judged 1"},
    "at_strength.success_0": {"summary": "taken away at −1"},
    "at_strength.from_0.success_1": {"summary": "given at +1"},
}
METRICS = (
    *(
        Metric(f"edit.{{A}}.{setting}{start}{goal}", f"{words}, {side}, {setting_words}", "share",
               pages={"success": words, **_SUCCESS_ON.get(f"{setting}{start}{goal}", {})})
        for setting, setting_words in SETTINGS.items()
        for start, side in (("", "from faces that have it"), ("from_0.", "from faces that have it not"))
        for goal, words in _GOALS.items()
    ),
    Metric("edit.{A}.err", "other attributes that flip", "share", "lower", {
        "tiles": "of the other attributes flip with {A}", "summary": "others that flip", "effects": "",
    }, "Share of the judge's other attributes whose reading crosses one half, against the unedited reconstruction."),
    Metric("edit.{A}.at_strength.err", "other attributes that flip, at strength", "share", "lower", {"effects": ""}),
    Metric("edit.{A}.at_class.err", "other attributes that flip, as far as the class goes", "share", "lower",
           {"effects": ""}),
    Metric("edit.{A}.locality", "residual energy inside the region", "share", pages={
        "summary": "energy in the region", "effects": "",
    }),
)  # fmt: skip


def base_rate_of(key: str) -> str:
    """The key of what is read without an edit, beside that of a success at the paper's setting; empty for other keys."""
    panel = re.fullmatch(r"panel\.([^.]+)\.(given|taken)\.success", key)
    if panel is not None:
        key = f"edit.{panel[1]}.{'success_0' if panel[2] == 'taken' else 'from_0.success_1'}"
    match = re.fullmatch(r"edit\.([^.]+)\.((?:from_0\.)?success_[01])", key)
    return "" if match is None else f"edit.{match[1]}.base_rate_reconstruction.{match[2]}"


def success(results: Metrics, prefix: str, judged_0: Scores, judged_1: Scores, labels: NDArray[np.bool_], seed: int) -> None:
    """Add `success_0`, `success_1`, `success_sum` of faces that have the attribute, and `from_0.*` of those without.

    judged_0, judged_1 [N] are scores after the edit toward 0 and toward 1.
    """
    for start, side in ((True, ""), (False, "from_0.")):
        rows = labels == start
        if not rows.any():
            results.not_computed[f"{prefix}.{side}success_*"] = f"no face {'has' if start else 'lacks'} the attribute"
            continue
        done = reads_as(judged_0[rows], False), reads_as(judged_1[rows], True)
        for value, truths in enumerate(done):
            results.values[f"{prefix}.{side}success_{value}"] = mean_ci(truths, seed)
        results.values[f"{prefix}.{side}success_sum"] = sum_of_shares_ci(*done)


def success_from_either(results: Metrics, prefix: str, judged: Scores, labels: NDArray[np.bool_], seed: int) -> None:
    """Add `success_0` of faces that have the attribute, `from_0.success_1` of those without; scores [N] after the edit."""
    for start, name in ((True, "success_0"), (False, "from_0.success_1")):
        rows = labels == start
        if rows.any():
            results.values[f"{prefix}.{name}"] = mean_ci(reads_as(judged[rows], not start), seed)
        else:
            results.not_computed[f"{prefix}.{name}"] = f"no face {'has' if start else 'lacks'} the attribute"


def flips(edited: Scores, unedited: Scores) -> NDArray[np.bool_]:
    """Whether the judge's reading [N, J] crossed one half."""
    return ~reads_as(edited, reads_as(unedited, True))


def locality(edited: Images, unedited: Images, attribute: str) -> NDArray[np.float64]:
    """Share [N] of the residual's energy inside the attribute's region; an edit that changes nothing gives nan."""
    return share_inside(edited, unedited, [REGIONS[attribute]])


def share_inside(edited: Images, unedited: Images, boxes: Sequence[Box]) -> NDArray[np.float64]:
    """Share [N] of the residual's energy inside boxes that do not overlap; nan where nothing changes."""
    energy = np.square(edited.astype(np.float32) - unedited).sum(3, dtype=np.float64)
    inside = sum(energy[:, rows, columns].sum((1, 2)) for rows, columns in _pixels(boxes, edited.shape[1]))
    whole = energy.sum((1, 2))
    return np.divide(inside, whole, out=np.full(len(whole), np.nan), where=whole > 0)


def change_inside(edited: Images, unedited: Images, boxes: Sequence[Box]) -> NDArray[np.float64]:
    """Mean absolute change [N] of a pixel's channels inside boxes that do not overlap, of pixels in [0, 1]."""
    change = np.abs(edited.astype(np.float32) - unedited).mean(3, dtype=np.float64) / 255
    parts = [change[:, rows, columns].reshape(len(change), -1) for rows, columns in _pixels(boxes, edited.shape[1])]
    return np.concatenate(parts, 1).mean(1)


def change_outside(edited: Images, unedited: Images, box: Box) -> NDArray[np.float64]:
    """Mean absolute change [N] of a pixel's channels outside a box that is smaller than the face, pixels in [0, 1]."""
    outside = np.ones(edited.shape[1:3], bool)
    ((rows, columns),) = _pixels([box], edited.shape[1])
    outside[rows, columns] = False
    return np.abs(edited[:, outside].astype(np.float32) - unedited[:, outside]).mean((1, 2), dtype=np.float64) / 255


def _pixels(boxes: Sequence[Box], size: int) -> list[tuple[slice, slice]]:
    """Rows and columns of images of this size that are inside each box."""
    edges = [[round(edge * size) for edge in box] for box in boxes]
    return [(slice(top, bottom), slice(left, right)) for left, top, right, bottom in edges]


def measure_edits(context: EvaluationContext, attribute: str) -> None:
    """`edit.A.*` but for those of `consistency`: success, base rates, Err, Err-Each, locality."""
    key, edits = f"edit.{attribute}", context.edits(attribute)
    if not context.scorer.knows(attribute):
        context.results.not_computed[f"{key}.success_*"] = f"{context.scorer.judge.name} does not know the attribute"
        return
    _base_rates(context, attribute)
    _report(context, key, attribute, edits.paper_read)
    _report_locality(context, attribute, edits.paper)
    _report(context, f"{key}.at_strength", attribute, edits.ends_read)


def measure_at_class(context: EvaluationContext, attribute: str) -> None:
    """`edit.A.at_class.*` of models whose edits go on beyond the class: success and Err where they stop at it.

    It compares with what models whose label stops at 0 and 1 have at the paper's own setting.
    """
    key, method = f"edit.{attribute}.at_class", optional_method(context.editor)
    if not isinstance(method, LabelConditioned) or method.transport is None:
        context.results.not_computed[f"{key}.*"] = "no edit of this model goes beyond the class: see its own setting"
        return
    if not context.scorer.knows(attribute):
        context.results.not_computed[f"{key}.*"] = f"{context.scorer.judge.name} does not know the attribute"
        return
    column = context.editor.attributes.index(attribute)
    settings = []
    for value in (0, 1):
        target, amount = context.paper(attribute, value)
        settings.append((target, amount * method.class_amount(column, value)))
    context.progress.describe(f"{attribute}: as far as the class goes")
    scores: tuple[list[Scores], list[Scores]] = ([], [])
    for rows in context.chunks():
        for parts, images in zip(scores, context.editor.edits_of_arrays(context.faces.images[rows], settings)):
            parts.append(context.scorer.score(images))
    _report(context, key, attribute, (np.concatenate(scores[0]), np.concatenate(scores[1])))


def _report(context: EvaluationContext, key: str, attribute: str, read: tuple[Scores, ...]) -> None:
    scorer, results, labels = context.scorer, context.results, context.labels(attribute)
    toward_0, toward_1 = read
    success(results, key, scorer.column(toward_0, attribute), scorer.column(toward_1, attribute), labels, context.seed)
    changed = flips(np.where(labels[:, None], toward_0, toward_1), context.unedited_scores)
    same = related_attributes(attribute)
    names = [name for name in scorer.judge.attributes if name not in same]
    rest = changed[:, [scorer.judge.attributes.index(name) for name in names]]
    if not names:
        results.not_computed[f"{key}.err"] = "the judge knows no other attribute"
        return
    results.values[f"{key}.err"] = mean_share_ci(rest.mean(1), context.seed)
    name = next((f"err_each.{end}" for end in ("at_strength", "at_class") if key.endswith(end)), "err_each")
    matrix = results.matrices.setdefault(name, {"rows": [], "columns": list(scorer.judge.attributes), "values": []})
    matrix["rows"].append(attribute)
    row = [None if c in same else share for c, share in zip(scorer.judge.attributes, changed.mean(0).tolist())]
    matrix["values"].append(row)


def _report_locality(context: EvaluationContext, attribute: str, edited: Images) -> None:
    key, crop = f"edit.{attribute}.locality", context.faces.manifest.get("crop")
    region = REGIONS.get(attribute)
    why, shares = "", np.zeros(0)
    if region is None:
        why = "no region is known for the attribute"
    elif region == WHOLE_FACE:
        why = "its region is the whole face"
    elif crop not in ALIGNED_CROPS:
        why = f"regions are known for the crops {' and '.join(ALIGNED_CROPS)}; these faces were cropped {crop!r}"
    else:
        parts = [locality(edited[rows], context.unedited[rows], attribute) for rows in context.chunks()]
        shares = np.concatenate(parts)
        why = NO_CHANGE if np.isnan(shares).all() else ""
    if why:
        context.results.not_computed[key] = why
    else:
        context.results.values[key] = mean_share_ci(shares[~np.isnan(shares)], context.seed)


def _base_rates(context: EvaluationContext, attribute: str) -> None:
    """What an editor that does nothing would be credited with: the same shares of the unedited, and of photographs."""
    for what, scores in (("reconstruction", context.unedited_scores), ("photo", context.photo_scores)):
        column = context.scorer.column(scores, attribute)
        rates = Metrics()
        success(rates, f"edit.{attribute}.base_rate_{what}", column, column, context.labels(attribute), context.seed)
        context.results.values.update({k: m for k, m in rates.values.items() if not k.endswith("success_sum")})
        context.results.not_computed.update(rates.not_computed)


def region_is_known(attribute: str, crop: Any) -> bool:
    """Whether it is known where in faces of this crop the attribute shows, and that this is a part of them."""
    return crop in ALIGNED_CROPS and REGIONS.get(attribute, WHOLE_FACE) != WHOLE_FACE


def inside(edited: Images, unedited: Images, attribute: str, crop: Any) -> NDArray[np.float64]:
    """Share [N] of the change inside the attribute's region; nan where it is not known, or nothing changes."""
    if region_is_known(attribute, crop):
        return locality(edited, unedited, attribute)
    return np.full(len(edited), np.nan)


def others_flip(scorer: JudgeScores, attribute: str, edited: Scores, unedited: Scores) -> NDArray[np.float64]:
    """Share [N] of the judge's other attributes whose reading crosses one half; [0] where it knows no other."""
    names = scorer.judge.attributes
    rest = [names.index(name) for name in names if name not in related_attributes(attribute)]
    return flips(edited, unedited)[:, rest].mean(1) if rest else np.zeros(0)


def readings(scorer: JudgeScores, attribute: str, unedited: Scores, edited: Scores) -> dict[str, NDArray]:
    """A judge's scores [N] of an attribute `before` and `after` the edit, and their `change`, of its scores [N, J]."""
    before, after = scorer.column(unedited, attribute), scorer.column(edited, attribute)
    return {"before": before, "after": after, "change": after.astype(float) - before}
