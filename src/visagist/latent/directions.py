"""Directions in a model's code along which an attribute changes: five kinds, each also conditioned on other attributes.

A direction is a unit vector d [Z]: z + s d has more of the attribute, z - s d less, whatever s > 0. It is fitted on codes of
training faces, and is a pure function of them. Codes are centred and divided by one number, not by one for each
dimension, so d is in the space of z, and a penalty C means the same in every model. A divisor for each dimension would
turn noise in those that the decoder ignores, which hardly vary, into the longest parts of d.

Shape letters: N faces, Z latent dimensions, K other directions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from sklearn.covariance import ledoit_wolf
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC
from torch import Tensor

from visagist.attributes import check_available, related_attributes
from visagist.errors import VisagistError, nearest
from visagist.latent.direction_types import Codes, Direction, Truths, Vector

Fit = Callable[[NDArray[np.float64], Truths], Vector]

PENALTY = 0.1  # C of logistic regression and of the linear SVM; smaller is stronger
ITERATIONS = 2000
LEAST_OF_A_CLASS = 2
# What is left of a unit vector when others are taken out of it; less than this is rounding and noise.
LEAST_LEFT = 1e-3
# Codes that differ by less than this share of the largest are the same but for rounding.
SAME = 1e-9
CLASSIFIER = "classifier"


@runtime_checkable
class LinearlyClassified(Protocol):
    """A method with a linear classifier on z, whose weights it gives as unit vectors [A, Z]."""

    attributes: tuple[str, ...]

    def directions(self) -> Tensor: ...


def mean_difference(z: NDArray[np.float64], present: Truths) -> Vector:
    """From the mean code without the attribute to the mean code with it, of length 1.

    Larsen, Sønderby, Larochelle and Winther (2016), "Autoencoding beyond pixels using a learned similarity metric".
    """
    return _unit(z[present].mean(0) - z[~present].mean(0))


def logistic_regression(z: NDArray[np.float64], present: Truths) -> Vector:
    """The normal of the plane that logistic regression puts between the classes, which weigh the same; L2, C = .1."""
    return _normal(LogisticRegression(C=PENALTY, class_weight="balanced", max_iter=ITERATIONS), z, present)


def linear_svm(z: NDArray[np.float64], present: Truths) -> Vector:
    """The normal of a linear SVM, squared hinge, classes that weigh the same; L2, C = .1.

    Shen, Gu, Tang and Zhou (2020), "Interpreting the latent space of GANs for semantic face editing".
    """
    return _normal(LinearSVC(C=PENALTY, class_weight="balanced", dual=False, max_iter=ITERATIONS), z, present)


def discriminant(z: NDArray[np.float64], present: Truths) -> Vector:
    """Fisher's linear discriminant: the inverse covariance within classes times the difference of means, of length 1.

    The covariance is shrunk toward a multiple of the identity by as much as Ledoit and Wolf (2004) find best.
    """
    means = z[present].mean(0), z[~present].mean(0)
    within, _ = ledoit_wolf(_scaled(np.where(present[:, None], z - means[0], z - means[1])), assume_centered=True)
    return _unit(np.linalg.lstsq(within, means[0] - means[1], rcond=None)[0])


FITS: dict[str, Fit] = {
    "mean": mean_difference,
    "logistic": logistic_regression,
    "svm": linear_svm,
    "lda": discriminant,
}
KINDS = (CLASSIFIER, *FITS)


def conditioned(direction: Vector, others: NDArray[np.float64]) -> Vector:
    """What of a direction [Z] is at right angles to others [K, Z], of length 1: along it theirs stand still.

    For one other direction it is the conditional manipulation of Shen et al. (2020); for several, what is left outside
    their span. VisagistError where nothing is left.
    """
    if others.ndim != 2 or others.shape[1] != len(direction) or not len(others):
        raise VisagistError(f"others are [K, {len(direction)}] with K at least 1, got {list(others.shape)}")
    _, sizes, basis = np.linalg.svd(others / np.linalg.norm(others, axis=1, keepdims=True), full_matrices=False)
    basis = basis[sizes > LEAST_LEFT * sizes[0]]
    left = direction / np.linalg.norm(direction)
    for _ in range(2):  # once leaves what rounding leaves
        left = left - basis.T @ (basis @ left)
    if np.linalg.norm(left) < LEAST_LEFT:
        raise VisagistError(
            "nothing is left of the direction without the others: it lies in their span; condition on fewer attributes"
        )
    return _unit(left)


def fit_directions(
    method: Any,
    codes: Codes,
    attributes: Sequence[str],
    given: Sequence[str] = (),
    kinds: Sequence[str] | None = None,
) -> list[Direction]:
    """Each attribute's direction of each kind, plain and, where `given` names others, with these taken out.

    What cannot but change with an attribute (itself, its parts) is not taken out of it. Without `kinds` it is all that the
    model has. Raises VisagistError for unknown names, one class of faces, and what leaves nothing.
    """
    for kind in kinds or ():
        if kind not in KINDS:
            raise VisagistError(f"no kind of direction {kind!r}: {nearest(kind, KINDS)}")
    plain: dict[tuple[str, str], Vector] = {}

    def vector(kind: str, attribute: str) -> Vector:
        if (kind, attribute) not in plain:
            present = _both_classes(codes, attribute)
            fitted = _weights(method, attribute) if kind == CLASSIFIER else FITS[kind](codes.z, present)
            plain[kind, attribute] = orient(fitted, codes.z, present)
        return plain[kind, attribute]

    directions = []
    for attribute in check_available(attributes, codes.names):
        present = _both_classes(codes, attribute)
        unit = _spread(codes.z, vector("mean", attribute), attribute)
        others = conditions(attribute, given)
        for kind in kinds if kinds is not None else kinds_of(method, attribute):
            facts = {"unit": unit, "n_with": int(present.sum()), "n_without": int((~present).sum())}
            direction = Direction(attribute, kind, vector(kind, attribute), **facts)  # type: ignore[arg-type]
            directions.append(_with_middle(direction, codes.z, present) if kind == "mean" else direction)
            if not others:
                continue
            unknown = tuple(name for name in others if kind == CLASSIFIER and not _knows(method, name))
            span = np.stack([vector("logistic" if name in unknown else kind, name) for name in others])
            try:
                rest = conditioned(vector(kind, attribute), span)
            except VisagistError as error:
                raise VisagistError(f"{attribute} by {kind}, given {', '.join(others)}: {error}") from error
            directions.append(Direction(attribute, kind, rest, given=others, stand_ins=unknown, **facts))  # type: ignore[arg-type]
    return directions


def conditions(attribute: str, given: Sequence[str]) -> tuple[str, ...]:
    """Those of `given` that can be held still while the attribute changes."""
    return tuple(name for name in given if name not in related_attributes(attribute))


def kinds_of(method: Any, attribute: str) -> tuple[str, ...]:
    """The kinds of direction that this model has for the attribute."""
    return KINDS if _knows(method, attribute) else tuple(FITS)


def orient(direction: Vector, z: NDArray[np.float64], present: Truths) -> Vector:
    """The direction or its opposite, so that codes [N, Z] with the attribute lie further along it on average."""
    along = z @ direction
    return direction if along[present].mean() >= along[~present].mean() else -direction


def _knows(method: Any, attribute: str) -> bool:
    return isinstance(method, LinearlyClassified) and attribute in method.attributes


def _weights(method: Any, attribute: str) -> Vector:
    if not _knows(method, attribute):
        raise VisagistError(f"the model has no linear classifier of {attribute} on its code: take {', '.join(FITS)}")
    row = method.directions()[method.attributes.index(attribute)]
    return _unit(row.detach().double().cpu().numpy())


def _both_classes(codes: Codes, attribute: str) -> Truths:
    present = codes.present(attribute)
    rarer = int(min(present.sum(), (~present).sum()))
    if rarer < LEAST_OF_A_CLASS:
        raise VisagistError(
            f"of the {len(present)} training faces {int(present.sum())} have {attribute}: "
            f"a direction needs at least {LEAST_OF_A_CLASS} of either class, so give more faces or another attribute"
        )
    return present


def _with_middle(mean: Direction, z: NDArray[np.float64], present: Truths) -> Direction:
    """The mean difference with its length, and where its middle lies."""
    above, below = z[present].mean(0), z[~present].mean(0)
    middle = float((above + below) @ mean.vector) / 2
    return replace(mean, length=float(np.linalg.norm(above - below)), middle=middle)


def _spread(z: NDArray[np.float64], direction: Vector, attribute: str) -> float:
    """The standard deviation of codes [N, Z] along a direction."""
    spread = float((z @ direction).std())
    if spread <= SAME * float(np.abs(z).max()):
        raise VisagistError(f"the codes do not vary with {attribute}: the model puts every face at the same place")
    return spread


def _normal(classifier: LogisticRegression | LinearSVC, z: NDArray[np.float64], present: Truths) -> Vector:
    classifier.fit(_scaled(z), present)
    if np.max(classifier.n_iter_) >= ITERATIONS:
        name = type(classifier).__name__
        raise VisagistError(f"{name} did not settle in {ITERATIONS} iterations: give more training faces")
    return _unit(classifier.coef_[0])


def _scaled(z: NDArray[np.float64]) -> NDArray[np.float64]:
    """Codes around 0, whose variance is 1 on average over the dimensions."""
    centred = z - z.mean(0)
    return centred / max(float(np.sqrt(np.square(centred).mean())), np.finfo(np.float64).tiny)


def _unit(vector: Vector) -> Vector:
    length = float(np.linalg.norm(vector))
    if not np.isfinite(length) or length < np.finfo(np.float64).tiny:
        raise VisagistError("the codes of both classes have no difference to make a direction of: the model tells none")
    return vector / length
