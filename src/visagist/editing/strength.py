"""What a strength from -1 to 1 means for one model: a monotone map for each attribute and direction, fitted with a judge.

±1 is the smallest amount at which the median edited face of the opposite class reaches the median that the judge gives
real faces of the class, or 0.998 where that is less; of several judges the one that asks for more decides. Where no
amount does, it is the end of the range, or the last amount at which the judge is as sure as it gets: hair that is moved
on toward blond turns white, and is no longer blond. In between the
*logit* of the judge's median rises evenly: a logit is close to proportional to what changes in the picture, while a
probability stands still at both ends, so that an even rise of it would put nearly all of the visible change into the first
and the last tenth of the range.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from visagist.attributes import attribute_column, check_attributes, with_derived
from visagist.boundary.schema import check, json_text
from visagist.checkpoints.folders import read_description
from visagist.data.crops import inner_square
from visagist.errors import VisagistError
from visagist.files import write_file
from visagist.latent.attribute_vectors import read_vectors
from visagist.progress import ProgressLike, progress_of

if TYPE_CHECKING:
    from visagist.data.faces import Faces
    from visagist.judges.judge import CalibratingJudge

DIRECTIONS = ("+1", "-1")
CALIBRATE = 'take "strength" out of config.json and calibrate the model again'
GRID = 11
BISECTIONS = 5
# A rise of the median by fewer logits than this is noise, which must not shape a map.
UNSEEN = 0.05
# The median of some 200 faces is uncertain by about this many logits: one that falls by less has not fallen.
PLATEAU = 0.25
# A judge that is this sure sees the attribute. What carries it further is nothing that a person sees, and costs identity.
SURE_ENOUGH = 0.998
# Judges answer in float32, whose probabilities end at about one in ten million.
_SURE = 1e-6

Curve = Callable[[float], float]


class AmountEditor(Protocol):
    """What calibration asks of `visagist.editing.editor.Editor`."""

    @property
    def attributes(self) -> tuple[str, ...]: ...
    @property
    def image_size(self) -> int: ...
    def edit_arrays(self, images: NDArray[np.uint8], target: Any, amount: Any) -> NDArray[np.uint8]: ...


@dataclass(frozen=True)
class StrengthMap:
    """From |strength| in [0, 1] to the method's amount in [0, 1], and how it was found.

    knots           (strength, amount) from (0, 0) to strength 1, both rising; linear in between
    calibrated      False: the identity, because no judge has seen the attribute
    judge, n        the calibrating judge, and how many faces it saw edited
    reached         whether ±1 shows the attribute as clearly as real faces of the class do, or to the judge's 0.998
    median_judge_at_0, median_judge_at_1, target_median   the judge's median probability of the class, on
                    reconstructions, at strength ±1, and on real faces of the class
    """

    knots: tuple[tuple[float, float], ...] = ((0.0, 0.0), (1.0, 1.0))
    calibrated: bool = False
    judge: str | None = None
    n: int = 0
    reached: bool | None = None
    median_judge_at_0: float | None = None
    median_judge_at_1: float | None = None
    target_median: float | None = None

    def __post_init__(self) -> None:
        knots = np.asarray(self.knots, dtype=float)
        if not (
            knots.ndim == 2
            and knots.shape[1] == 2
            and len(knots) >= 2
            and (np.diff(knots[:, 0]) > 0).all()
            and (np.diff(knots[:, 1]) >= 0).all()
            and tuple(knots[0]) == (0.0, 0.0)
            and knots[-1, 0] == 1
            and knots[-1, 1] <= 1
        ):
            raise VisagistError(f"strength knots must rise from (0, 0) to strength 1 and amount at most 1, got {self.knots}")

    def amount(self, strength: float) -> float:
        """The method's amount for |strength| in [0, 1]."""
        strengths, amounts = np.array(self.knots).T
        return float(np.interp(strength, strengths, amounts))

    def to_json(self) -> dict[str, Any]:
        return {**dataclasses.asdict(self), "knots": [list(knot) for knot in self.knots]}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> StrengthMap:
        """The map that `to_json` wrote; VisagistError if it did not."""
        if "knots" not in record:
            raise VisagistError(f"the strength in config.json is damaged: it lacks knots; {CALIBRATE}")
        checked: StrengthMap = check(record, cls, "the strength in config.json", CALIBRATE)
        return checked


def read_strength(record: Any, attributes: Sequence[str]) -> dict[str, dict[str, StrengthMap]]:
    """Maps by attribute and direction "+1" or "-1" from the `strength` of a config.json; identities where it is silent."""
    maps = Mapping[str, Mapping[Literal["+1", "-1"], Any]]
    known = check(record if record is not None else {}, maps, "the strength in config.json", CALIBRATE)
    return {
        name: {
            way: StrengthMap.from_json(known[name][way]) if way in known.get(name, {}) else StrengthMap()
            for way in DIRECTIONS
        }
        for name in attributes
    }


def calibrate(
    editor: AmountEditor,
    judge: CalibratingJudge | Sequence[CalibratingJudge],
    faces: Faces,
    attributes: Sequence[str] | None = None,
    number: int = 300,
    progress: ProgressLike = None,
) -> dict[str, dict[str, Any]]:
    """The `strength` record of an editor, fitted on up to `number` validation faces of each class with one judge or several.

    Of several the map of the one that goes farthest is taken, as the lowest judge is the figure of a success.
    Attributes that no judge knows get the identity, recorded as uncalibrated. `progress` counts the fits.
    Raises VisagistError for the judge that scores reports, and for faces without both classes.
    """
    from visagist.judges.judge import refuse_scoring

    judges = list(judge) if isinstance(judge, Sequence) else [judge]
    for some in judges:
        refuse_scoring(some)
    names = check_attributes(attributes if attributes is not None else editor.attributes, editor.attributes, "the model")
    if faces.image_size != editor.image_size:
        raise VisagistError(
            f"the model edits faces of {editor.image_size} pixels, got {faces.image_size}: "
            f"load the data with image_size={editor.image_size}"
        )
    if number < 1:
        raise VisagistError(f"number is {number}: calibrate on at least 1 face of each class, better 300")
    record: dict[str, dict[str, Any]] = {}
    fits = [(name, way) for name in names for way in DIRECTIONS]
    with progress_of(progress) as bar:
        for done, (name, way) in enumerate(fits, 1):
            knowing = [some for some in judges if name in with_derived(some.attributes)]
            maps = [_fit(editor, some, faces, name, way, number) for some in knowing]
            fitted = farthest(maps) if maps else StrengthMap(judge=Path(judges[0].name).name)
            record.setdefault(name, {})[way] = fitted.to_json()
            bar.report(done, len(fits))
    return record


def farthest(maps: Sequence[StrengthMap]) -> StrengthMap:
    """The map whose ±1 is the largest amount; of equal ones the first that does not show the attribute as real faces do."""
    return max(maps, key=lambda fitted: (fitted.knots[-1][1], not fitted.reached))


def write_strength(folder: Path, record: Mapping[str, Mapping[str, Any]]) -> None:
    """Put a `strength` record into a model folder's config.json, whole or not at all; other attributes keep theirs."""
    description = read_description(folder)
    edited = [vector.attribute for vector in read_vectors(description)] or description["attributes"]
    check_attributes(list(record), edited, str(folder))
    read_strength(record, edited)
    strength = {**(description.get("strength") or {}), **record}
    description.pop("export", None)  # its whole edit has the maps of before
    text = json_text({**description, "strength": strength}, 1) + "\n"
    write_file(folder / "config.json", text, remedy="copy the model elsewhere")


def _fit(editor: AmountEditor, judge: CalibratingJudge, faces: Faces, name: str, way: str, number: int) -> StrengthMap:
    rows, presence = faces.indices("val"), int(way == "+1")
    labels = faces.column(name)[rows]
    same, opposite = rows[labels == presence][:number], rows[labels != presence][:number]
    if not len(same) or not len(opposite):
        raise VisagistError(f"the validation faces are all {name}={labels[0]}: calibration needs both classes")
    sign = 1 if presence else -1
    seen = inner_square(faces.manifest.get("crop"), getattr(judge, "crop", None), faces.image_size)
    column, start = editor.attributes.index(name), faces.images[opposite]
    target = np.zeros(len(editor.attributes), np.float32)
    target[column] = presence

    def median(images: NDArray[np.uint8]) -> float:
        return sign * float(np.median(_logit(attribute_column(judge.score(images[:, seen, seen]), judge.attributes, name))))

    def at(amount: float) -> float:
        amounts = np.zeros_like(target)
        amounts[column] = amount
        return median(editor.edit_arrays(start, target, amounts))

    real = median(faces.images[same])
    knots, levels, reached = fit_knots(at, min(real, float(_logit(np.array(SURE_ENOUGH, np.float32)))))
    return StrengthMap(
        knots, True, Path(judge.name).name, len(opposite), reached, *(round(_probability(v), 6) for v in (*levels, real))
    )


def fit_knots(curve: Curve, goal: float) -> tuple[tuple[tuple[float, float], ...], tuple[float, float], bool]:
    """Knots over which `curve` (the judge's logit over the amount) rises evenly to `goal`, or to its peak where that is
    lower; the curve's height at both ends; whether it got to the goal.

    A peak that is no goal is a plateau as far as the curve stays within `PLATEAU` of it; the last knot is where that ends.
    Where the curve falls, the amount waits for it to rise again, so that the map stays monotone.
    """
    amounts, heights = _measure(curve, goal)
    reached = bool(heights[-1] >= goal)
    peaks = np.maximum.accumulate(heights)
    levels = np.linspace(heights[0], goal if reached else peaks[-1], GRID)
    grid = [_first_reach(amounts, peaks, level) for level in levels]
    ending = -1 if reached else int(np.flatnonzero(heights >= peaks[-1] - PLATEAU)[-1])
    end, last = amounts[ending], heights[ending]
    if peaks[-1] - heights[0] < UNSEEN:
        # Nothing that the judge sees: the method's own scale.
        end, last = amounts[-1], heights[-1]
        grid = list(np.linspace(0, end, GRID))
    grid[0], grid[-1] = 0.0, end
    rising = np.maximum.accumulate(np.round(grid, 6))
    knots = tuple((i / (GRID - 1), float(a)) for i, a in enumerate(rising))
    return knots, (float(heights[0]), float(last)), reached


def _measure(curve: Curve, goal: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Amounts and heights from 0 to the smallest amount that reaches the goal, or to 1 where none does."""
    points = [(0.0, curve(0.0))]
    for amount in np.linspace(0, 1, GRID)[1:]:
        if points[-1][1] >= goal:
            break
        points.append((float(amount), curve(float(amount))))
    if points[-1][1] >= goal and len(points) > 1:
        low, last = points[-2][0], points.pop()
        for _ in range(BISECTIONS):
            middle = (low + last[0]) / 2
            height = curve(middle)
            if height >= goal:
                last = (middle, height)
            else:
                low = middle
                points.append((middle, height))
        points.append(last)
    amounts, heights = np.array(points).T
    return amounts, heights


def _first_reach(amounts: NDArray[np.float64], peaks: NDArray[np.float64], level: float) -> float:
    """The smallest amount at which the running peak, linear between measurements, is at least `level`."""
    i = int(np.searchsorted(peaks, level))
    if i == 0 or i == len(peaks):
        return float(amounts[min(i, len(peaks) - 1)])
    share = (level - peaks[i - 1]) / (peaks[i] - peaks[i - 1])
    return float(amounts[i - 1] + share * (amounts[i] - amounts[i - 1]))


def _logit(probability: NDArray[np.float32]) -> NDArray[np.float64]:
    p = np.clip(probability.astype(np.float64), _SURE, 1 - _SURE)
    return np.log(p / (1 - p))


def _probability(logit: float) -> float:
    return float(1 / (1 + np.exp(-logit)))
