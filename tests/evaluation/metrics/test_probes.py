from __future__ import annotations

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier

from visagist.evaluation.metrics.leakage import information_bound
from visagist.evaluation.statistics import balanced_mean_ci
from visagist.latent.probes import _split, boosted_probe, kernel_probe, linear_probe, mlp_probe, out_of_fold, read_label


def _balanced_accuracy(read: np.ndarray, labels: np.ndarray) -> float:
    return balanced_mean_ci((read >= 0.5) == labels, labels)["value"]


@pytest.fixture(scope="module")
def labels() -> np.ndarray:
    return np.random.default_rng(0).random(600) < 0.3


@pytest.fixture(scope="module")
def noise() -> np.ndarray:
    return np.random.default_rng(1).normal(size=(600, 12))


def test_a_random_code_tells_nothing(labels: np.ndarray, noise: np.ndarray) -> None:
    for probe in (linear_probe, mlp_probe, boosted_probe, kernel_probe):
        assert _balanced_accuracy(out_of_fold(probe, noise, labels), labels) == pytest.approx(0.5, abs=0.07)


def test_a_planted_label_is_found_as_well_as_its_noise_allows(labels: np.ndarray, noise: np.ndarray) -> None:
    code = noise.copy()
    code[:, 4] += 2 * labels
    # Two unit normals two apart are told apart with Φ(1) = 84 %.
    for probe in (linear_probe, mlp_probe, boosted_probe, kernel_probe):
        assert _balanced_accuracy(out_of_fold(probe, code, labels), labels) == pytest.approx(0.84, abs=0.05)


def test_a_linear_probe_does_not_find_a_label_hidden_in_the_sign_of_a_product(noise: np.ndarray) -> None:
    labels = noise[:, 0] * noise[:, 1] > 0
    assert _balanced_accuracy(out_of_fold(linear_probe, noise, labels), labels) < 0.6
    for probe in (mlp_probe, boosted_probe, kernel_probe):
        assert _balanced_accuracy(out_of_fold(probe, noise, labels), labels) > 0.65


def test_a_label_in_the_spread_of_a_code_alone_is_found_by_what_is_not_linear(labels: np.ndarray, noise: np.ndarray) -> None:
    code = noise * np.where(labels, 2.0, 1.0)[:, None]
    assert _balanced_accuracy(out_of_fold(linear_probe, code, labels), labels) == pytest.approx(0.5, abs=0.07)
    for probe in (mlp_probe, boosted_probe, kernel_probe):
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


def test_an_mlp_on_more_dimensions_than_it_can_learn_from_is_stopped_before_it_knows_its_faces_by_heart() -> None:
    """Fitted to the end it reads less than the linear probe does, and would call a leak forgetting."""
    rng = np.random.default_rng(3)
    labels = rng.random(500) < 0.5
    code = rng.normal(size=(500, 100))
    code[:, 0] += 2 * labels
    linear, mlp = (_balanced_accuracy(out_of_fold(probe, code, labels), labels) for probe in (linear_probe, mlp_probe))
    assert mlp > linear - 0.03
    assert linear > 0.75


def test_training_faces_are_used_where_they_tell_more(noise: np.ndarray) -> None:
    rng = np.random.default_rng(4)

    def faces(number: int) -> tuple[np.ndarray, np.ndarray]:
        labels = rng.random(number) < 0.5
        return rng.normal(size=(number, 40)) * np.where(labels, 1.35, 1.0)[:, None], labels

    few, many = faces(120), faces(2000)
    alone = read_label(kernel_probe, *few)
    together = read_label(kernel_probe, *few, many)
    assert together.validated > alone.validated
    assert _balanced_accuracy(together.probabilities, few[1]) > _balanced_accuracy(alone.probabilities, few[1]) + 0.05
    lost = read_label(kernel_probe, *few, (rng.normal(size=(2000, 40)), many[1]))
    assert np.array_equal(lost.probabilities, alone.probabilities) or lost.validated > alone.validated


@pytest.mark.parametrize("rarer", [0.5, 0.1])
def test_boosted_trees_are_those_of_scikit_learns_own_bins(noise: np.ndarray, rarer: float) -> None:
    rng = np.random.default_rng(2)
    labels = rng.random(len(noise)) < rarer
    coarse, others = noise[:, :1].round(1), labels[:, None] ^ (rng.random((600, 2)) < 0.3)
    code = np.concatenate([noise + labels[:, None], coarse, others], axis=1)
    seen, kept = _split(labels, 0)
    own = HistGradientBoostingClassifier(
        max_iter=100, max_leaf_nodes=15, max_bins=63, learning_rate=0.15, l2_regularization=1.0, class_weight="balanced",
        early_stopping=True, n_iter_no_change=5, random_state=0,
    ).fit(code[seen], labels[seen], X_val=code[kept], y_val=labels[kept])  # fmt: skip
    beyond = np.concatenate([code, 3 * code])
    np.testing.assert_array_equal(boosted_probe(code, labels, 0).predict(beyond), own.predict_proba(beyond)[:, 1])
