"""The transport between two classes of codes: what it maps onto what, and that there is a way back."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from visagist.latent.optimal_transport import Gaussian, fit_mean_shift, overlap_weights, transport_between, weighted_gaussian
from visagist.networks.transport import ClassTransport, label_position

LATENT = 5


def covariance(seed: int) -> np.ndarray:
    square = np.random.default_rng(seed).normal(size=(LATENT, LATENT))
    return square @ square.T + 0.1 * np.eye(LATENT)


def between(absent: Gaussian, present: Gaussian) -> ClassTransport:
    transport = ClassTransport(absent.mean.size, 1)
    rotation, scale = transport_between(absent.covariance, present.covariance)
    means = np.stack([absent.mean, present.mean])
    transport.set_attribute(0, *(torch.from_numpy(value).float() for value in (means, rotation, scale)))
    return transport


def a_transport() -> ClassTransport:
    draw = np.random.default_rng(0)
    return between(*(Gaussian(draw.normal(size=LATENT), covariance(seed), 100) for seed in (1, 2)))


def test_the_map_takes_one_covariance_to_the_other_and_is_symmetric_and_positive() -> None:
    rotation, scale = transport_between(covariance(1), covariance(2))
    moved = (rotation * scale) @ rotation.T
    np.testing.assert_allclose(moved @ covariance(1) @ moved, covariance(2), rtol=1e-8, atol=1e-10)
    assert (scale > 0).all()
    np.testing.assert_allclose(rotation.T @ rotation, np.eye(LATENT), atol=1e-10)


def test_of_covariances_that_commute_it_is_the_ratio_of_deviations() -> None:
    _, scale = transport_between(np.diag([1.0, 4.0]), np.diag([9.0, 1.0]))
    np.testing.assert_allclose(scale, [0.5, 3.0])


def test_what_is_forgotten_is_remembered_exactly_whatever_the_labels() -> None:
    transport, z = a_transport(), torch.randn(64, LATENT)
    t = torch.rand(64, 1)
    assert not torch.allclose(transport.forget(z, t), z, atol=0.1)
    torch.testing.assert_close(transport.remember(transport.forget(z, t), t), z, rtol=1e-4, atol=1e-4)


def test_beyond_a_class_the_mean_goes_on_as_far_again() -> None:
    transport, u = a_transport(), torch.randn(8, LATENT)
    there, beyond = (transport.remember(u, torch.full((8, 1), t)) for t in (1.0, 1.5))
    absent, present = transport.means[0]
    torch.testing.assert_close(beyond - there, (0.5 * (present - absent)).expand(8, -1), rtol=1e-3, atol=1e-4)


def test_a_code_remembered_with_the_other_label_is_moved_by_the_optimal_transport() -> None:
    absent, present = Gaussian(np.zeros(2), np.diag([1.0, 4.0]), 9), Gaussian(np.array([1.0, 2.0]), np.diag([9.0, 1.0]), 9)
    transport = between(absent, present)
    z = torch.tensor([[1.0, 1.0]])
    moved = transport.remember(transport.forget(z, torch.zeros(1, 1)), torch.ones(1, 1))
    torch.testing.assert_close(moved, torch.tensor([[1 + 3.0, 2 + 0.5]]))


def test_both_classes_have_the_same_mean_and_covariance_once_forgotten_and_had_not_before() -> None:
    draw = np.random.default_rng(0)
    y = np.repeat([0, 1], 4000)
    z = draw.multivariate_normal(np.zeros(LATENT), covariance(1), 8000)
    z[4000:] = draw.multivariate_normal(np.full(LATENT, 2.0), covariance(2), 4000)
    transport = between(weighted_gaussian(z, 1.0 - y), weighted_gaussian(z, 1.0 * y))
    u = transport.forget(torch.from_numpy(z).float(), torch.from_numpy(y)[:, None].float()).double().numpy()
    assert np.abs(z[y == 0].mean(0) - z[y == 1].mean(0)).min() > 1
    np.testing.assert_allclose(u[y == 0].mean(0), u[y == 1].mean(0), atol=1e-4)
    np.testing.assert_allclose(np.cov(u[y == 0].T), np.cov(u[y == 1].T), rtol=0.01, atol=0.01)
    assert LogisticRegression().fit(u, y).score(u, y) < 0.52


def test_an_edit_narrows_what_varies_less_and_widens_nothing() -> None:
    absent, present = Gaussian(np.zeros(2), np.diag([1.0, 4.0]), 9), Gaussian(np.array([1.0, 2.0]), np.diag([9.0, 1.0]), 9)
    transport = between(absent, present)
    z, none, all_ = torch.tensor([[1.0, 1.0]]), torch.zeros(1, 1), torch.ones(1, 1)
    given = transport.edited(transport.forget(z, none), none, all_)
    torch.testing.assert_close(given, torch.tensor([[1 + 1.0, 2 + 0.5]]), msg="3 times as wide, and left as it is")
    back = transport.edited(transport.forget(z, all_), all_, none)
    torch.testing.assert_close(back, torch.tensor([[0.0, -1.0]]), msg="narrowed by 3 around the mean, and not widened by 2")
    t = torch.rand(1, 1)
    torch.testing.assert_close(transport.edited(transport.forget(z, t), t, t), z)


def sheared(count: int = 6000) -> tuple[torch.Tensor, np.ndarray, np.ndarray]:
    """Codes whose fourth number is 2, and more by the first, where a label is 1: by how much depends on the rest."""
    draw = np.random.default_rng(3)
    y = draw.integers(0, 2, count).astype(float)
    z = draw.multivariate_normal(np.zeros(LATENT), covariance(5), count)
    truth = z.copy()
    by = 2 + 0.8 * z[:, 0]
    z[:, 3] += y * by
    truth[:, 3] += (1 - y) * by
    return torch.from_numpy(z).float(), y, truth


def stepping() -> tuple[ClassTransport, torch.Tensor, np.ndarray, np.ndarray]:
    z, y, truth = sheared()
    transport = ClassTransport(LATENT, 1)
    transport.set_mean_shift(0, fit_mean_shift(z.double().numpy(), 1 - y, y))
    return transport, z, y, truth


def test_how_far_a_code_moves_along_the_means_depends_on_the_rest_of_it_and_the_rest_stays() -> None:
    transport, z, y, truth = stepping()
    t = torch.from_numpy(y).float()
    moved = transport.shift_mean(0, z, t, 1 - t).double().numpy()
    q = transport.direction[0].double().numpy()
    assert abs(q[3]) > 0.99, "the means differ in the fourth number"
    rest = np.eye(LATENT) - np.outer(q, q)
    np.testing.assert_allclose(moved @ rest, z.double().numpy() @ rest, atol=1e-4)
    off = np.square(moved - truth).sum(1).mean() / np.square(z.double().numpy() - truth).sum(1).mean()
    by_means = z.double().numpy() + np.where(y, -1, 1)[:, None] * (z.numpy()[y == 1].mean(0) - z.numpy()[y == 0].mean(0))
    off_by_means = np.square(by_means - truth).sum(1).mean() / np.square(z.double().numpy() - truth).sum(1).mean()
    assert off < 0.03 < 0.1 < off_by_means


def test_the_step_along_the_means_has_an_exact_way_back_and_goes_on_beyond_a_class() -> None:
    transport, z, _, _ = stepping()
    t = torch.rand(len(z), 1)
    torch.testing.assert_close(transport.remember(transport.forget(z, t), t), z, rtol=1e-4, atol=1e-4)
    u = transport.forget(z, t)
    there, beyond = (transport.remember(u, torch.full_like(t, at)) for at in (1.0, 1.5))
    absent, present = transport.level[0]
    torch.testing.assert_close(
        beyond - there, (0.5 * (present - absent) * transport.direction[0]).expand_as(z), rtol=1e-3, atol=1e-3
    )


def test_codes_without_a_difference_of_means_or_without_any_spread_are_moved_to_numbers() -> None:
    for codes in (np.zeros((40, LATENT)), np.tile(np.eye(2, LATENT), (20, 1))):
        y = np.tile([0.0, 1.0], 20)
        transport = ClassTransport(LATENT, 1)
        transport.set_mean_shift(0, fit_mean_shift(codes, 1 - y, y))
        assert torch.isfinite(transport.forget(torch.randn(8, LATENT), torch.rand(8, 1))).all()


def test_attributes_are_undone_in_the_opposite_order() -> None:
    transport = ClassTransport(LATENT, 2)
    for place, seeds in enumerate([(1, 2), (3, 4)]):
        rotation, scale = transport_between(*(covariance(seed) for seed in seeds))
        means = np.random.default_rng(place).normal(size=(2, LATENT))
        transport.set_attribute(place, *(torch.from_numpy(value).float() for value in (means, rotation, scale)))
    z, y = torch.randn(16, LATENT), torch.tensor([0.0, 1.0]).repeat(16, 1)
    torch.testing.assert_close(transport.remember(transport.forget(z, y), y), z, rtol=1e-4, atol=1e-4)


def test_a_fresh_transport_changes_nothing_and_reset_makes_it_fresh() -> None:
    z, y = torch.randn(4, LATENT), torch.rand(4, 1)
    torch.testing.assert_close(ClassTransport(LATENT, 1).forget(z, y), z)
    for used in (a_transport(), stepping()[0]):
        assert not torch.allclose(used.forget(z, y), z, atol=0.1)
        used.reset()
        torch.testing.assert_close(used.forget(z, y), z)


def test_a_reading_below_a_quarter_is_absent_and_above_three_quarters_present() -> None:
    y = torch.tensor([0.0, 0.2, 0.25, 0.5, 0.75, 0.9, 1.0])
    torch.testing.assert_close(label_position(y), torch.tensor([0.0, 0.0, 0.0, 0.5, 1.0, 1.0, 1.0]))


def test_overlap_weights_give_both_classes_the_same_other_labels() -> None:
    draw = np.random.default_rng(0)
    others = draw.integers(0, 2, (4000, 3))
    share = (draw.random(4000) < 0.1 + 0.7 * others[:, 0]).astype(float)
    weights = overlap_weights(share, others)
    plain, balanced = (
        np.abs(np.average(others, 0, w * share) - np.average(others, 0, w * (1 - share))).max()
        for w in (np.ones(4000), weights)
    )
    assert plain > 0.5
    assert balanced < 0.005


def test_faces_that_can_be_of_one_class_alone_count_for_next_to_nothing() -> None:
    draw = np.random.default_rng(0)
    male = draw.integers(0, 2, 2000)
    beard = male * draw.integers(0, 2, 2000)
    weights = overlap_weights(beard.astype(float), male[:, None])
    assert weights[male == 0].mean() < 0.01 < 0.3 < weights[male == 1].mean()


def test_as_many_faces_as_weights_are_worth_are_counted() -> None:
    codes = np.random.default_rng(0).normal(size=(10, LATENT))
    assert weighted_gaussian(codes, np.ones(10)).n == pytest.approx(10)
    assert weighted_gaussian(codes, np.array([1.0, 1.0, *[0.0] * 8])).n == pytest.approx(2)
    assert weighted_gaussian(codes, np.zeros(10)).n == 0
