"""Fitting the transport that takes attributes out of a label-conditioned model's codes (`networks/transport.py`).

It is fitted to codes as they are in use: of training faces, in evaluation mode, with the model's own reading of the labels.
Two targets:

    marginal     u is to tell nothing of the attribute
    conditional  u is to tell nothing of it beyond what other labels tell: who wears a beard is a man, and u may say man

For the second, faces are weighted so that both classes have the same other labels: with e = P(present | other labels) by a
logistic regression, 1 - e for faces with the attribute and e for those without. These overlap weights balance the means of
the labels (Li, Morgan and Zaslavsky, 2018), and faces that can be of one class alone, as women of No_Beard, count little.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, cast

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from visagist.attributes import OVERLAPPING, attribute_column, check_attributes, reads_as, related_attributes
from visagist.data.faces import Faces
from visagist.errors import VisagistError
from visagist.judges.judge import CalibratingJudge, refuse_scoring
from visagist.latent.backend import FaceModel, trained_method
from visagist.latent.codes import encode_images, over_batches
from visagist.methods.base import Code
from visagist.methods.families.label_conditioned import LabelConditioned
from visagist.networks.transport import ClassTransport, MeanShift, label_position
from visagist.pixels import to_pixels
from visagist.progress import Progress, ProgressLike, progress_of

Target = Literal["marginal", "conditional"]
TARGETS: tuple[Target, ...] = ("marginal", "conditional")
FEWEST = 2  # faces of a class, by their weights, for each latent dimension: fewer make no covariance
FLOOR = 1e-6  # of a covariance's eigenvalues, over their mean, and of a deviation, over that of all the rest
RIDGE = 0.01  # of a regression; results are the same from .0001 to .1
BATCH = 256
_Array = NDArray[np.float64]


@dataclass(frozen=True)
class Transported:
    """What was fitted to one attribute, JSON-able.

    n_absent, n_present   faces of either class, as many equally weighted ones as their weights are worth
    distance              of the means, in deviations of the codes pooled over both classes (Mahalanobis)
    stretch               the least and the largest eigenvalue of M
    given                 labels beyond which the code is to tell nothing
    reach                 how far beyond the means of absent and present an edit goes, over their distance
    seen                  the share of edits to absent and to present that the calibrating judge then sees; None: not asked
    """

    attribute: str
    target: Target
    n_absent: float
    n_present: float
    distance: float
    stretch: tuple[float, float]
    given: tuple[str, ...]
    reach: tuple[float, float] = (0.0, 0.0)
    seen: tuple[float, float] | None = None


@dataclass(frozen=True)
class Gaussian:
    """The weighted mean [Z] and covariance [Z, Z] of codes, and how many equally weighted ones they are worth."""

    mean: _Array
    covariance: _Array
    n: float


def weighted_gaussian(codes: _Array, weights: _Array) -> Gaussian:
    """Of codes [N, Z] with weights [N] of at least 0."""
    n = float(weights.sum() ** 2 / np.square(weights).sum()) if weights.any() else 0.0
    share = weights / max(weights.sum(), 1e-12)
    mean = share @ codes
    centred = codes - mean
    return Gaussian(mean, (centred * share[:, None]).T @ centred, n)


def fit_mean_shift(codes: _Array, absent: _Array, present: _Array) -> MeanShift:
    """The step along the difference of the means of codes [N, Z], of which `absent` and `present` [N] weigh both classes.

    w is regressed on v in either class, by least squares with a ridge of `RIDGE` of the mean variance of v.
    """
    means = [each @ codes / each.sum() for each in (absent, present)]
    q = means[1] - means[0]
    q = q / max(float(np.linalg.norm(q)), np.finfo(np.float64).tiny)
    w = codes @ q
    v = codes - w[:, None] * q
    centre = means[0] - (means[0] @ q) * q
    level, slope, spread = [], [], []
    for each in (absent, present):
        share, mean = each / each.sum(), each @ w / each.sum()
        weighted = (v - centre) * share[:, None]
        square = weighted.T @ (v - centre)
        ridge = RIDGE * float(np.trace(square)) / len(q) * np.eye(len(q))
        slope.append(np.linalg.lstsq(square + ridge, weighted.T @ (w - mean))[0])
        off = w - mean - (v - centre) @ slope[-1]
        level.append(mean)
        spread.append(max(float(np.sqrt(share @ np.square(off))), FLOOR * float(np.sqrt(np.trace(square))), 1e-30))
    return MeanShift(*(torch.from_numpy(np.asarray(value)).float() for value in (q, centre, level, slope, spread)))


def transport_between(absent: _Array, present: _Array) -> tuple[_Array, _Array]:
    """Eigenvectors [Z, Z] and eigenvalues [Z] of the optimal transport M from N(0, absent) to N(0, present).

    M = A^(-1/2) (A^(1/2) P A^(1/2))^(1/2) A^(-1/2), symmetric and positive (Dowson and Landau, 1982).
    """
    root, inverse = _power(absent, 0.5), _power(absent, -0.5)
    moved = inverse @ _power(root @ present @ root, 0.5) @ inverse
    scale, rotation = np.linalg.eigh((moved + moved.T) / 2)
    return rotation, scale


def without_chance(absent: Gaussian, present: Gaussian) -> tuple[_Array, _Array]:
    """Both covariances [Z, Z], with what chance alone makes of their difference left out.

    Of codes that are pooled and white, half that difference has eigenvalues up to c = sqrt(Z (1/n + 1/n')) where the classes
    are the same: the edge of Wigner's semicircle. Those within it become 0, one of size s beyond it (s + sqrt(s² - c²)) / 2,
    which undoes what chance adds to it (Capitaine, Donati-Martin and Féral, 2009).
    """
    pooled = (absent.covariance + present.covariance) / 2
    root, inverse = _power(pooled, 0.5), _power(pooled, -0.5)
    values, vectors = np.linalg.eigh(inverse @ (present.covariance - absent.covariance) @ inverse / 2)
    edge = np.sqrt(len(values) * (1 / absent.n + 1 / present.n))
    size = np.abs(values)
    beyond = np.where(size > edge, (size + np.sqrt((size**2 - edge**2).clip(0))) / 2, 0)
    half = root @ (vectors * np.sign(values) * beyond) @ vectors.T @ root
    return pooled - half, pooled + half


def overlap_weights(share: _Array, others: NDArray[Any]) -> _Array:
    """Weights [N] that give faces with and without the attribute the same mean of each other label [N, C].

    share  t in [0, 1] of each face; that above one half counts as present
    """
    present = share >= 0.5
    varied = others[:, others.std(0) > 0].astype(np.float64)
    model = LogisticRegression(C=1e4, max_iter=2000).fit(varied, present)
    likely = model.predict_proba(varied)[:, 1]
    return np.where(present, 1 - likely, likely)


def correlates(attribute: str, names: Sequence[str], given: Sequence[str] | None = None) -> tuple[str, ...]:
    """The labels beyond which a code is to tell nothing: all that neither are nor overlap the attribute, or those given."""
    if given is not None:
        return check_attributes([*given], names)
    own = related_attributes(attribute) | set(OVERLAPPING.get(attribute, ()))
    return tuple(name for name in names if name not in own)


def fit_transport(
    method: LabelConditioned,
    codes: _Array,
    probabilities: _Array,
    faces: Faces,
    target: Target,
    given: Sequence[str] | None = None,
) -> list[Transported]:
    """Fit the transport of a method, attribute after attribute, to codes [N, Z] of the model itself; returns the facts.

    probabilities  [N, A], the model's reading of the same faces
    faces          the same N faces, with whatever other labels they have
    Raises VisagistError where a class has too few faces for a covariance, or `conditional` has no other label.
    """
    transport = method.transport
    assert transport is not None
    transport.reset()
    facts = []
    for row, name in enumerate(method.attributes):
        share = label_position(torch.from_numpy(probabilities[:, row])).double().numpy()
        weights, others = np.ones(len(share)), tuple[str, ...]()
        if target == "conditional":
            others = correlates(name, faces.names, given)
            if not others:
                raise VisagistError(f"these faces have no label besides {name}: factor it with the target marginal")
            weights = overlap_weights(share, np.stack([faces.column(other) for other in others], 1))
        classes = (weights * (1 - share), weights * share)
        absent, present = (weighted_gaussian(codes, each) for each in classes)
        _check_enough(name, absent.n, present.n, codes.shape[1])
        transport.set_mean_shift(row, fit_mean_shift(codes, *classes))
        z, t = torch.from_numpy(codes).float(), torch.from_numpy(share).float()
        moved = transport.shift_mean(row, z, t, torch.full_like(t, 0.5)).double().numpy()
        left = [weighted_gaussian(moved, each) for each in classes]
        rotation, scale = transport_between(*without_chance(*left))
        means = np.stack([each.mean for each in left])
        transport.set_attribute(row, *(torch.from_numpy(value).float() for value in (means, rotation, scale)))
        codes = transport.forget_one(row, z, t).double().numpy()
        facts.append(_facts(name, target, absent, present, scale, others))
    return facts


def read_codes(
    editor: FaceModel, faces: Faces, rows: NDArray[np.int64], progress: Progress
) -> tuple[_Array, _Array]:
    """Posterior means [N, Z] as the encoder gives them, and the model's reading [N, A], of these rows of faces.

    VisagistError where the faces are not of the model's size.
    """
    method = cast(LabelConditioned, trained_method(editor, "the class transport"))
    codes, read = [], []
    for start in range(0, len(rows), BATCH):
        part = faces.images[rows[start : start + BATCH]]
        for mu, logits in over_batches(editor, part, method.posterior_mean):
            codes.append(mu.double().cpu().numpy())
            read.append(torch.sigmoid(logits).double().cpu().numpy())
        progress.report(start + len(part), len(rows))
    return np.concatenate(codes), np.concatenate(read)


def _facts(
    name: str, target: Target, absent: Gaussian, present: Gaussian, scale: _Array, given: tuple[str, ...]
) -> Transported:
    pooled = (absent.covariance + present.covariance) / 2
    distance = float(np.linalg.norm(_power(pooled, -0.5) @ (present.mean - absent.mean)))
    return Transported(
        name, target, round(absent.n, 1), round(present.n, 1), round(distance, 4),
        (round(float(scale.min()), 4), round(float(scale.max()), 4)), given,
    )  # fmt: skip


def _check_enough(name: str, absent: float, present: float, latent: int) -> None:
    fewest, which = min((absent, "without"), (present, "with"))
    if fewest < FEWEST * latent:
        raise VisagistError(
            f"{fewest:.0f} faces {which} {name} are too few for the covariance of {latent} latent dimensions, which needs "
            f"{FEWEST * latent}: give more training faces"
        )


def _power(matrix: _Array, exponent: float) -> _Array:
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    floor = FLOOR * max(float(values.mean()), np.finfo(np.float64).tiny)
    return (vectors * values.clip(floor) ** exponent) @ vectors.T


GOAL = 0.98  # of faces on which the edit is to be seen
STEP, FARTHEST = 0.25, 4.0
# Of some 300 faces, by which a share may fall short of the highest and still count as it.
CHANCE = 0.01


def fit_edit_extent(
    editor: FaceModel,
    judge: CalibratingJudge,
    faces: Faces,
    attributes: Sequence[str],
    number: int = 300,
    progress: ProgressLike = None,
) -> dict[str, tuple[tuple[float, float], tuple[float, float]]]:
    """Set the reach of an editor's transport for these attributes; returns reach and what is then seen, absent and present.

    number  at most so many validation faces of the class opposite to each direction
    VisagistError for the judge that scores reports. The faces have both classes of each attribute.
    """
    refuse_scoring(judge)
    transport = _transport(editor)
    rows, extents = faces.indices("val"), {}
    with progress_of(progress) as bar:
        for done, name in enumerate(attributes):
            row, ends = editor.attributes.index(name), list[tuple[float, float]]()
            for present in (0, 1):
                codes = encode_images(editor, faces.images[rows[faces.column(name)[rows] != present][:number]])
                ends.append(smallest_sufficient(partial(_seen, editor, judge, codes, name, present)))
                transport.reach[row, present] = ends[-1][0]
                bar.report(2 * done + present + 1, 2 * len(attributes))
            (absent, seen_absent), (there, seen_present) = ends
            extents[name] = ((absent, there), (seen_absent, seen_present))
    return extents


def smallest_sufficient(seen: Callable[[float], float]) -> tuple[float, float]:
    """The first extent at which `seen` is GOAL, else the first within CHANCE of the highest; and what is seen there."""
    tried = []
    for extent in np.arange(0, FARTHEST + STEP / 2, STEP).tolist():
        tried.append((extent, seen(extent)))
        if tried[-1][1] >= GOAL:
            return tried[-1]
    highest = max(share for _, share in tried)
    return next((extent, share) for extent, share in tried if share >= highest - CHANCE)


def _seen(editor: FaceModel, judge: CalibratingJudge, codes: Code, name: str, present: int, extent: float) -> float:
    """The share of faces of these codes on which the judge sees the edit, once its extent is set."""
    method, row = cast(LabelConditioned, trained_method(editor, "the class transport")), editor.attributes.index(name)
    _transport(editor).reach[row, present] = extent
    target = torch.zeros(1, len(editor.attributes), device=editor.device)
    amount = torch.zeros_like(target)
    target[0, row], amount[0, row] = present, 1
    edited = []
    with torch.inference_mode():
        for z, y in zip(codes.z.split(BATCH), cast(Tensor, codes.y).split(BATCH)):
            setting = (setting.expand(len(z), -1) for setting in (target, amount))
            edited.append(to_pixels(method.edit_prepared(Code(z.to(editor.device), y.to(editor.device)), *setting)))
    score = attribute_column(judge.score(np.concatenate(edited)), judge.attributes, name)
    return float(np.mean(reads_as(score, bool(present))))


def _transport(editor: FaceModel) -> ClassTransport:
    transport = cast(LabelConditioned, trained_method(editor, "the class transport")).transport
    assert transport is not None, "only a method with a transport has an extent of edits"
    return transport
