"""`visagist profile`: its parts add up to the step, of every method, and its counts are those of the networks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from cli_runs import Command
from tiny_faces import make_faces
from tiny_models import tiny_model
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from visagist import methods
from visagist.methods.base import Batch
from visagist.pipelines.profile import profile_step
from visagist.training.config import TrainingConfig
from visagist.training.distributed import World
from visagist.training.profiler import Kernels, LayerRanges, record_timeline
from visagist.training.trainer import Trainer

EVERY = sorted(methods.available())
CPU = World(0, 1, torch.device("cpu"))


def settings_for(name: str) -> dict[str, Any]:
    """Small settings, those of them that the method has."""
    known = set(vars(methods.get(name).Config()))
    hidden = {field: 8 for field in known if field.endswith("hidden")}
    chosen = {"latent": 4, "feature_weights": "random", **hidden}
    return {"batch_size": 8, **{key: value for key, value in chosen.items() if key in known}}


def trainer_of(name: str, tmp_path: Path, image_size: int = 16) -> Trainer:
    model = tiny_model(methods.get(name), image_size=image_size)
    faces = make_faces(image_size=image_size)
    return Trainer(model, faces, TrainingConfig(batch_size=8, precision="fp32"), tmp_path / "run", world=CPU)


@pytest.mark.parametrize("name", EVERY)
def test_the_parts_of_a_step_of_every_method_add_up_to_the_step(name: str) -> None:
    faces = make_faces(image_size=16)
    if methods.get(name).paired:
        faces = make_faces(80, image_size=16)
    for _ in range(4):  # where another process gets the core between two ranges, the clock runs on and no part does
        found = profile_step(name, faces, settings=settings_for(name), width=4, steps=2, device="cpu")
        timeline = found["timeline"]
        networks = timeline["networks"]
        parts = sum(sum(spent.values()) for spent in networks.values()) + timeline["data"] + timeline["other"]
        if parts == pytest.approx(timeline["clock"], rel=0.05):
            break
    assert parts == pytest.approx(timeline["clock"], rel=0.05)
    assert parts == pytest.approx(timeline["sum"])
    model = tiny_model(methods.get(name))
    trained = {network for network, module in model.networks().items() if any(p.requires_grad for p in module.parameters())}
    assert trained <= set(networks)
    for network in trained:
        assert all(networks[network][phase] > 0 for phase in ("forward", "backward", "optimizer")), (network, networks)
    assert networks["losses"]["optimizer"] == 0
    assert timeline["data"] > 0
    assert found["step"]["images_per_second"] > 0
    assert found["kernels"]["flops"] > 0
    assert found["kernels"]["share_of_measured_peak"]["median"] > 0


class Two(nn.Module):
    """Two layers of very different cost."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, width, 3, 1, 1), nn.Conv2d(width, 3, 3, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)


def test_time_belongs_to_the_network_whose_layers_ran(tmp_path: Path) -> None:
    trainer = trainer_of("vae", tmp_path, image_size=64)
    model: Any = trainer.trainable
    model.encoder, model.decoder = Two(128), Two(1)

    def training_step(batch: Batch) -> Any:
        loss = model.decoder.layers(model.encoder(batch.images)).square().mean()  # the decoder's own call is passed by
        yield {"encoder": loss, "decoder": loss}

    model.training_step = training_step
    trainer = Trainer(model, trainer.faces, trainer.config, tmp_path / "run", world=CPU)
    trainer.step()
    parts = record_timeline(trainer, 4).parts
    for phase in ("forward", "backward"):
        assert parts[phase, "encoder"] > 2 * parts[phase, "decoder"] > 0
    assert parts["forward", "losses"] < parts["forward", "encoder"]


def test_a_profile_leaves_the_trainer_as_it_was(tmp_path: Path) -> None:
    trainer = trainer_of("ifcvae-gan", tmp_path)
    before = set(vars(trainer.trainable)), set(vars(trainer.batches))
    hooks = [len(o._optimizer_step_pre_hooks) for o in trainer.updater.optimizers.values()]
    with pytest.raises(RuntimeError, match="stop"), LayerRanges(trainer.trainable):
        raise RuntimeError("stop")
    assert (set(vars(trainer.trainable)), set(vars(trainer.batches))) == before
    assert [len(o._optimizer_step_pre_hooks) for o in trainer.updater.optimizers.values()] == hooks
    trainer.step()
    assert not (tmp_path / "run").exists()


def test_the_operations_are_those_that_torch_counts(tmp_path: Path) -> None:
    trainer = trainer_of("ifcvae-gan", tmp_path)
    with Kernels() as seen:
        trainer.step()
    with FlopCounterMode(display=False) as counter:
        trainer.step()
    assert sum(kernel.flops * kernel.calls for kernel in seen.kernels()) == counter.get_total_flops() > 0


def test_a_kernel_runs_alone_on_tensors_of_the_same_form() -> None:
    image = torch.rand(2, 3, 8, 8).contiguous(memory_format=torch.channels_last)
    layer = nn.Conv2d(3, 5, 3, 2, 1)
    with Kernels() as seen:
        layer(image).sum().backward()
    forward, backward = seen.kernels()
    (given, *_), calls = forward.arguments, forward.calls
    assert (given.shape, given.stride, calls) == (tuple(image.shape), image.stride(), 1)
    assert given.filled().is_contiguous(memory_format=torch.channels_last)
    assert forward.flops == 2 * 2 * 5 * 4 * 4 * 3 * 3 * 3
    assert forward.seconds() > 0
    assert backward.seconds() > 0


def test_the_command_prints_its_tables_and_writes_a_trace(command: Command, tmp_path: Path) -> None:
    trace = tmp_path / "trace.json"
    result = command(
        "profile", "vae", "--data", "synthetic:20", "--image-size", 16, "--width", 4, "--batch-size", 8, "--steps", 1,
        "--precision", "fp32", "--set", "latent=4", "--device", "cpu", "--trace", trace,
    )  # fmt: skip
    assert result.status == 0, result.err
    for word in ("encoder", "decoder", "losses", "data", "other", "images/s", "GFLOP/s", "share of measured peak", "fp32"):
        assert word in result.out, word
    assert json.loads(trace.read_text())["traceEvents"]
    assert result.out.splitlines()[-1] == str(trace)


def test_the_command_prints_json(command: Command) -> None:
    result = command(
        "profile", "wgan", "--data", "synthetic:20", "--image-size", 16, "--width", 4, "--set", "batch_size=8", "--steps", 1,
        "--set", "latent=4", "--device", "cpu", "--json",
    )  # fmt: skip
    found = json.loads(result.out)
    assert {"method", "settings", "machine", "step", "timeline", "operators", "kernels"} == set(found)
    assert found["settings"]["batch_size"] == 8


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["vea"], "did you mean"),
        (["vae", "--steps", "0"], "at least 1"),
        (["judge", "--width", "4", "--data", "synthetic:20"], "no width"),
        (["vae", "--trace", "nowhere/at/all.json"], "is not there"),
        (["vae", "--precision", "fp8"], "fp8"),
    ],
)
def test_what_cannot_be_profiled_is_said_in_one_line(command: Command, arguments: list[str], says: str) -> None:
    assert says in command("profile", *arguments, "--device", "cpu").error
