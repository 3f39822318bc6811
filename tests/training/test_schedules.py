"""Learning rates and moving averages, against values worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from visagist.training.config import TrainingConfig, learning_rate_factor
from visagist.training.ema import Average


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("constant", [1, 1, 1, 1]),
        ("linear", [1, 0.775, 0.55, 0.1]),
        ("cosine", [1, 0.1 + 0.45 * (1 + math.cos(math.pi / 4)), 0.55, 0.1]),
        ("halving", [1, 1, 0.5, 0.125]),
    ],
)
def test_schedules_go_from_the_learning_rate_to_its_final_share(schedule: str, expected: list[float]) -> None:
    config = TrainingConfig(schedule=schedule, final_learning_rate=0.1)  # type: ignore[arg-type]
    found = [learning_rate_factor(config, 0, progress) for progress in (0, 0.25, 0.5, 1)]
    assert found == pytest.approx(expected)


def test_halving_halves_at_each_of_its_three_marks() -> None:
    config = TrainingConfig(schedule="halving")
    marks = (0.39, 0.4, 0.59, 0.6, 0.79, 0.8, 1.0)
    assert [learning_rate_factor(config, 0, p) for p in marks] == [1, 0.5, 0.5, 0.25, 0.25, 0.125, 0.125]


def test_progress_beyond_the_budget_stays_at_the_end() -> None:
    config = TrainingConfig(schedule="linear", final_learning_rate=0.25)
    assert learning_rate_factor(config, 0, 1.7) == 0.25


def test_warmup_rises_linearly_in_images_and_the_first_step_moves() -> None:
    config = TrainingConfig(warmup_images=100, batch_size=20)
    found = [learning_rate_factor(config, seen, 0.0) for seen in (0, 20, 80, 100, 500)]
    assert found == pytest.approx([0.2, 0.4, 1, 1, 1])


def test_warmup_multiplies_the_schedule() -> None:
    config = TrainingConfig(warmup_images=100, batch_size=50, schedule="linear", final_learning_rate=0.0)
    assert learning_rate_factor(config, 0, 0.5) == pytest.approx(0.25)


def test_the_average_follows_the_recurrence_and_is_quicker_early() -> None:
    network = nn.Linear(1, 1, bias=False)
    average = Average(network, decay=0.5)
    shadow = network.weight.item()
    for n in range(1, 12):
        with torch.no_grad():
            network.weight.fill_(float(n))
        average.update(network)
        decay = min(0.5, (1 + n) / (10 + n))
        shadow = decay * shadow + (1 - decay) * n
    assert average.shadow["weight"].item() == pytest.approx(shadow, rel=1e-6)


def test_the_average_covers_statistics_and_copies_counters() -> None:
    norm = nn.BatchNorm1d(2)
    average = Average(norm, decay=0.9)
    norm(torch.randn(8, 2) + 5)
    average.update(norm)
    assert average.shadow["num_batches_tracked"] == 1
    assert not torch.equal(average.shadow["running_mean"], torch.zeros(2))
    assert not torch.equal(average.shadow["running_mean"], norm.running_mean)


def test_swapping_in_the_average_gives_the_network_its_own_weights_back_even_after_an_error() -> None:
    network = nn.Linear(2, 2)
    average = Average(network, decay=0.9)
    with torch.no_grad():
        network.weight.add_(1)
    own = network.weight.detach().clone()

    def fail_inside() -> None:
        with average.swapped_in(network):
            assert torch.equal(network.weight, average.shadow["weight"])
            raise ValueError("validation")

    with pytest.raises(ValueError, match="validation"):
        fail_inside()
    assert torch.equal(network.weight, own)
