"""One model's edits of one attribute over strength, toward the class that each face is not of: one number a face."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visagist.attributes import REGIONS, WHOLE_FACE, reads_as
from visagist.editing.modes import MODEL_MODES as MODES
from visagist.evaluation.context import CHUNK, CachedNetwork, EvaluationContext, Images
from visagist.evaluation.metrics.edits import change_inside, change_outside, inside, others_flip, region_is_known
from visagist.evaluation.metrics.identity import cosine
from visagist.evaluation.metrics.panel import READ
from visagist.evaluation.results import Better, Kind, Metric, metrics_under
from visagist.evaluation.statistics import Measure, measure_from_draws, resampled_means

STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)
ENDS = (0, len(STRENGTHS) - 1)  # indices of no edit and of the whole edit
Columns = dict[str, NDArray[Any]]  # truths or numbers
_EDITED: tuple[tuple[str, str, Kind, Better], ...] = (
    ("success", "success", "share", "higher"),
    ("collateral", "others flip, from the photo", "share", "lower"),
    ("identity", "identity kept", "number", "higher"),
    ("outside", "change outside the region, from the photo", "number", "lower"),
    ("change", "change of a pixel, from the photo", "number", "lower"),
    ("to_1.success", "success of giving it", "share", "higher"),
    ("to_0.success", "success of taking it away", "share", "higher"),
    ("unedited.success", "read as the other class without an edit", "share", "lower"),
    ("collateral_from_unedited", "others flip, from the unedited", "share", "lower"),
    ("outside_from_unedited", "change outside, from the unedited", "number", "lower"),
    ("change_from_unedited", "change of a pixel, from the unedited", "number", "lower"),
    ("outside_share", "share of the change outside", "share", "lower"),
)
METRICS = (
    *(
        metric for mode in MODES for way in ("given", "taken")
        for metric in metrics_under(f"compare.{{model}}.{{A}}.{mode}.panel.{way}.", READ, "comparison edits",
                                    {"success": f"{way}, the lowest judge", "ceiling": f"{way}, its ceiling"})
    ),
    *(
        Metric(f"compare.{{model}}.{{A}}.{mode}.{key}", title, kind, better, {"comparison edits": ""})
        for mode in MODES for key, title, kind, better in _EDITED
    ),
    *(
        Metric(f"compare.{{model}}.{{A}}.render.unedited.{key}", f"{title}, without an edit", kind, better)
        for key, title, kind, better in _EDITED if key in ("collateral", "change", "outside")
    ),
    *(
        Metric(f"equal.{{A}}.{{pair}}.{part}.{key}", f"{title}, {words} at equal success", kind,
               "nearer to 0" if part == "less" else better)
        for part, words in (("less", "second less first"), ("first", "the first"), ("second", "the second"))
        for key, title, kind, better in (("strength", "strength", "number", "lower"), *_EDITED)
        if "." not in key and key not in ("success", "outside_share")
    ),
    Metric("equal.{A}.{pair}.success", "equal success", "share"),
)  # fmt: skip


@dataclass(frozen=True)
class AttributeMapping:
    """How a model edits an attribute: by its attribute `own`, whose meaning is the same, or the opposite if `sign` is -1."""

    attribute: str
    own: str
    sign: int = 1


@dataclass(frozen=True)
class Curves:
    """By mode and measure: [n, K] over all strengths of the faces of a subset, and [N, 2] of all faces at the two ends.

    `identity`, which is slow, has no column of all faces. Values are nan where a measure is not defined for a face.
    `read` is what each judge reads [N, 2] of all faces at the two ends.
    """

    subset: Mapping[str, Columns]
    ends: Mapping[str, Columns]
    read: Mapping[str, Columns]


def toward_other_class(
    context: EvaluationContext, mapping: AttributeMapping, rows: NDArray[np.int64], strengths: Sequence[float]
) -> list[Images]:
    """Faces of these rows, each edited at each of these strengths above 0 toward the class that its label is not."""
    editor = context.editor
    other = context.labels(mapping.attribute)[rows, None] == (mapping.sign < 0)  # in the model's own terms
    settings = []
    for strength in strengths:
        down, up = (editor.setting(**{mapping.own: s}) for s in (-strength, strength))
        settings.append((np.where(other, up[0], down[0]), np.where(other, up[1], down[1])))
    return editor.edits_of_arrays(context.faces.images[rows], settings)


def measure_curves(
    context: EvaluationContext, mapping: AttributeMapping, strengths: Sequence[float] = STRENGTHS
) -> Curves:
    """The curves of one model and attribute from strength 0 to 1, with the embedder and all judges of the context."""
    chosen = context.subset()
    rest = np.setdiff1d(np.arange(len(context.faces)), chosen)
    ends_of = [0, len(strengths) - 1]
    subset = _measured(context, mapping, chosen, strengths, context.networks.identity)
    others = _measured(context, mapping, rest, [strengths[k] for k in ends_of], None)
    order = np.argsort(np.concatenate([chosen, rest]))

    def of_all(of_subset: Columns, of_rest: Columns) -> Columns:
        return {k: np.concatenate([part, *([of_rest[k]] if len(rest) else [])])[order] for k, part in of_subset.items()}

    ends, read = {}, {}
    for mode, columns in subset.columns.items():
        shared = {key: column[:, ends_of] for key, column in columns.items() if key != "identity"}
        ends[mode] = of_all(shared, others.columns.get(mode, {}))
        read[mode] = of_all(subset.read[mode], others.read.get(mode, {}))
    return Curves(subset.columns, ends, read)


@dataclass(frozen=True)
class _Measured:
    """Of some faces, by mode: measures [n, K] at all strengths, and what each judge reads [n, 2] at both ends."""

    columns: dict[str, Columns]
    read: dict[str, Columns]


def _measured(
    context: EvaluationContext,
    mapping: AttributeMapping,
    rows: NDArray[np.int64],
    strengths: Sequence[float],
    identity: CachedNetwork | None,
) -> _Measured:
    columns_of: dict[str, list[Columns]] = {mode: [] for mode in MODES}
    read_of: dict[str, list[Columns]] = {mode: [] for mode in MODES}
    judges = [judge for judge in context.judges if mapping.attribute in judge.attributes]
    for start in range(0, len(rows), CHUNK):
        part = rows[start : start + CHUNK]
        photos, unedited = context.faces.images[part], context.unedited[part]
        known = None if identity is None else identity(photos)
        steps: dict[str, list[Columns]] = {mode: [] for mode in MODES}
        read: dict[str, list[Columns]] = {mode: [] for mode in MODES}
        edits = iter(toward_other_class(context, mapping, part, [strength for strength in strengths if strength]))
        for strength in strengths:
            edited = next(edits) if strength else unedited
            for mode in MODES:
                origin = mode.origin(photos, unedited)
                shown = mode.show(photos, edited, unedited) if strength else origin
                columns = _measure_images(context, mapping, part, shown, origin)
                if identity is not None and known is not None:
                    # Edited images are not read again, so they bypass the cache.
                    columns["identity"] = cosine(known, (identity.network if strength else identity)(shown))
                steps[mode].append(columns)
                if strength in (strengths[0], strengths[-1]):
                    read[mode].append({judge.name: judge.read(shown, mapping.attribute) for judge in judges})
            context.progress.advance(units(len(part), 1, identity is not None))
        for mode in MODES:
            columns_of[mode].append(_stacked(steps[mode]))
            read_of[mode].append(_stacked(read[mode]))
    return _Measured(_joined(columns_of), _joined(read_of))


def _stacked(steps: Sequence[Columns]) -> Columns:
    return {key: np.stack([columns[key] for columns in steps], 1) for key in steps[0]}


def _joined(parts_of: Mapping[str, Sequence[Columns]]) -> dict[str, Columns]:
    return {
        mode: {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
        for mode, parts in parts_of.items()
        if parts
    }


def _measure_images(
    context: EvaluationContext, mapping: AttributeMapping, rows: NDArray[np.int64], images: Images, origin: Images
) -> Columns:
    """Every measure [n] of images that are made of these rows; `origin` is what the mode shows without an edit."""
    scorer, attribute, photos = context.scorer, mapping.attribute, context.faces.images[rows]
    scores = scorer.score(images)
    target = ~context.labels(attribute)[rows]
    columns: Columns = {"success": reads_as(scorer.column(scores, attribute), target)}
    crop, size = context.faces.manifest.get("crop"), [WHOLE_FACE]
    for ending, before in (("", photos), ("_from_unedited", origin)):
        flipped = others_flip(scorer, attribute, scores, scorer.score(before))
        if len(flipped):
            columns[f"collateral{ending}"] = flipped
        columns[f"change{ending}"] = change_inside(images, before, size)
        if region_is_known(attribute, crop):
            columns[f"outside{ending}"] = change_outside(images, before, REGIONS[attribute])
    if region_is_known(attribute, crop):
        columns["outside_share"] = 1 - inside(images, origin, attribute, crop)
    return columns


def units(faces: int, strengths: float, embedded: bool) -> float:
    """Progress units, about one for each edited image, of measuring so many faces at so many strengths in both modes."""
    return faces * strengths * (1 + 2 * (2.5 + 4 * embedded))


EQUAL = (
    "identity", "collateral", "collateral_from_unedited", "outside", "outside_from_unedited", "change",
    "change_from_unedited",
)  # fmt: skip
Means = NDArray[np.float64]


def first_crossing(success: Means, level: Means) -> Means:
    """The first position [R], from 0 to K - 1, where curves [R, K], linear between points, reach their levels [R].

    Each curve must reach its level.
    """
    after = np.argmax(success >= level[:, None] - 1e-12, axis=1)
    before = np.maximum(after - 1, 0)
    every = np.arange(len(success))
    low, high = success[every, before], success[every, after]
    part = np.divide(level - low, high - low, out=np.zeros(len(level)), where=high > low)
    return before + np.where(after > 0, part.clip(0, 1), 0)


def height_at(curves: Means, position: Means) -> Means:
    """The height [R] of curves [R, K], linear between points, at positions [R] from 0 to K - 1."""
    before = np.minimum(position.astype(int), curves.shape[1] - 2)
    every, part = np.arange(len(curves)), position - before
    return (1 - part) * curves[every, before] + part * curves[every, before + 1]


def equal_success(
    first: Mapping[str, NDArray], second: Mapping[str, NDArray], strengths: Sequence[float], seed: int = 0
) -> dict[str, Measure] | None:
    """What two models' curves [n, K] of the same faces have where both reach the smaller of their greatest successes.

    Keys: `success`, that level; of each model, `first.` and `second.`, `strength` and every measure of EQUAL that both have;
    and `less.` these of the second less the first. Means are resampled over faces, the same for both, and the level is
    found anew in each draw. None where neither gets further than without an edit, so that there is no level to speak of.
    """
    shared = [key for key in ("success", *EQUAL) if key in first and key in second]
    tables = [model[key] for model in (first, second) for key in shared]
    n, steps = tables[0].shape
    flat = np.concatenate(tables, 1)
    means = np.concatenate([flat.mean(0)[None], resampled_means(flat, seed)]).reshape(-1, 2, len(shared), steps)
    success = means[:, :, 0]  # [R + 1, 2, K]; the first row is of the faces as they are
    level = success.max(2).min(1)
    if level[0] <= success[0, :, 0].max():
        return None
    positions = [first_crossing(success[:, model], level) for model in (0, 1)]
    grid = np.broadcast_to(np.asarray(strengths, np.float64), (len(means), steps))
    draws = {"success": level}
    for model, (name, position) in enumerate(zip(("first", "second"), positions)):
        draws[f"{name}.strength"] = height_at(grid, position)
        for row, key in enumerate(shared[1:], 1):
            draws[f"{name}.{key}"] = height_at(means[:, model, row], position)
    for key in ("strength", *shared[1:]):
        draws[f"less.{key}"] = draws[f"second.{key}"] - draws[f"first.{key}"]
    return {key: measure_from_draws(values[0], values[1:], n) for key, values in draws.items()}
