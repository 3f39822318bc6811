"""Batch-norm statistics taken anew: of which faces, of which norms, and that nothing else changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tiny_faces import make_faces
from tiny_run import train
from torch import Tensor, nn

from visagist.checkpoints.checkpoint import load_model
from visagist.methods.base import Batch
from visagist.training.batch_norm import recompute_batch_norm


class Normed(nn.Module):
    """A norm that is reached, behind dropout, and one that is not."""

    def __init__(self) -> None:
        super().__init__()
        self.dropout, self.reached, self.other = nn.Dropout(0.9), nn.BatchNorm2d(3), nn.BatchNorm2d(3)

    def use(self, batch: Batch) -> Tensor:
        return self.reached(self.dropout(batch.images))


def plain_batches(sizes: tuple[int, ...]) -> list[Batch]:
    torch.manual_seed(0)
    return [Batch(0.3 + 0.1 * torch.randn(n, 3, 4, 4), torch.zeros(n, 1)) for n in sizes]


def test_statistics_become_those_of_the_faces_that_are_given_and_only_where_they_pass() -> None:
    model, batches = Normed(), plain_batches((200, 200, 200))
    model.reached.running_mean = torch.full((3,), 9.0)
    model.other.running_mean = torch.full((3,), 7.0)
    model.other.num_batches_tracked = torch.tensor(5)
    recompute_batch_norm(model, model.use, batches)
    images = torch.cat([batch.images for batch in batches])
    torch.testing.assert_close(model.reached.running_mean, images.mean((0, 2, 3)), atol=1e-5, rtol=0)
    torch.testing.assert_close(model.reached.running_var, images.var((0, 2, 3)), atol=1e-4, rtol=0)
    assert model.other.running_mean is not None
    assert model.other.running_mean.tolist() == [7.0, 7.0, 7.0]
    assert int(model.other.num_batches_tracked or 0) == 5
    assert [model.reached.momentum, model.other.momentum] == [0.1, 0.1]
    assert not any(module.training for module in model.modules())


def test_what_goes_wrong_on_the_way_leaves_the_norms_in_evaluation_mode() -> None:
    model = Normed()

    def fail(batch: Batch) -> None:
        raise ValueError("no such face")

    with pytest.raises(ValueError, match="no such face"):
        recompute_batch_norm(model, fail, plain_batches((4,)))
    assert not model.reached.training
    assert model.reached.momentum == 0.1
    assert model.reached.running_mean is not None
    assert model.reached.running_mean.tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("ema_decay", [None, 0.9])
def test_a_run_settles_its_best_and_trains_as_it_would_have(tmp_path: Path, ema_decay: float | None) -> None:
    for name, faces in (("settled", 16), ("plain", 0)):
        train(tmp_path / name, model="ifcvae-gan", settle_faces=faces, ema_decay=ema_decay, validate_every_images=96)
    settled, plain = (
        {p: load_file(tmp_path / n / p / "model.safetensors") for p in ("best", "last")} for n in ("settled", "plain")
    )
    assert all(torch.equal(settled["last"][key], plain["last"][key]) for key in plain["last"])
    changed = {key for key in plain["best"] if not torch.equal(settled["best"][key], plain["best"][key])}
    assert changed
    assert all("running_" in key or "num_batches" in key for key in changed)
    assert {key.split(".")[0] for key in changed} == {"encoder", "decoder"}, "validation reaches these alone"


def test_a_run_settles_what_a_method_takes_from_its_codes_after_the_batch_norms(tmp_path: Path) -> None:
    shown = make_faces()
    rows = shown.indices("train")
    images = torch.from_numpy(shown.images[rows]).permute(0, 3, 1, 2) / 255
    labels = torch.from_numpy(shown.labels[rows]).float()
    told = []
    for name, faces in (("settled", len(rows)), ("plain", 0)):
        train(tmp_path / name, model="forgetful", settle_faces=faces, ema_decay=0.9, validate_every_images=96)
        model: Any = load_model(tmp_path / name / "best")[0]
        z = model.encode(images).z
        told.append(((z - z.mean(0)).T @ (labels - labels.mean(0))).abs().max() / len(z))
    assert told[0] < 1e-5
    assert told[1] > 10 * told[0]
