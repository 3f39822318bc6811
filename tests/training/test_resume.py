"""A run that was stopped, by whatever, ends with the bytes of the run that was not."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_faces import make_faces
from tiny_run import MODELS, SIZE, Said, TwoNetworks, TwoNetworksConfig, settings, train

from visagist.checkpoints.states import hash_of
from visagist.errors import VisagistError
from visagist.methods.base import Batch
from visagist.training.trainer import train_model

SCRIPT = Path(__file__).parents[1] / "support" / "tiny_run.py"


class Stop(Exception):
    """Pulls the plug."""


def state_of(run: Path) -> tuple[bytes, bytes, dict[str, Any]]:
    """All that a checkpoint holds but the time that it took."""
    last = run / "last"
    facts = json.loads((last / "training_state.json").read_text())
    del facts["progress"]["seconds"]
    return (last / "model.safetensors").read_bytes(), (last / "training_state.safetensors").read_bytes(), facts


def stopped_before(step: int, model: str, out: Path, **changes: Any) -> None:
    """Train until the plug is pulled at the beginning of `step`."""
    faces = make_faces()
    torch.manual_seed(0)
    net, seen = MODELS[model](faces.names), 0
    original = net.training_step

    def watched(batch: Batch) -> Any:
        nonlocal seen
        seen += 1
        if seen > step:
            raise Stop
        return original(batch)

    net.training_step = watched
    with pytest.raises(Stop):
        train_model(net, faces, settings(**changes), out, device="cpu")


@pytest.mark.parametrize("model", ["two-networks", "ifcvae-gan", "introvac", "forgetful"])
@pytest.mark.parametrize("step", [1, 5, 11])
def test_resuming_is_exact_to_the_bit(model: str, step: int, tmp_path: Path) -> None:
    habits: dict[str, Any] = {"ema_decay": 0.9, "schedule": "cosine", "warmup_images": 30, "checkpoint_seconds": 0}
    train(tmp_path / "whole", model, **habits)
    stopped_before(step, model, tmp_path / "cut", **habits)
    torch.manual_seed(99)
    train(tmp_path / "cut", model, resume=True, **habits)
    assert state_of(tmp_path / "cut") == state_of(tmp_path / "whole")
    assert (tmp_path / "cut/best/model.safetensors").read_bytes() == (tmp_path / "whole/best/model.safetensors").read_bytes()


def test_resuming_from_an_earlier_checkpoint_repeats_the_lost_steps_exactly(tmp_path: Path) -> None:
    train(tmp_path / "whole", "ifcvae-gan")
    stopped_before(9, "ifcvae-gan", tmp_path / "cut")
    assert json.loads((tmp_path / "cut/last/config.json").read_text())["training"]["step"] == 1
    train(tmp_path / "cut", "ifcvae-gan", resume=True)
    assert state_of(tmp_path / "cut") == state_of(tmp_path / "whole")


def test_resuming_writes_no_row_of_the_log_twice(tmp_path: Path) -> None:
    stopped_before(9, "two-networks", tmp_path / "run", validate_every_images=8)
    with (tmp_path / "run/log.jsonl").open("a") as file:
        file.write('{"kind": "val", "ima')
    train(tmp_path / "run", resume=True, validate_every_images=8)
    lines = [json.loads(line) for line in (tmp_path / "run/log.jsonl").read_text().splitlines()]
    assert [row["images"] for row in lines if row["kind"] == "val"] == list(range(8, 104, 8))


def test_a_kill_before_the_checkpoint_that_says_finished_doubles_no_row_of_the_log(tmp_path: Path) -> None:
    train(tmp_path / "run")
    log = (tmp_path / "run/log.jsonl").read_text()
    for name, part in (("config", "training"), ("training_state", "progress")):
        path = tmp_path / "run" / "last" / f"{name}.json"
        facts = json.loads(path.read_text())
        facts[part]["finished"] = False
        if "facts_sha256" in facts:
            facts["facts_sha256"] = hash_of(facts)
        path.write_text(json.dumps(facts))
    train(tmp_path / "run", resume=True)
    assert [line.split(", ")[:2] for line in (tmp_path / "run/log.jsonl").read_text().splitlines()] == [
        line.split(", ")[:2] for line in log.splitlines()
    ]
    assert json.loads((tmp_path / "run/last/config.json").read_text())["training"]["finished"]


@pytest.mark.parametrize("resume", [False, True])
def test_models_that_a_kill_left_half_written_are_cleared_away(resume: bool, tmp_path: Path) -> None:
    run = tmp_path / "run"
    if resume:
        train(run, images=48)
    for name in (".best.writing-7", ".last.writing-7", ".images-000000048.writing-7"):
        (run / name).mkdir(parents=True)
        (run / name / "model.safetensors").write_bytes(b"half")
    if resume:
        (run / "best").rename(run / ".best.previous")
    train(run, resume=resume)
    assert sorted(path.name for path in run.iterdir()) == [".lock", "best", "last", "log.jsonl", "tensorboard"]


@pytest.mark.parametrize("resume", [False, True])
def test_sheets_that_a_kill_left_half_written_are_cleared_away_and_nothing_like_them(resume: bool, tmp_path: Path) -> None:
    run = tmp_path / "run"
    if resume:
        train(run, images=48)
    (run / "samples").mkdir(parents=True, exist_ok=True)
    (run / "samples" / ".000000024.png.writing-7").write_bytes(b"\x89PNG\r\n")
    train(run, resume=resume)
    assert not list((run / "samples").glob(".*"))
    (run / "samples" / ".000000024.png.writing-8").write_text("somebody's own")
    train(run, images=192, resume=True)
    assert (run / "samples" / ".000000024.png.writing-8").read_text() == "somebody's own"


def test_a_longer_budget_continues_a_finished_run(tmp_path: Path) -> None:
    train(tmp_path / "whole", images=192)
    train(tmp_path / "run", images=96)
    train(tmp_path / "run", images=192, resume=True)
    assert state_of(tmp_path / "run")[0] == state_of(tmp_path / "whole")[0]


def test_resuming_a_finished_run_leaves_every_byte_as_it_is(tmp_path: Path) -> None:
    train(tmp_path / "run")
    files = {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in (tmp_path / "run").rglob("*") if p.is_file()}
    train(tmp_path / "run", resume=True)
    assert {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in (tmp_path / "run").rglob("*") if p.is_file()} == files


def test_resuming_nothing_starts_afresh_and_says_so(tmp_path: Path) -> None:
    faces, said = make_faces(), []
    model = MODELS["two-networks"](faces.names)
    train_model(model, faces, settings(), tmp_path / "run", resume=True, device="cpu", progress=Said(said))
    assert said == [f"{tmp_path / 'run'}: nothing to resume, starting afresh"]
    assert (tmp_path / "run/last").is_dir()


def test_a_checkpoint_of_another_method_is_refused_on_resume(tmp_path: Path) -> None:
    train(tmp_path / "run", "ifcvae-gan")
    before = state_of(tmp_path / "run")
    with pytest.raises(VisagistError, match="has kind method, this run has judge: use another --out"):
        train(tmp_path / "run", "two-networks", resume=True)
    assert state_of(tmp_path / "run") == before


@pytest.mark.parametrize(
    ("config", "attributes", "size", "what"),
    [
        (TwoNetworksConfig(width=8), ("Smiling",), SIZE, "config"),
        (TwoNetworksConfig(), ("Young",), SIZE, "attributes"),
        (TwoNetworksConfig(), ("Smiling",), 32, "image_size"),
    ],
)
def test_a_checkpoint_of_other_settings_is_refused_on_resume(
    config: TwoNetworksConfig, attributes: tuple[str, ...], size: int, what: str, tmp_path: Path
) -> None:
    train(tmp_path / "run")
    faces = make_faces(attributes=attributes, image_size=size)
    with pytest.raises(VisagistError, match=f"has {what} .*, this run has .*: use another --out"):
        train_model(TwoNetworks(config, attributes, size), faces, settings(), tmp_path / "run", resume=True, device="cpu")


def test_a_run_from_before_its_method_had_a_setting_is_continued_by_the_default(tmp_path: Path) -> None:
    train(tmp_path / "run", "ifcvae-gan", images=48)
    path = tmp_path / "run/last/config.json"
    described = json.loads(path.read_text())
    del described["config"]["erasure"]
    path.write_text(json.dumps(described))
    train(tmp_path / "run", "ifcvae-gan", resume=True)
    assert json.loads(path.read_text())["training"]["images"] == 96


@pytest.mark.parametrize("changed", [{"seed": 9}, {"batch_size": 4}, {"schedule": "linear"}, {"ema_decay": 0.5}])
def test_a_run_is_not_continued_in_another_way_than_it_began(changed: dict[str, Any], tmp_path: Path) -> None:
    train(tmp_path / "run")
    (key,) = changed
    with pytest.raises(VisagistError, match=f"was trained with {key} .*, this run has .*: give the same to continue it"):
        train(tmp_path / "run", resume=True, **changed)


def test_a_run_from_before_a_setting_was_known_is_continued(tmp_path: Path) -> None:
    train(tmp_path / "whole", images=192)
    train(tmp_path / "run", images=96)
    path = tmp_path / "run/last/config.json"
    described = json.loads(path.read_text())
    del described["training"]["sync_batch_norm"], described["training"]["data_on_device"]
    path.write_text(json.dumps(described))
    train(tmp_path / "run", images=192, resume=True)
    assert state_of(tmp_path / "run")[0] == state_of(tmp_path / "whole")[0]


@pytest.mark.parametrize("file", ["training_state.safetensors", "training_state.json"])
@pytest.mark.parametrize("damage", ["flip", "truncate", "remove"])
def test_a_damaged_state_is_not_resumed(file: str, damage: str, tmp_path: Path) -> None:
    train(tmp_path / "run", images=48)
    path = tmp_path / "run/last" / file
    whole = path.read_bytes()
    if damage == "remove":
        path.unlink()
    else:
        middle = len(whole) * 3 // 4
        path.write_bytes(whole[:middle] + (bytes([whole[middle] ^ 0x80]) + whole[middle + 1 :]) * (damage == "flip"))
    with pytest.raises(VisagistError, match=r"cannot resume from .*start anew without --resume") as refused:
        train(tmp_path / "run", resume=True)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_and_exits_with_its_number(number: int, status: int, tmp_path: Path) -> None:
    run = tmp_path / "run"
    command = [sys.executable, "-W", "error", str(SCRIPT), str(run), "--set", "images=100000000"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, env={**os.environ, "OMP_NUM_THREADS": "1"})
    try:
        deadline = time.monotonic() + 120
        while not (run / "last").exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(0.2)
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == status, errors.decode()
    assert errors == b""
    done = json.loads((run / "last/config.json").read_text())["training"]
    assert done["step"] > 1
    assert not done["finished"]
    train(tmp_path / "whole", images=done["images"] + 16)
    train(run, images=done["images"] + 16, resume=True)
    assert state_of(run)[0] == state_of(tmp_path / "whole")[0]


@pytest.mark.slow
def test_ten_kills_at_random_moments_change_no_bit_of_the_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    start = multiprocessing.get_context("forkserver")
    start.set_forkserver_preload(["visagist.methods.ifcvae_gan", "visagist.training.trainer"])
    run, moments = tmp_path / "run", random.Random(0)
    habits: dict[str, Any] = {"images": 8 * 240, "ema_decay": 0.99, "validate_every_images": 480}
    steps = [0]
    for _ in range(10):
        process = start.Process(target=train, args=(run, "ifcvae-gan", True), kwargs={**habits, "checkpoint_seconds": 0})
        process.start()
        _await_step(run, steps[-1] + 1)
        time.sleep(moments.uniform(0.0, 0.25))
        assert process.is_alive(), "the run ended before it could be killed: make it longer"
        process.kill()
        process.join()
        steps.append(_step_of(run))
    assert steps == sorted(set(steps)), "every attempt got further than the one before"
    train(run, "ifcvae-gan", resume=True, **habits)
    train(tmp_path / "whole", "ifcvae-gan", **habits)
    assert state_of(run) == state_of(tmp_path / "whole")
    assert [p.name for p in run.iterdir() if p.name.startswith(".")] == [".lock"]


def _step_of(run: Path) -> int:
    """The step of the checkpoint that a resumed run would begin with."""
    for name in ("last", ".last.previous"):
        try:
            return int(json.loads((run / name / "config.json").read_text())["training"]["step"])
        except FileNotFoundError:
            continue
    return 0


def _await_step(run: Path, step: int) -> None:
    deadline = time.monotonic() + 60
    while _step_of(run) < step:
        assert time.monotonic() < deadline, "no checkpoint came"
        time.sleep(0.005)
