"""The benchmarks run, say what they found, and compare with what does the same work."""

from __future__ import annotations

import copy
import importlib
import json
import math
import os
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch

from visagist.methods.base import Batch
from visagist.methods.ifcvae_gan import IFcVAEGAN
from visagist.training.updater import Updater

ROOT = Path(__file__).parents[1]
PARTS = ("step", "pythae", "data", "edit", "evaluate", "drawn")
OPTIONAL = {"fabric", "pythae", "onnxruntime", "openvino", "simplejpeg"}


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "benchmarks" / "run.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}, cwd=ROOT)


@pytest.fixture
def suite(monkeypatch: pytest.MonkeyPatch) -> Any:
    """`suite("step")` is a module of benchmarks/suite."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return lambda name: importlib.import_module(f"suite.{name}")


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_every_part_runs_quickly_and_says_what_it_found(tmp_path: Path) -> None:
    done = run("--quick", "--threads", "1", "--json", str(tmp_path / "speed.json"))
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "speed.json").read_text())
    assert json.loads(done.stdout) == found
    assert set(found["parts"]) == set(PARTS)
    assert found["machine"]["threads"] == 1
    assert set(found["load_average"]) == {"start", "end"}
    for name, part in found["parts"].items():
        assert set(part["skipped"]) <= OPTIONAL, name
        assert all(part["skipped"].values())
        assert part["groups"] or part["skipped"], name
        for group in part["groups"]:
            numbers = [row["median"] for row in group["ratios"]] + [row["value"] for row in group["figures"]]
            numbers += [row["per_second"] for row in group["contestants"].values()]
            assert numbers
            assert all(math.isfinite(number) for number in numbers), (name, group["title"])
            assert all(row["median"] > 0 for row in group["ratios"])
    edits = found["parts"]["edit"]["groups"][0]["contestants"]
    assert edits["eager fp32"]["max_difference"] == 0
    assert all(row["max_difference"] < 0.05 for row in edits.values())
    if not found["parts"]["pythae"]["skipped"]:
        leak = {row["what"]: row["value"] for row in found["parts"]["pythae"]["groups"][1]["figures"]}
        assert min(leak.values()) < -0.99


def test_one_part_alone_is_run(tmp_path: Path) -> None:
    done = run("--quick", "--only", "drawn", "--rounds", "1")
    assert done.returncode == 0, done.stderr
    assert list(json.loads(done.stdout)["parts"]) == ["drawn"]
    assert "faces/s" in done.stderr


def test_a_part_that_is_not_there_is_refused() -> None:
    done = run("--only", "speed")
    assert done.returncode == 2
    assert "pythae" in done.stderr


def test_the_careful_loop_moves_every_weight_as_the_engine_does(suite: Any) -> None:
    loops = suite("step_loops")
    torch.manual_seed(1)
    model = IFcVAEGAN(IFcVAEGAN.Config(width=4, discriminator_width=4, latent=4, auxiliary_hidden=8), ("Smiling",), 16)
    ours, careful = copy.deepcopy(model), copy.deepcopy(model)
    batch = Batch(torch.rand(8, 3, 16, 16), torch.randint(0, 2, (8, 1)).float())
    engine, loop = Updater(ours, nullcontext, lambda tensors: None), loops.CarefulLoop(careful, "fp32", torch.device("cpu"))
    torch.manual_seed(2)
    engine.step([batch], 0)
    torch.manual_seed(2)
    loop.step(batch)
    theirs, before = dict(careful.named_parameters()), dict(model.named_parameters())
    for name, parameter in ours.named_parameters():
        assert torch.allclose(parameter, theirs[name], atol=2e-5), name
        assert not torch.equal(parameter, before[name]), name


@pytest.mark.parametrize("kind", ["UsualLoop", "FabricLoop"])
def test_the_other_loops_move_every_network(suite: Any, kind: str) -> None:
    if kind == "FabricLoop":
        pytest.importorskip("lightning_fabric")
    torch.manual_seed(1)
    model = IFcVAEGAN(IFcVAEGAN.Config(width=4, discriminator_width=4, latent=4, auxiliary_hidden=8), ("Smiling",), 16)
    before = copy.deepcopy(model)
    batch = Batch(torch.rand(8, 3, 16, 16), torch.randint(0, 2, (8, 1)).float())
    getattr(suite("step_loops"), kind)(model, "fp32", torch.device("cpu")).step(batch)
    old = dict(before.named_parameters())
    assert all(not torch.equal(parameter, old[name]) for name, parameter in model.named_parameters())


def test_contestants_take_turns_in_an_order_that_turns(suite: Any) -> None:
    timing, order = suite("timing"), []
    contestants = {name: (lambda n=name: order.append(n)) for name in "abc"}
    seconds = timing.by_turns(contestants, 2, torch.device("cpu"))
    assert "".join(order) == "cab" + "abc" + "bca"
    assert {name: len(values) for name, values in seconds.items()} == {"a": 2, "b": 2, "c": 2}


def test_a_ratio_is_that_of_neighbours_and_says_whether_it_is_enough(suite: Any) -> None:
    timing = suite("timing")
    seconds = {"fast": [1.0, 2.0, 4.0], "slow": [2.0, 6.0, 12.0]}
    group = timing.compare(
        timing.Group("it"), seconds, 10, [timing.Ratio("fast", "slow", 3.5), timing.Ratio("fast", "absent")]
    )
    (row,) = group.ratios
    assert (row["median"], row["min"], row["max"], row["reached"]) == (3, 2, 3, False)
    assert group.contestants["fast"]["per_second"] == 5
