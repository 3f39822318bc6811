"""What is fitted on few faces: the vector of an attribute, a reader of it, and the strength of its edits.

    reader    logistic regression on a shipped judge's features: it stands in for a judge, as no judge knows the attribute
    vector    the mean code with less the mean code without, of each face and its mirror image, less what known attributes
              explain; and how the codes of imagined faces change with what the reader says of them
    strength  as for every model, on edits by vectors and readings by readers of other faces

Few faces differ by chance in much besides the attribute. A mirror image halves what is not alike on both sides of a face.
Where the classes differ in a known attribute, such as Male, and the model has its vector, that times the difference is taken
away (regression adjustment with known coefficients). Imagined faces, drawn from the model's prior, cost no photographs:
there are so many that chance averages out, but they show an attribute only as far as the model draws it. Of few photographs
they say more than the photographs themselves, of many less.

Shape letters: N faces, M imagined faces, Z latent dimensions, F features.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from torch import Tensor

from visagist.editing.strength import DIRECTIONS, SURE_ENOUGH, StrengthMap, fit_knots
from visagist.errors import VisagistError
from visagist.judges.judge import Judge
from visagist.latent.attribute_vectors import KIND
from visagist.latent.direction_method import DirectionMethod
from visagist.latent.direction_types import Direction
from visagist.methods.base import Code, Method

Rows = NDArray[np.int64]
Logits = NDArray[np.float64]

FOLDS = 5
PENALTY = 30.0  # C of the reader, on features whose mean square length is 1
EQUAL = 20  # photographs of a class that say as much of the vector as the imagined faces do
AMOUNTS = np.linspace(0, 1, 9)  # at which edits are read
MOST_EDITED = 24  # faces of a class whose edits are read for a map of strength
LEAST_GAIN = 0.5  # logits between the class as it is and the goal, below which the reader tells the classes not well enough
# Of what is not calibrated: strength 1 moves the mean face of the other class as far beyond the middle as it was before it.
UNCALIBRATED = 0.5


@dataclass(frozen=True)
class Reader:
    """A logistic regression on features [N, F]: its logit says that the attribute is present."""

    weights: NDArray[np.float64]
    offset: float

    def __call__(self, features: NDArray[np.floating]) -> Logits:
        return np.asarray(features @ self.weights + self.offset, np.float64)


def fit_reader(features: NDArray[np.floating], present: NDArray[np.bool_]) -> Reader:
    """Fit a reader on the features [N, F] of faces with and without; both classes weigh the same."""
    x = np.asarray(features, np.float64)
    centre = x.mean(0)
    scale = float(np.sqrt(np.square(x - centre).sum(1).mean())) or 1.0
    fitted = LogisticRegression(C=PENALTY, class_weight="balanced", max_iter=2000).fit((x - centre) / scale, present)
    weights = fitted.coef_[0] / scale
    return Reader(weights, float(fitted.intercept_[0] - centre @ weights))


@dataclass(frozen=True)
class ImaginedFaces:
    """Faces that the model drew: their codes [M, Z], and their features [M, F] of the calibrating judge."""

    codes: NDArray[np.float64]
    features: NDArray[np.float32]


@dataclass(frozen=True)
class Lesson:
    """The faces of both classes as numbers, and the model that is taught.

    method      whose code is moved
    code        of each face, as an edit starts from it
    mean_codes  [N, Z], the mean over a face and its mirror image
    present     [N]
    features    [N, F] of the calibrating judge
    held        vectors of known attributes, and `read` [N] by name how far each face has them, 0 to 1
    imagined    faces that the model drew, None where it draws none
    toward      whether vectors of the model have a middle
    """

    name: str
    method: Method
    code: Code
    mean_codes: NDArray[np.float64]
    present: NDArray[np.bool_]
    judge: Judge
    features: NDArray[np.float32]
    held: tuple[Direction, ...]
    read: Mapping[str, NDArray[np.float64]]
    imagined: ImaginedFaces | None = None
    toward: bool = True

    @property
    def rows(self) -> Rows:
        return np.arange(len(self.present))


def fit_vector(lesson: Lesson, rows: Rows) -> Direction:
    """Fit the vector of the attribute on these rows; VisagistError where the codes of both classes are the same."""
    z, present = lesson.mean_codes[rows], lesson.present[rows]
    difference = z[present].mean(0) - z[~present].mean(0)
    for known in lesson.held:
        read = lesson.read[known.attribute][rows]
        assert known.length is not None
        difference = difference - (read[present].mean() - read[~present].mean()) * known.length * known.vector
    length = float(np.linalg.norm(difference))
    if not length > 1e-9:
        raise VisagistError(f"the model's codes of both folders are the same: it does not see {lesson.name}")
    vector = difference / length
    if lesson.imagined is not None:
        weight = np.sqrt(min(present.sum(), (~present).sum()) / EQUAL)
        vector = weight * vector + _slope(lesson, lesson.imagined, rows)
        vector /= np.linalg.norm(vector)
        length = max(float(difference @ vector), length / 4)
    along = z @ vector
    middle = float(along[present].mean() + along[~present].mean()) / 2
    return Direction(
        lesson.name, KIND, vector, float(along.std()), n_with=int(present.sum()), n_without=int((~present).sum()),
        length=length, middle=middle if lesson.toward else None, matched=tuple(known.attribute for known in lesson.held),
    )  # fmt: skip


def _slope(lesson: Lesson, imagined: ImaginedFaces, rows: Rows) -> NDArray[np.float64]:
    """How codes of imagined faces change with the logit of a reader that is fitted on these rows, of length 1.

    What known attributes explain of it is left to them.
    """
    logits = fit_reader(lesson.features[rows], lesson.present[rows])(imagined.features)
    others = [imagined.codes @ known.vector for known in lesson.held]
    causes = np.stack([np.ones_like(logits), logits, *others], axis=1)
    slope = np.linalg.lstsq(causes, imagined.codes, rcond=None)[0][1]
    norm = float(np.linalg.norm(slope))
    return np.asarray(slope / norm if norm > 0 else slope)


def folds_of(lesson: Lesson, rows: Rows, seed: int = 0, most: int = FOLDS) -> Iterator[tuple[Rows, Rows]]:
    """Split rows into those to fit on and those left out, each row left out once; at most `most` folds, at least two."""
    present = lesson.present[rows]
    number = min(most, int(min(present.sum(), (~present).sum())))
    for seen, unseen in StratifiedKFold(number, shuffle=True, random_state=seed).split(rows, present):
        yield rows[seen], rows[unseen]


def read_out_of_fold(lesson: Lesson, features: NDArray[np.floating], rows: Rows, seed: int = 0) -> Logits:
    """Logits [len(rows)] of readers that have not seen the face, of features [N, F]."""
    logits = np.empty(len(lesson.present))
    for seen, unseen in folds_of(lesson, rows, seed):
        logits[unseen] = fit_reader(features[seen], lesson.present[seen])(features[unseen])
    return logits[rows]


@torch.inference_mode()
def edit_rows(
    lesson: Lesson, vector: Direction, rows: Rows, present: bool, amounts: Sequence[float] | NDArray[np.floating]
) -> Tensor:
    """Faces of these rows edited toward a class at each amount, [len(amounts) * len(rows), 3, S, S] in [0, 1] on the CPU."""
    along = DirectionMethod(lesson.method, [vector], by_length=True).to(lesson.code.z.device).eval()
    images = []
    for amount in amounts:
        y = None if lesson.code.y is None else lesson.code.y[rows]
        settings = torch.full((2, len(rows), 1), float(present), device=lesson.code.z.device)
        settings[1] = float(amount)
        images.append(along.edit_prepared(Code(lesson.code.z[rows], y), settings[0], settings[1]).float().cpu())
    return torch.cat(images)


def fit_strength(lesson: Lesson, rows: Rows, most: int = MOST_EDITED, seed: int = 0) -> dict[str, StrengthMap]:
    """Fit what strengths mean by direction "+1" and "-1", on edits of at most `most` of these rows of a class.

    Faces of one half are read by a reader of the other, and edited by vectors of their own half that have not seen them: a
    vector and a reader of the same faces have their chance in common, and edits would seem to be seen sooner than they are.
    Where readers do not tell the classes apart, the map is not calibrated.
    """
    chosen = np.concatenate([_some(rows[lesson.present[rows] == side], most, seed) for side in (True, False)])
    logits, curves = np.empty(len(lesson.present)), np.empty((len(AMOUNTS), len(lesson.present)))
    for other, half in folds_of(lesson, rows, seed, 2):
        reader = fit_reader(lesson.features[other], lesson.present[other])
        logits[half] = reader(lesson.features[half])
        for seen, unseen in folds_of(lesson, half, seed):
            vector = fit_vector(lesson, seen)
            for side in (True, False):
                edited = np.intersect1d(unseen[lesson.present[unseen] != side], chosen)
                if len(edited):
                    images = edit_rows(lesson, vector, edited, side, AMOUNTS)
                    curves[:, edited] = reader(lesson.judge.features(images)).reshape(len(AMOUNTS), -1)
    maps = {}
    for way in DIRECTIONS:
        side = way == "+1"
        sign = 1 if side else -1
        real = float(np.median(sign * logits[rows[lesson.present[rows] == side]]))
        heights = np.median(sign * curves[:, chosen[lesson.present[chosen] != side]], axis=1)
        maps[way] = _map(lesson, heights, real, int((lesson.present[chosen] != side).sum()))
    return maps


def _map(lesson: Lesson, heights: Logits, real: float, number: int) -> StrengthMap:
    judge = f"a reader on {lesson.judge.name}"
    if real - heights[0] < LEAST_GAIN:
        return StrengthMap(((0.0, 0.0), (1.0, UNCALIBRATED)), judge=judge, n=number)
    goal = min(real, float(np.log(SURE_ENOUGH / (1 - SURE_ENOUGH))))
    knots, levels, reached = fit_knots(lambda amount: float(np.interp(amount, AMOUNTS, heights)), goal)
    medians = [round(float(1 / (1 + np.exp(-level))), 6) for level in (*levels, real)]
    return StrengthMap(knots, True, judge, number, reached, *medians)


def _some(rows: Rows, most: int, seed: int) -> Rows:
    return rows if len(rows) <= most else np.sort(np.random.default_rng(seed).permutation(rows)[:most])
