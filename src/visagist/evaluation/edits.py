"""Do edits succeed in the judge's eyes, what else do they change, and where in the picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from visagist.attributes import REGIONS, WHOLE_FACE, Box, kin
from visagist.evaluation.intervals import mean_of, means_of
from visagist.evaluation.results import Metrics
from visagist.evaluation.study import Images, Scores, Study

THRESHOLD = 0.5
ALIGNED_CROPS = ("centre148", "drawn")


@dataclass(frozen=True)
class Readings:
    """What the judge read [N, J] after an edit toward 0 and toward 1, and of edits to the other class, their locality."""

    toward_0: Scores
    toward_1: Scores
    locality: NDArray[np.float64]


def success(results: Metrics, prefix: str, judged_0: Scores, judged_1: Scores, labels: NDArray[np.bool_], seed: int) -> None:
    """Add `success_0`, `success_1`, `success_sum` of faces that have the attribute, and `from_0.*` of those without.

    judged_0, judged_1 [N] are scores after the edit toward 0 and toward 1.
    """
    for start, side in ((True, ""), (False, "from_0.")):
        rows = labels == start
        if not rows.any():
            results.not_computed[f"{prefix}.{side}success_*"] = f"no face {'has' if start else 'lacks'} the attribute"
            continue
        done = np.stack([judged_0[rows] < THRESHOLD, judged_1[rows] >= THRESHOLD], 1).astype(float)
        table = np.concatenate([done, done.sum(1, keepdims=True)], 1)
        for name, measure in zip(("success_0", "success_1", "success_sum"), means_of(table, seed)):
            results.values[f"{prefix}.{side}{name}"] = measure


def flips(edited: Scores, unedited: Scores) -> NDArray[np.bool_]:
    """Whether the judge's reading [N, J] crossed one half."""
    return (edited >= THRESHOLD) != (unedited >= THRESHOLD)


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


def measure_edits(study: Study, attribute: str) -> None:
    """`edit.A.*` but for control and composition: success, base rates, Err, Err-Each, locality."""
    key, labels = f"edit.{attribute}", study.labels(attribute)
    _base_rates(study, attribute)
    study.track.stage(f"{attribute}: the paper's setting")
    paper = _read(study, attribute, lambda images, value: study.toward(images, attribute, value))
    _report(study, key, attribute, paper, labels)
    _report_locality(study, attribute, paper.locality)
    study.track.stage(f"{attribute}: strength −1 and +1")
    ends = _read(study, attribute, lambda images, value: study.at_strength(images, attribute, 2 * value - 1.0))
    _report(study, f"{key}.at_strength", attribute, ends, labels)


def _read(study: Study, attribute: str, edit: Callable[[Images, int], Images]) -> Readings:
    labels = study.labels(attribute)
    parts: list[tuple[Scores, Scores, NDArray[np.float64]]] = []
    for rows in study.chunks():
        sides = [edit(study.faces.images[rows], value) for value in (0, 1)]
        other = np.where(labels[rows, None, None, None], *sides)
        place = locality(other, study.unedited[rows], attribute) if attribute in REGIONS else np.full(len(other), np.nan)
        parts.append((study.scorer.score(sides[0]), study.scorer.score(sides[1]), place))
        study.track.advance(7 * len(other))
    return Readings(*(np.concatenate(part) for part in zip(*parts)))


def _report(study: Study, key: str, attribute: str, readings: Readings, labels: NDArray[np.bool_]) -> None:
    scorer, results = study.scorer, study.results
    columns = [scorer.column(scores, attribute) for scores in (readings.toward_0, readings.toward_1)]
    success(results, key, columns[0], columns[1], labels, study.seed)
    other = np.where(labels[:, None], readings.toward_0, readings.toward_1)
    changed = flips(other, study.unedited_scores)
    same = kin(attribute)
    names = [name for name in scorer.judge.attributes if name not in same]
    rest = changed[:, [scorer.judge.attributes.index(name) for name in names]]
    if not names:
        results.not_computed[f"{key}.err"] = "the judge knows no other attribute"
        return
    results.values[f"{key}.err"] = mean_of(rest.mean(1), study.seed)
    name = "err_each.at_strength" if key.endswith("at_strength") else "err_each"
    matrix = results.matrices.setdefault(name, {"rows": [], "columns": list(scorer.judge.attributes), "values": []})
    matrix["rows"].append(attribute)
    row = [None if c in same else share for c, share in zip(scorer.judge.attributes, changed.mean(0).tolist())]
    matrix["values"].append(row)


def _report_locality(study: Study, attribute: str, shares: NDArray[np.float64]) -> None:
    key, crop = f"edit.{attribute}.locality", study.faces.manifest.get("crop")
    region = REGIONS.get(attribute)
    why = ""
    if region is None:
        why = "no region is known for the attribute"
    elif region == WHOLE_FACE:
        why = "its region is the whole face"
    elif crop not in ALIGNED_CROPS:
        why = f"regions are known for the crops {' and '.join(ALIGNED_CROPS)}; these faces were cropped {crop!r}"
    elif np.isnan(shares).all():
        why = "no edit changed a pixel"
    if why:
        study.results.not_computed[key] = why
    else:
        study.results.values[key] = mean_of(shares[~np.isnan(shares)], study.seed)


def _base_rates(study: Study, attribute: str) -> None:
    """What an editor that does nothing would be credited with: the same shares of the unedited, and of photographs."""
    for what, scores in (("reconstruction", study.unedited_scores), ("photo", study.photo_scores)):
        column = study.scorer.column(scores, attribute)
        found = Metrics()
        success(found, f"edit.{attribute}.base_rate_{what}", column, column, study.labels(attribute), study.seed)
        study.results.values.update({k: m for k, m in found.values.items() if not k.endswith("success_sum")})
        study.results.not_computed.update(found.not_computed)
