from __future__ import annotations

import numpy as np
import pytest

from visagist.evaluation.metrics.leakage import boosted_probe, information_bound, linear_probe, mlp_probe, out_of_fold
from visagist.evaluation.statistics import balanced_mean_ci


def _balanced_accuracy(read: np.ndarray, labels: np.ndarray) -> float:
    return balanced_mean_ci((read >= 0.5) == labels, labels)["value"]


@pytest.fixture(scope="module")
def labels() -> np.ndarray:
    return np.random.default_rng(0).random(600) < 0.3


@pytest.fixture(scope="module")
def noise() -> np.ndarray:
    return np.random.default_rng(1).normal(size=(600, 12))


def test_a_random_code_tells_nothing(labels: np.ndarray, noise: np.ndarray) -> None:
    for probe in (linear_probe, mlp_probe, boosted_probe):
        assert _balanced_accuracy(out_of_fold(probe, noise, labels), labels) == pytest.approx(0.5, abs=0.07)


def test_a_planted_label_is_found_as_well_as_its_noise_allows(labels: np.ndarray, noise: np.ndarray) -> None:
    code = noise.copy()
    code[:, 4] += 2 * labels
    # Two unit normals two apart are told apart with Φ(1) = 84 %.
    for probe in (linear_probe, mlp_probe, boosted_probe):
        assert _balanced_accuracy(out_of_fold(probe, code, labels), labels) == pytest.approx(0.84, abs=0.05)


def test_a_linear_probe_does_not_find_a_label_hidden_in_the_sign_of_a_product(noise: np.ndarray) -> None:
    labels = noise[:, 0] * noise[:, 1] > 0
    assert _balanced_accuracy(out_of_fold(linear_probe, noise, labels), labels) < 0.6
    for probe in (mlp_probe, boosted_probe):
        assert _balanced_accuracy(out_of_fold(probe, noise, labels), labels) > 0.75


def test_a_label_in_the_spread_of_a_code_alone_is_found_by_what_is_not_linear(labels: np.ndarray, noise: np.ndarray) -> None:
    code = noise * np.where(labels, 2.0, 1.0)[:, None]
    assert _balanced_accuracy(out_of_fold(linear_probe, code, labels), labels) == pytest.approx(0.5, abs=0.07)
    for probe in (mlp_probe, boosted_probe):
        assert _balanced_accuracy(out_of_fold(probe, code, labels), labels) > 0.8


def test_the_scale_of_a_code_does_not_matter(labels: np.ndarray, noise: np.ndarray) -> None:
    code = noise.copy()
    code[:, 4] += 2 * labels
    small = out_of_fold(linear_probe, code, labels)
    np.testing.assert_allclose(small, out_of_fold(linear_probe, 1000 * code + 5, labels), atol=1e-6)


def test_the_information_bound_is_one_bit_for_a_certain_answer_and_none_for_a_shrug() -> None:
    labels = np.array([True, False])
    assert information_bound(np.array([1.0, 0.0]), labels).tolist() == pytest.approx([1, 1])
    assert information_bound(np.array([0.5, 0.5]), labels).tolist() == pytest.approx([0, 0])
    assert information_bound(np.array([0.0, 1.0]), labels).mean() < 0
