"""Linear erasure: what is gone, what stays, and which faces its statistics are of."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import Tensor

from visagist.networks.erasure import LinearEraser

LATENT = 6


def drawn(count: int = 400, attributes: int = 1, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Correlated codes in which labels show, log-variances, labels."""
    draw = torch.Generator().manual_seed(seed)
    y = (torch.rand(count, attributes, generator=draw) < 0.4).float()
    mixed = torch.randn(LATENT, LATENT, generator=torch.Generator().manual_seed(9))
    mu = torch.randn(count, LATENT, generator=draw) @ mixed
    mu[:, :attributes] += 2 * y
    mu[:, 1] += 1.5 * y[:, 0]
    return mu, torch.full((count, LATENT), -2.0), y


def fitted(*faces: Tensor) -> LinearEraser:
    eraser = LinearEraser(LATENT, faces[2].shape[1], decay=0.9)
    eraser.fit([faces])  # type: ignore[list-item]
    return eraser


def covariance(z: Tensor, y: Tensor) -> Tensor:
    return (z - z.mean(0)).T @ (y - y.mean(0)) / len(z)


def logistic_regression(z: Tensor, y: Tensor) -> tuple[float, float]:
    """Cross-entropy and accuracy of the best linear probe on the faces that it was fitted to."""
    weight, bias = torch.zeros(LATENT, requires_grad=True), torch.zeros(1, requires_grad=True)
    fit = torch.optim.LBFGS([weight, bias], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        fit.zero_grad()
        value = torch.nn.functional.binary_cross_entropy_with_logits(z @ weight + bias, y[:, 0])
        value.backward()
        return value

    fit.step(loss)
    found = z @ weight + bias
    return loss().item(), ((found > 0).float() == y[:, 0]).float().mean().item()


def test_no_linear_probe_beats_chance_on_the_faces_of_the_statistics() -> None:
    mu, log_var, y = drawn()
    chance = torch.distributions.Bernoulli(y.mean()).entropy().item()
    majority = max(y.mean().item(), 1 - y.mean().item())
    assert logistic_regression(mu, y)[1] > majority + 0.1
    entropy, accuracy = logistic_regression(fitted(mu, log_var, y)(mu), y)
    assert entropy == pytest.approx(chance, abs=1e-5)
    assert accuracy == pytest.approx(majority, abs=1e-6)


@pytest.mark.parametrize("attributes", [1, 3])
def test_codes_are_erased_as_by_the_authors_own_library(attributes: int) -> None:
    """Theirs has no statistics that forget, which a code that is being learnt needs; where none are, both agree."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # it scripts a module with torch.jit when it is imported
        from concept_erasure import LeaceFitter
    mu, _, y = drawn(attributes=attributes)
    theirs = LeaceFitter.fit(mu.double(), y.double(), shrinkage=False).eraser(mu.double())
    ours = fitted(mu, torch.full_like(mu, -60.0), y)(mu)
    assert (theirs - mu).abs().max() > 1
    torch.testing.assert_close(ours.double(), theirs, rtol=0, atol=1e-3)


@pytest.mark.parametrize("attributes", [1, 3])
def test_no_label_goes_together_with_what_is_left(attributes: int) -> None:
    mu, log_var, y = drawn(attributes=attributes)
    u = fitted(mu, log_var, y)(mu)
    assert covariance(mu, y).abs().max() > 0.3
    assert covariance(u, y).abs().max() < 1e-5
    assert torch.linalg.matrix_rank((u - u.mean(0)).double(), rtol=1e-5) == LATENT - attributes


def test_a_direction_that_no_label_goes_together_with_is_left_as_it_is() -> None:
    mu, log_var, y = drawn()
    centred = y - y.mean()
    mu[:, -1:] -= centred * (covariance(mu[:, -1:], y) / covariance(y, y))
    u = fitted(mu, log_var, y)(mu)
    torch.testing.assert_close(u[:, -1], mu[:, -1], atol=1e-5, rtol=0)
    assert (u[:, 0] - mu[:, 0]).abs().max() > 0.5


def test_a_label_that_never_changes_takes_nothing_away() -> None:
    mu, log_var, y = drawn()
    same = torch.ones_like(y)
    torch.testing.assert_close(fitted(mu, log_var, same)(mu), mu, atol=1e-5, rtol=0)
    both = fitted(mu, log_var, torch.cat([y, same], 1))(mu)
    torch.testing.assert_close(both, fitted(mu, log_var, y)(mu), atol=1e-4, rtol=0)


def test_what_was_erased_is_not_erased_further() -> None:
    faces = drawn()
    eraser = fitted(*faces)
    torch.testing.assert_close(eraser(eraser(faces[0])), eraser(faces[0]), atol=1e-5, rtol=1e-5)


def test_before_it_knows_a_face_an_eraser_leaves_codes_alone() -> None:
    mu, _, y = drawn(8)
    assert torch.equal(LinearEraser(LATENT, y.shape[1], decay=0.9)(mu), mu)


def test_gradients_pass_to_the_code_and_not_along_what_is_erased() -> None:
    mu, log_var, y = drawn()
    eraser = fitted(mu, log_var, y)
    gone = covariance(mu, y)[:, 0]
    z = mu.clone().requires_grad_()
    (slope,) = torch.autograd.grad(eraser(z).square().sum(), z)
    assert slope.abs().max() > 0
    torch.testing.assert_close(slope @ gone, torch.zeros(len(z)), atol=1e-3, rtol=0)


def test_the_first_batches_weigh_alike_and_make_the_statistics_of_all_of_them() -> None:
    faces = drawn(80)
    whole, watching = fitted(*faces), LinearEraser(LATENT, 1, decay=0.9)
    for rows in torch.arange(80).split(10):
        watching.update(*(part[rows] for part in faces))
    torch.testing.assert_close(watching.mean, whole.mean, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(watching.covariance, whole.covariance, atol=1e-4, rtol=1e-4)
    assert int(watching.batches) == 8


def test_statistics_follow_codes_that_move() -> None:
    old, new = drawn(64), drawn(64, seed=1)
    watching = LinearEraser(LATENT, 1, decay=0.9)
    watching.update(*old)
    for _ in range(100):
        watching.update(new[0] + 5, *new[1:])
    there = fitted(new[0] + 5, *new[1:])
    torch.testing.assert_close(watching.covariance, there.covariance, atol=1e-2, rtol=1e-2)
    torch.testing.assert_close(watching.mean, there.mean, atol=1e-2, rtol=1e-2)


def test_processes_that_share_the_faces_end_with_the_statistics_of_all() -> None:
    faces = drawn()
    whole, sums = fitted(*faces), []
    halves = [tuple(part[rows] for part in faces) for rows in torch.arange(400).split(150)]
    for half in halves:
        LinearEraser(LATENT, 1, 0.9).fit([half], lambda own: (sums.append(own), own)[1])  # type: ignore[list-item,func-returns-value]
    shared = LinearEraser(LATENT, 1, 0.9)
    shared.fit([], lambda own: [sum(each) for each in zip(*sums)])
    torch.testing.assert_close(shared.covariance, whole.covariance)
    torch.testing.assert_close(shared.mean, whole.mean)
