"""Random numbers keyed by seed, stream and index, and labels with requested correlations."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from visagist.attributes import check_attributes
from visagist.errors import VisagistError

ATTRIBUTES: tuple[str, ...] = (
    "Bangs", "Blond_Hair", "Eyeglasses", "Mouth_Slightly_Open", "No_Beard", "Smiling", "Wearing_Hat", "Young",
)  # fmt: skip

LABEL_STREAM = 0


def uniforms(seed: int, stream: int, rows: Sequence[int] | NDArray[np.integer], columns: int) -> NDArray[np.float64]:
    """Numbers [n, columns] in [0, 1) that depend on seed, stream, row and column alone.

    A counter-based hash (SplitMix64: Steele, Lea and Flood, 2014), so that no row depends on how many are drawn.
    """
    with np.errstate(over="ignore"):
        key = _scramble(np.array([seed], np.uint64) + np.uint64(0x632BE59BD9B4E019) * np.uint64(stream + 1))
        row = _scramble(key ^ _scramble(np.asarray(rows, np.uint64)))
        step = np.uint64(0x9E3779B97F4A7C15) * np.arange(1, columns + 1, dtype=np.uint64)
        return (_scramble(row[:, None] + step) >> np.uint64(11)).astype(np.float64) / 2**53


def _scramble(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))


def draw_labels(
    seed: int, number: int, correlation: NDArray[np.float64], prevalence: NDArray[np.float64]
) -> NDArray[np.uint8]:
    """Labels [N, A] of a Gaussian copula: a multivariate normal, thresholded where the prevalence says."""
    thresholds = np.array([NormalDist().inv_cdf(1 - share) for share in prevalence])
    factor = _cholesky_factor(_latent_correlation(correlation, prevalence, thresholds))
    columns = len(ATTRIBUTES)
    pairs = uniforms(seed, LABEL_STREAM, np.arange(number), 2 * columns)
    radius, angle = np.sqrt(-2 * np.log1p(-pairs[:, :columns])), 2 * np.pi * pairs[:, columns:]
    return ((radius * np.cos(angle)) @ factor.T > thresholds).astype(np.uint8)


def prevalences(requested: float | Mapping[str, float]) -> NDArray[np.float64]:
    """The share [A] of faces that have each attribute; those that a mapping leaves out have one half."""
    if isinstance(requested, Mapping):
        check_attributes(list(requested), ATTRIBUTES, "drawn faces")
        shares = np.array([float(requested.get(name, 0.5)) for name in ATTRIBUTES])
    else:
        shares = np.full(len(ATTRIBUTES), float(requested))
    if not np.all((shares > 0) & (shares < 1)):
        raise VisagistError(f"a prevalence lies between 0 and 1, both excluded, got {requested}")
    return shares


def correlation_matrix(requested: ArrayLike | Mapping[tuple[str, str], float] | None) -> NDArray[np.float64]:
    """The matrix [A, A] of the correlations asked for; pairs that a mapping leaves out are independent."""
    size = len(ATTRIBUTES)
    if isinstance(requested, Mapping):
        matrix = np.eye(size)
        for pair, value in requested.items():
            row, column = (ATTRIBUTES.index(name) for name in check_attributes(pair, ATTRIBUTES, "drawn faces"))
            matrix[row, column] = matrix[column, row] = value
    else:
        matrix = np.eye(size) if requested is None else np.array(requested, np.float64)
    if matrix.shape != (size, size) or not np.allclose(matrix, matrix.T) or not np.allclose(np.diag(matrix), 1):
        raise VisagistError(
            f"a correlation matrix is symmetric, {size} by {size}, with ones on its diagonal, in the order "
            f"{', '.join(ATTRIBUTES)}; got shape {matrix.shape}"
        )
    return matrix


def _latent_correlation(
    correlation: NDArray[np.float64], prevalence: NDArray[np.float64], thresholds: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The normal correlation [A, A] whose thresholded variables correlate as asked, pair by pair by bisection."""
    latent = np.eye(len(correlation))
    for i, j in combinations(range(len(correlation)), 2):
        if correlation[i, j] == 0:
            continue
        spread = math.sqrt(prevalence[i] * (1 - prevalence[i]) * prevalence[j] * (1 - prevalence[j]))
        excess = correlation[i, j] * spread
        low, high = -0.999, 0.999
        if not _joint_excess(low, *thresholds[[i, j]]) <= excess <= _joint_excess(high, *thresholds[[i, j]]):
            raise VisagistError(
                f"{ATTRIBUTES[i]} and {ATTRIBUTES[j]} cannot correlate at {correlation[i, j]:g} with prevalences "
                f"{prevalence[i]:g} and {prevalence[j]:g}: ask for less, or for more alike prevalences"
            )
        for _ in range(40):
            middle = 0.5 * (low + high)
            low, high = (middle, high) if _joint_excess(middle, *thresholds[[i, j]]) < excess else (low, middle)
        latent[i, j] = latent[j, i] = 0.5 * (low + high)
    return latent


def _joint_excess(rho: float, a: float, b: float) -> float:
    """P(X > a, Y > b) beyond independence: the normal density integrated over the correlation (Plackett, 1954)."""
    nodes, weights = np.polynomial.legendre.leggauss(48)
    angles = 0.5 * math.asin(rho) * (nodes + 1)
    density = np.exp(-(a * a + b * b - 2 * a * b * np.sin(angles)) / (2 * np.cos(angles) ** 2)) / (2 * math.pi)
    return float(0.5 * math.asin(rho) * np.sum(weights * density))


def _cholesky_factor(latent: NDArray[np.float64]) -> NDArray[np.float64]:
    try:
        return np.asarray(np.linalg.cholesky(latent), np.float64)
    except np.linalg.LinAlgError:
        raise VisagistError(
            "these correlations between attributes cannot hold together: no distribution has them; ask for weaker ones"
        ) from None
