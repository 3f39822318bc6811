"""Edits beside the true picture: of drawn faces it is known how a face would look with one attribute flipped.

x is a face, x_A the same face drawn with A flipped, r the model's reconstruction, e its edit of A to the other class. What
the model cannot paint in any face must not count as a fault of its edits, so most measures hold e against r(x_A), what it
makes of the true picture when it sees it. All are of uint8 pictures as pixels in [0, 1]; no judge is asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray

from visagist.data.drawn.synthetic import ATTRIBUTES, drawn_source
from visagist.data.faces import Faces
from visagist.editing.editor import Editor
from visagist.errors import VisagistError
from visagist.evaluation.context import EvaluationContext, Images
from visagist.evaluation.results import Metric, Metrics
from visagist.evaluation.statistics import Measure, mean_ci, ratio_ci
from visagist.pixels import peak_signal_to_noise

FACES = 300
Numbers = NDArray[np.float64]
Mask = NDArray[np.bool_]
DEFINITION = (
    "drawn faces: an edit to the other class against the same face drawn with the attribute flipped; sums over faces before "
    "any ratio; pairs that a hat hides are left out"
)
_TRUTH = (
    Metric("error", "error of the edit against the true picture (MSE)", better="lower"),
    Metric("psnr", "the same as PSNR (dB)"),
    Metric("inside", "error inside the true region", better="lower"),
    Metric("outside", "error outside", better="lower"),
    Metric("error_beyond_reconstruction", "error against the model's picture of the truth", better="lower"),
    Metric("progress", "progress toward that picture; nothing 0, perfect 1"),
    Metric("reach", "reach along the true change; nothing 0, perfect 1"),
    Metric("locality_true", "energy of the edit inside the true region", "share"),
    Metric("confusion_true.{B}", "flips {B} as well; all its pixels 1", better="nearer to 0"),
    Metric("confusion.{B}.against", "goes along the flip of {B} to the other class, as the model paints it",
           better="nearer to 0"),
    Metric("confusion.{B}", "goes along the flip of {B}, as the model paints it", better="nearer to 0"),
)  # fmt: skip
METRICS = (
    Metric("counterfactual.{A}.hidden", "faces in which a hat hides the attribute", "share", "lower"),
    Metric("counterfactual.{A}.error_of_nothing", "error of doing nothing", better="lower", pages={"truth": ""}),
    Metric("counterfactual.{A}.error_of_reconstruction", "blur alone: reconstruction against photograph", better="lower",
           pages={"truth": ""}),
    *(
        replace(m, key=f"counterfactual.{{A}}.{m.key}",
                pages={} if m.key.startswith(("psnr", "confusion.")) else {"truth": ""})
        for m in _TRUTH
    ),
    *(
        replace(m, key=f"counterfactual.{{A}}.at_strength.{m.key}", title=f"{m.title}, at strength ±1",
                pages={"truth": ""} if m.key == "progress" else {})
        for m in _TRUTH
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Other:
    """Another attribute B: the faces drawn with B flipped, these as the model rebuilds them, and which flips `follow`.

    follows   [n]: flipping B takes it to the class that A is edited to, as it would be if A and B correlated positively
    """

    drawn: Images
    rebuilt: Images
    follows: Mask


@dataclass(frozen=True)
class Truth:
    """Faces [n, S, S, 3] before an edit of A, and what is known of them.

    photo, truth          x and x_A
    unedited, rebuilt     r(x) and r(x_A)
    region                [n, S, S], where a flip of A may change the picture
    others                by name
    """

    photo: Images
    truth: Images
    unedited: Images
    rebuilt: Images
    region: Mask
    others: Mapping[str, Other] = field(default_factory=dict)

    def of_photographs(self) -> Truth:
        """What edits are held against that keep the picture's own pixels: the pictures themselves, and no reconstruction."""
        others = {name: replace(other, rebuilt=other.drawn) for name, other in self.others.items()}
        return replace(self, unedited=self.photo, rebuilt=self.truth, others=others)


def compare(edited: Images, truth: Truth, seed: int = 0) -> dict[str, Measure]:
    """What an edit of A is worth, by key; a measure that has nothing to be measured on is absent."""
    measures: dict[str, Measure] = {}
    off = _difference(edited, truth.truth)
    error = np.square(off).mean((1, 2, 3))
    measures["error"] = mean_ci(error, seed)
    measures["psnr"] = mean_ci(peak_signal_to_noise(torch.from_numpy(error)).numpy(), seed)
    for name, mask in (("inside", truth.region), ("outside", ~truth.region)):
        pixels = mask.sum((1, 2))
        if pixels.any():
            sums = (np.square(off).mean(3) * mask).sum((1, 2))
            measures[name] = mean_ci(sums[pixels > 0] / pixels[pixels > 0], seed)
    beyond = np.square(_difference(edited, truth.rebuilt)).mean((1, 2, 3))
    measures["error_beyond_reconstruction"] = mean_ci(beyond, seed)
    change, true_change = _difference(edited, truth.unedited), _difference(truth.rebuilt, truth.unedited)
    start = np.square(true_change).mean((1, 2, 3))
    if start.any():
        measures["progress"] = ratio_ci(start - beyond, start, seed)
        measures["reach"] = ratio_ci(_dot(change, true_change), _dot(true_change, true_change), seed)
    energy = np.square(change).sum(3)
    whole = energy.sum((1, 2))
    if whole.any():
        within = (energy * truth.region).sum((1, 2))
        measures["locality_true"] = mean_ci(within[whole > 0] / whole[whole > 0], seed)
    for name, other in truth.others.items():
        measures.update(_confusion(name, other, truth, change, true_change, seed))
    return measures


def _confusion(
    name: str, other: Other, truth: Truth, change: Numbers, true_change: Numbers, seed: int
) -> dict[str, Measure]:
    """How far an edit of A went along the flip of B.

    Against r: (e - r(x_A)) · d / |d|², d = r(x_B) - r(x). Against the drawn pictures alone: the coefficient of x_B - x where
    e - r(x) is fitted by x_A - x and x_B - x, so that what an edit does to A counts for A where both change the same pixels.
    """
    measures, shown = {}, _difference(other.rebuilt, truth.unedited)
    along, length = _dot(change - true_change, shown), _dot(shown, shown)
    for key, rows in ((f"confusion.{name}", other.follows), (f"confusion.{name}.against", ~other.follows)):
        if length[rows].any():
            measures[key] = ratio_ci(along[rows], length[rows], seed)
    own, flip = _difference(truth.truth, truth.photo), _difference(other.drawn, truth.photo)
    size = _dot(own, own)
    share = np.divide(_dot(own, flip), size, out=np.zeros(len(size)), where=size > 0)
    alone = flip - share[:, None, None, None] * own
    rows, length = other.follows, _dot(alone, alone)
    if length[rows].any():
        measures[f"confusion_true.{name}"] = ratio_ci(_dot(change, alone)[rows], length[rows], seed)
    return measures


def compare_unedited(truth: Truth, seed: int = 0) -> dict[str, Measure]:
    """What doing nothing scores, and what is mere blur."""
    return {
        "error_of_nothing": mean_ci(np.square(_difference(truth.photo, truth.truth)).mean((1, 2, 3)), seed),
        "error_of_reconstruction": mean_ci(np.square(_difference(truth.unedited, truth.photo)).mean((1, 2, 3)), seed),
    }


def _difference(images: Images, reference: Images) -> Numbers:
    return (images.astype(np.float64) - reference) / 255


def _dot(first: Numbers, second: Numbers) -> Numbers:
    return np.asarray((first * second).sum((1, 2, 3)), np.float64)


class DrawnCounterfactuals:
    """Drawn faces and their true counterfactuals, each drawn once, for any number of attributes and models."""

    def __init__(self, faces: Faces) -> None:
        """Raises VisagistError for faces that are not drawn, or cannot be drawn again."""
        self.source, self.indices = drawn_source(faces)
        self.photos = np.ascontiguousarray(faces.images)
        self._flipped: dict[str, Images] = {}

    def labels(self, attribute: str) -> Mask:
        """Whether each face [n] has the attribute, as it was drawn."""
        return self.source.labels[self.indices, ATTRIBUTES.index(attribute)].astype(bool)

    def flipped(self, attribute: str) -> Images:
        """The faces [n, S, S, 3] with this attribute flipped and all else fixed."""
        if attribute not in self._flipped:
            pairs = zip(self.indices.tolist(), 1 - self.labels(attribute).astype(int))
            drawn = [self.source.counterfactual(index, **{attribute: int(value)}) for index, value in pairs]
            self._flipped[attribute] = np.stack(drawn)
        return self._flipped[attribute]

    def visible(self, attribute: str) -> NDArray[np.int64]:
        """Rows of the faces whose attribute no hat hides."""
        hidden = [self.source.hidden(index, attribute) for index in self.indices.tolist()]
        return np.flatnonzero(~np.array(hidden, bool))

    def region(self, attribute: str, rows: NDArray[np.int64]) -> Mask:
        """Where a flip may change the picture [n, S, S]."""
        return np.stack([self.source.region(index, attribute) for index in self.indices[rows].tolist()])


class Shown:
    """Drawn faces as one model shows them; nothing is passed through it twice."""

    def __init__(self, drawn: DrawnCounterfactuals, editor: Editor) -> None:
        self.drawn, self.editor = drawn, editor
        self.unedited = self._rebuild(drawn.photos)
        self._rebuilt: dict[str, Images] = {}

    def _rebuild(self, images: Images) -> Images:
        """Reconstructions; without an autoencoder the pictures themselves, which edits start from."""
        return self.editor.reconstruct_arrays(images) if self.editor.can("autoencode") else images

    def rebuilt(self, attribute: str) -> Images:
        """The model's reconstructions of the faces drawn with this attribute flipped."""
        if attribute not in self._rebuilt:
            self._rebuilt[attribute] = self._rebuild(self.drawn.flipped(attribute))
        return self._rebuilt[attribute]

    def truth(self, attribute: str, rows: NDArray[np.int64], others: tuple[str, ...] = ATTRIBUTES) -> Truth:
        """What an edit of the attribute in these rows is held against, with what it does to `others`."""
        drawn, present = self.drawn, self.drawn.labels(attribute)[rows]
        return Truth(
            drawn.photos[rows],
            drawn.flipped(attribute)[rows],
            self.unedited[rows],
            self.rebuilt(attribute)[rows],
            drawn.region(attribute, rows),
            {
                name: Other(drawn.flipped(name)[rows], self.rebuilt(name)[rows], drawn.labels(name)[rows] == present)
                for name in others
                if name != attribute
            },
        )

    def edited(self, attribute: str, rows: NDArray[np.int64], amounts: tuple[float, float]) -> Images:
        """Faces edited to their other class, by these amounts of the method toward 0 and toward 1."""
        column, value = self.editor.attributes.index(attribute), ~self.drawn.labels(attribute)[rows]
        target, amount = np.zeros((2, len(rows), len(self.editor.attributes)), np.float32)
        target[:, column], amount[:, column] = value, np.where(value, amounts[1], amounts[0])
        return self.editor.edit_arrays(self.drawn.photos[rows], target, amount)


def amounts_at_strength(editor: Editor, attribute: str) -> tuple[float, float]:
    """The method's amounts at strength −1 and +1."""
    ways = editor.strength_maps[attribute]
    return ways["-1"].amount(1.0), ways["+1"].amount(1.0)


def measure_attribute(shown: Shown, attribute: str, results: Metrics, seed: int = 0) -> None:
    """Add `counterfactual.A.*` of one attribute: at the paper's own setting, and at strength ±1 under `at_strength`."""
    key, editor = f"counterfactual.{attribute}", shown.editor
    rows, number = shown.drawn.visible(attribute), len(shown.drawn.indices)
    results.values[f"{key}.hidden"] = mean_ci(~np.isin(np.arange(number), rows), seed)
    if not len(rows):
        results.not_computed[f"{key}.error*"] = "a hat hides the attribute in every face"
        return
    truth = shown.truth(attribute, rows)
    paper = editor.backend.paper_amount
    settings = {"": (paper, paper), "at_strength.": amounts_at_strength(editor, attribute)}
    measures = compare_unedited(truth, seed)
    for prefix, amounts in settings.items():
        edit_measures = compare(shown.edited(attribute, rows, amounts), truth, seed)
        measures.update({f"{prefix}{name}": measure for name, measure in edit_measures.items()})
    results.values.update({f"{key}.{name}": measure for name, measure in measures.items()})


def measure_counterfactual(context: EvaluationContext) -> None:
    """`counterfactual.*` of an evaluation, on at most `FACES` of its faces; where they are not drawn, why it cannot be."""
    missing = context.results.not_computed
    context.progress.describe("drawing what is true")
    rows = np.sort(np.random.default_rng(context.seed).permutation(len(context.faces))[:FACES])
    try:
        drawn = DrawnCounterfactuals(context.faces.take(rows))
    except VisagistError as error:
        missing["counterfactual.*"] = str(error)
        return
    shown = Shown(drawn, context.editor)
    for name in context.labelled:
        if name in ATTRIBUTES:
            measure_attribute(shown, name, context.results, context.seed)
        else:
            missing[f"counterfactual.{name}.*"] = f"{name} is derived: it is not drawn, its parts are"


PAPER, FITTED, PHOTOGRAPH = "paper", "fitted", "photograph"
