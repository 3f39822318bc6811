"""The state of a run is believed only where it is what was written, and every refusal names a way out that works."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_run import MODELS, Said, make_faces, settings, train

from visagist.checkpoints.states import hash_of
from visagist.errors import VisagistError
from visagist.files import sha256_of
from visagist.training.distributed import World
from visagist.training.log import RunLog
from visagist.training.trainer import Trainer, train_model
from visagist.training.updater import NonFiniteLoss

OTHER_OUT = r"start anew without --resume in another --out, or delete .*last first"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 48 images of 96."""
    run = tmp_path_factory.mktemp("run") / "run"
    train(run, "ifcvae-gan", images=48)
    return run


@pytest.fixture
def run(whole: Path, tmp_path: Path) -> Path:
    """A copy of it, to be damaged."""
    return Path(shutil.copytree(whole, tmp_path / "run"))


def rewrite(run: Path, change: Callable[[dict[str, Any]], None], hashed: bool = True) -> None:
    """Change the facts of a state; their hash is made anew, or taken away as from those of before."""
    path = run / "last/training_state.json"
    facts = json.loads(path.read_text())
    change(facts)
    facts["facts_sha256"] = hash_of(facts) if hashed else None
    if not hashed:
        del facts["facts_sha256"]
    path.write_text(json.dumps(facts))


def with_progress(**changes: Any) -> Callable[[dict[str, Any]], None]:
    return lambda facts: facts["progress"].update(changes)


def refused(run: Path) -> str:
    with pytest.raises(VisagistError, match=OTHER_OUT) as error:
        train(run, "ifcvae-gan", resume=True)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_state_of_before_it_had_a_hash_goes_on(run: Path) -> None:
    rewrite(run, lambda facts: None, hashed=False)
    train(run, "ifcvae-gan", resume=True)
    assert json.loads((run / "last/training_state.json").read_text())["progress"]["images"] == 96


@pytest.mark.parametrize("hashed", [True, False])
@pytest.mark.parametrize(
    ("change", "says"),
    [
        (with_progress(images=10**9), "1,000,000,000 images are not 6 steps of 8"),
        (with_progress(images=10**9, step=125_000_000, finished=True), "in config.json"),
        (with_progress(images="48"), "progress.images: '48' is not a whole number"),
        (with_progress(images=-8, step=-1), "progress.step: it is -1"),
        (with_progress(seconds=-1.0), "progress.seconds: it is -1.0"),
        (with_progress(best="good"), "progress.best: 'good' is not a number"),
        (with_progress(finished=None), "progress.finished: null is not true or false"),
        (with_progress(mood=1), "progress: there is no field 'mood'"),
        (lambda facts: facts.update(progress=[]), "progress: a list is not an object"),
        (lambda facts: facts.pop("optimizers"), "it lacks optimizers"),
        (lambda facts: facts.update(optimizers={"decoder": None}), "optimizers.decoder: null is not an object"),
        (lambda facts: facts.update(tensors_sha256=1), "tensors_sha256: 1 is not text"),
        (lambda facts: facts.update(shadow_updates=1.5), "shadow_updates: 1.5 is not a whole number"),
    ],
)
def test_a_state_that_cannot_be_is_refused(
    change: Callable[[dict[str, Any]], None], says: str, hashed: bool, run: Path
) -> None:
    if says.startswith("progress: a list"):
        hashed = False
    rewrite(run, change, hashed)
    assert says in refused(run)


def test_facts_that_are_not_those_that_were_written_are_refused(run: Path) -> None:
    path = run / "last/training_state.json"
    path.write_text(path.read_text().replace('"alpha": 0.99', '"alpha": 0.98', 1))
    assert "training_state.json does not match its SHA-256" in refused(run)


@pytest.mark.parametrize("harm", ["nan", "shape", "absent", "groups"])
def test_a_state_of_other_networks_or_not_finite_is_refused(harm: str, run: Path) -> None:
    path = run / "last/training_state.safetensors"
    tensors = load_file(path)
    name = next(name for name, value in tensors.items() if name.startswith("optimizer/") and value.dim())
    if harm == "nan":
        tensors[name].view(-1)[0] = float("nan")
    elif harm == "shape":
        tensors[name] = tensors[name].new_zeros(7, 5)
    elif harm == "absent":
        del tensors[next(name for name in tensors if name.startswith("weights/"))]
    save_file(tensors, path)

    def change(facts: dict[str, Any]) -> None:
        facts["tensors_sha256"] = sha256_of(path)
        if harm == "groups":
            facts["optimizers"]["decoder"]["groups"][0]["alpha"] = "high"

    rewrite(run, change)
    with pytest.raises(VisagistError, match="another --out") as error:
        train(run, "ifcvae-gan", resume=True)
    assert "\n" not in str(error.value)


def test_the_ways_out_of_a_damaged_state_work(run: Path) -> None:
    (run / "last/training_state.safetensors").write_bytes(b"")
    refused(run)
    train(run.with_name("another"), "ifcvae-gan", images=48)
    shutil.rmtree(run / "last")
    train(run, "ifcvae-gan", images=48)
    assert (run / "last/model.safetensors").read_bytes() == (
        run.with_name("another") / "last/model.safetensors"
    ).read_bytes()


def rated(rate: float) -> Any:
    """A tiny model that learns at this rate."""
    torch.manual_seed(0)
    model = MODELS["ifcvae-gan"](make_faces().names)
    object.__setattr__(model.config, "learning_rate", rate)
    return model


def test_a_run_that_met_values_not_finite_goes_on_with_another_learning_rate_and_says_so(tmp_path: Path) -> None:
    faces, said, run = make_faces(), [], tmp_path / "run"
    train_model(rated(2e-4), faces, settings(images=48), run, device="cpu")
    before = (run / "last/model.safetensors").read_bytes()
    with pytest.raises(NonFiniteLoss, match=r"--resume and --set precision=fp32 or a smaller learning rate"):
        train_model(rated(1e30), faces, settings(), run, resume=True, device="cpu")
    assert (run / "last/model.safetensors").read_bytes() == before
    train_model(rated(1e-5), faces, settings(precision="auto"), run, resume=True, device="cpu", progress=Said(said))
    assert f"{run}: goes on with learning_rate 1e-05, it had 0.0002" in said
    assert f"{run}: goes on with precision auto, it had fp32" in said
    assert json.loads((run / "last/config.json").read_text())["config"]["learning_rate"] == 1e-5
    assert json.loads((run / "last/training_state.json").read_text())["optimizers"]["decoder"]["groups"][0]["lr"] == 1e-5


def test_an_optimizer_whose_state_is_not_finite_does_not_replace_a_good_checkpoint(tmp_path: Path) -> None:
    train(tmp_path / "run")
    before = (tmp_path / "run/last/training_state.safetensors").read_bytes()
    faces = make_faces()
    trainer = Trainer(
        MODELS["two-networks"](faces.names), faces, settings(), tmp_path / "run", world=World(0, 1, torch.device("cpu"))
    )
    trainer.resume()
    state = next(iter(trainer.updater.optimizers["decoder"].state.values()))
    next(value for value in state.values() if value.dim()).fill_(float("inf"))
    with pytest.raises(NonFiniteLoss, match=r"optimizer/decoder/0/.* is no longer finite, so the last checkpoint is kept"):
        trainer.save("last")
    assert (tmp_path / "run/last/training_state.safetensors").read_bytes() == before


def test_a_logged_value_that_is_not_finite_is_null_and_said(tmp_path: Path) -> None:
    tracker = RunLog(tmp_path, 0)
    tracker.log("val", 8, {"loss": float("nan"), "mse": 0.25, "kl": float("-inf")})
    tracker.close()
    row = json.loads((tmp_path / "log.jsonl").read_text(), parse_constant=pytest.fail)
    assert row == {
        "kind": "val", "images": 8, "loss": None, "mse": 0.25, "kl": None, "not_finite": {"loss": "nan", "kl": "-inf"},
    }  # fmt: skip


@pytest.mark.parametrize("line", ["[]", '{"images": null}', '{"images": "8"}', "\udcff", "[" * 9999, "null"])
def test_a_damaged_line_of_the_log_is_left_out_on_resume(line: str, run: Path) -> None:
    log = run / "log.jsonl"
    log.write_bytes(log.read_bytes() + line.encode(errors="surrogateescape") + b"\n")
    train(run, "ifcvae-gan", resume=True)
    assert all(isinstance(json.loads(text)["images"], int) for text in log.read_text().splitlines())
