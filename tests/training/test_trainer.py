"""The loop: what a run writes, what it leaves alone, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from filelock import FileLock
from safetensors.torch import load_file
from tiny_faces import make_faces
from tiny_run import MODELS, TwoNetworks, settings, train

from visagist.errors import VisagistError
from visagist.methods.base import Batch
from visagist.training.distributed import World, pick_device
from visagist.training.precision import autocast, has_bf16
from visagist.training.trainer import Trainer, train_model
from visagist.training.updater import NonFiniteLoss


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def rows(run: Path, kind: str) -> list[dict[str, float]]:
    return [row for row in map(json.loads, (run / "log.jsonl").read_text().splitlines()) if row["kind"] == kind]


def test_a_run_lowers_its_validation_loss_and_keeps_the_best(tmp_path: Path) -> None:
    best = train(tmp_path / "run", images=480, validate_every_images=96)
    losses = [row["loss"] for row in rows(tmp_path / "run", "val")]
    assert losses[-1] < 0.7 * losses[0]
    described = json.loads((best / "config.json").read_text())
    assert best.name == "best"
    assert described["training"]["best"] == pytest.approx(min(losses), rel=1e-5)


def test_without_a_figure_that_tells_the_best_is_the_newest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TwoNetworks, "best_metric", None)
    monkeypatch.setattr(TwoNetworks, "validation", lambda self, batch: {"loss": torch.tensor(float(self.images_seen))})
    best = train(tmp_path / "run", validate_every_images=24)
    described = json.loads((best / "config.json").read_text())
    assert described["training"]["best"] is None
    assert described["training"]["images"] == 96
    for name, value in weights(best).items():
        assert torch.equal(value, weights(tmp_path / "run" / "last")[name])


def test_validation_does_not_disturb_training(tmp_path: Path) -> None:
    train(tmp_path / "often", model="ifcvae-gan", validate_every_images=8)
    train(tmp_path / "rarely", model="ifcvae-gan", validate_every_images=96)
    without = make_faces()
    without.split[without.split == 1] = 2
    torch.manual_seed(0)
    train_model(MODELS["ifcvae-gan"](without.names), without, settings(), tmp_path / "never", device="cpu")
    assert len(rows(tmp_path / "often", "val")) == 12
    assert not (tmp_path / "never" / "best").exists()
    found = {(tmp_path / name / "last" / "model.safetensors").read_bytes() for name in ("often", "rarely", "never")}
    assert len(found) == 1


def test_a_run_without_validation_faces_describes_itself_in_strict_json(tmp_path: Path) -> None:
    faces = make_faces(val=0)
    train_model(MODELS["two-networks"](faces.names), faces, settings(), tmp_path / "run", device="cpu")

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    for path in (tmp_path / "run" / "last").glob("*.json"):
        json.loads(path.read_text(), parse_constant=refuse)


def test_accumulated_parts_give_the_weights_of_the_full_batch(tmp_path: Path) -> None:
    train(tmp_path / "whole", model="noiseless")
    train(tmp_path / "parts", model="noiseless", accumulate=4)
    whole, parts = weights(tmp_path / "whole/last"), weights(tmp_path / "parts/last")
    for name in whole:
        torch.testing.assert_close(parts[name], whole[name], rtol=1e-5, atol=1e-5)


def test_a_batch_that_cannot_be_shared_is_refused(tmp_path: Path) -> None:
    with pytest.raises(VisagistError, match="batch_size 8 cannot be shared by 1 processes and 3 parts"):
        train(tmp_path / "run", accumulate=3)


@pytest.mark.parametrize("channels_last", [True, False])
def test_images_and_weights_have_the_memory_format_that_was_asked_for(tmp_path: Path, channels_last: bool) -> None:
    faces, seen = make_faces(), []
    model = MODELS["two-networks"](faces.names)
    model.encoder.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].is_contiguous()))
    train_model(model, faces, settings(images=8, channels_last=channels_last), tmp_path / "run", device="cpu")
    assert seen[0] is not channels_last
    assert model.encoder[2].weight.is_contiguous() is not channels_last


def test_the_schedule_reaches_every_optimizer(tmp_path: Path) -> None:
    faces = make_faces()
    config = settings(images=80, schedule="linear", final_learning_rate=0.5)
    trainer = Trainer(MODELS["two-networks"](faces.names), faces, config, tmp_path, world=World(0, 1, torch.device("cpu")))
    trainer.run()
    rates = {name: optimizer.param_groups[0]["lr"] for name, optimizer in trainer.updater.optimizers.items()}
    assert rates == pytest.approx({"encoder": 1e-2 * 0.55, "decoder": 1e-3 * 0.55})


def test_a_model_holds_the_averaged_weights_and_validation_reads_them(tmp_path: Path) -> None:
    faces = make_faces()
    config = settings(ema_decay=0.9, validate_every_images=96)
    trainer = Trainer(MODELS["noiseless"](faces.names), faces, config, tmp_path, world=World(0, 1, torch.device("cpu")))
    trainer.run()
    assert trainer.average is not None
    saved, raw = weights(tmp_path / "last"), trainer.trainable.state_dict()
    for name, value in trainer.average.shadow.items():
        assert torch.equal(saved[name], value)
        assert not torch.equal(saved[name], raw[name])
    held = faces.take(faces.indices("val"))
    images = torch.from_numpy(held.images).permute(0, 3, 1, 2) / 255
    with trainer.average.swapped_in(trainer.trainable), torch.no_grad():
        loss = trainer.trainable.validation(Batch(images, torch.from_numpy(held.labels).float()))["loss"]
    assert rows(tmp_path, "val")[-1]["loss"] == pytest.approx(float(loss), rel=1e-5)


def test_a_non_finite_loss_stops_the_run_and_leaves_the_earlier_checkpoint_whole(tmp_path: Path) -> None:
    faces = make_faces()
    train(tmp_path / "three", model="noiseless", images=24)
    torch.manual_seed(0)
    model = MODELS["noiseless"](faces.names)
    object.__setattr__(model.config, "poison_after", 3)
    with pytest.raises(VisagistError, match=r"step 3: the loss of network 'decoder' is nan; .*learning rate") as stopped:
        train_model(model, faces, settings(checkpoint_seconds=0), tmp_path / "run", device="cpu")
    assert "\n" not in str(stopped.value)
    expected = (tmp_path / "three/last/model.safetensors").read_bytes()
    assert (tmp_path / "run/last/model.safetensors").read_bytes() == expected


def test_a_loss_that_is_looked_at_later_is_found_before_anything_is_saved(tmp_path: Path) -> None:
    faces = make_faces()
    model = MODELS["noiseless"](faces.names)
    object.__setattr__(model.config, "poison_after", 3)
    trainer = Trainer(model, faces, settings(), tmp_path, world=World(0, 1, torch.device("cpu")))
    trainer.updater.check_later = True
    with pytest.raises(NonFiniteLoss, match="step 3: the loss of network 'decoder' is nan"):
        trainer.run()
    assert trainer.progress.images == 48, "the first validation"
    assert json.loads((tmp_path / "last/config.json").read_text())["training"]["step"] == 1
    assert not (tmp_path / "best").exists()


def test_models_are_kept_every_so_many_images(tmp_path: Path) -> None:
    train(tmp_path / "run", keep_every_images=32)
    kept = sorted(p.name for p in (tmp_path / "run").glob("images-*"))
    assert kept == ["images-000000032", "images-000000064", "images-000000096"]
    assert (tmp_path / "run/images-000000096/model.safetensors").read_bytes() == (
        tmp_path / "run/last/model.safetensors"
    ).read_bytes()


def test_a_checkpoint_is_written_after_the_first_step(tmp_path: Path) -> None:
    faces = make_faces()
    model = MODELS["noiseless"](faces.names)
    object.__setattr__(model.config, "poison_after", 1)
    with pytest.raises(VisagistError, match="step 1"):
        train_model(model, faces, settings(), tmp_path / "run", device="cpu")
    assert json.loads((tmp_path / "run/last/config.json").read_text())["training"]["step"] == 1


def test_a_run_of_minutes_ends_by_the_clock(tmp_path: Path) -> None:
    train(tmp_path / "run", images=10**9, minutes=0.5 / 60)
    training = json.loads((tmp_path / "run/last/config.json").read_text())["training"]
    assert training["finished"]
    assert 0.5 <= training["seconds"] < 5


def test_a_folder_that_holds_a_run_is_not_trained_over(tmp_path: Path) -> None:
    train(tmp_path / "run", images=8)
    with pytest.raises(VisagistError, match="already holds a run: add --resume"):
        train(tmp_path / "run", images=8)


def test_a_run_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(VisagistError, match=r"cannot write .*file/run: .*choose another --out"):
        train(tmp_path / "file" / "run")


def test_the_log_has_losses_and_speed_and_samples_show_the_faces(tmp_path: Path) -> None:
    train(tmp_path / "run", model="ifcvae-gan", images=96, validate_every_images=48)
    first = rows(tmp_path / "run", "train")[0]
    assert {"rec", "kl", "label", "gan", "aux", "images_per_second"} <= first.keys()
    assert [p.name for p in sorted((tmp_path / "run/samples").iterdir())] == ["000000048.png", "000000096.png"]
    assert list((tmp_path / "run/tensorboard").iterdir())


def test_an_unknown_device_and_an_unknown_precision_are_refused() -> None:
    with pytest.raises(VisagistError, match="no device 'abacus': use auto, cpu"):
        pick_device("abacus")
    with pytest.raises(VisagistError, match="no precision 'fp8': use auto, fp32 or bf16"):
        autocast("fp8", torch.device("cpu"))  # type: ignore[arg-type]


def test_bf16_runs_where_it_is_native_or_asked_for() -> None:
    cpu = torch.device("cpu")
    with autocast("auto", cpu):
        assert torch.is_autocast_enabled("cpu") is has_bf16(cpu)
    with autocast("bf16", cpu):
        assert torch.get_autocast_dtype("cpu") is torch.bfloat16
        assert torch.is_autocast_enabled("cpu")
    with autocast("fp32", cpu):
        assert not torch.is_autocast_enabled("cpu")


@pytest.mark.parametrize("key", ["images", "batch_size", "accumulate"])
def test_a_budget_of_nothing_is_refused(key: str, tmp_path: Path) -> None:
    with pytest.raises(VisagistError, match=f"{key} is 0: a run needs at least 1"):
        train(tmp_path / "run", **{key: 0})
    assert not (tmp_path / "run").exists()


def test_weights_that_are_not_finite_never_replace_a_checkpoint(tmp_path: Path) -> None:
    train(tmp_path / "run", images=48)
    before = (tmp_path / "run" / "last" / "model.safetensors").read_bytes()
    faces = make_faces()
    model = MODELS["two-networks"](faces.names)
    trainer = Trainer(model, faces, settings(), tmp_path / "run", world=World(0, 1, torch.device("cpu")))
    with torch.no_grad():
        next(model.parameters()).fill_(float("nan"))
    with pytest.raises(NonFiniteLoss, match="is no longer finite, so the last checkpoint is kept"):
        trainer.save("last")
    assert (tmp_path / "run" / "last" / "model.safetensors").read_bytes() == before


def test_a_device_that_is_not_there_is_refused_by_number_too() -> None:
    with pytest.raises(VisagistError, match="is not there: use --device cpu, or auto"):
        pick_device("cuda:99")


def test_a_run_that_is_being_trained_is_left_alone(tmp_path: Path) -> None:
    train(tmp_path / "run", images=96)
    unfinished = tmp_path / "run" / ".last.writing-1"
    unfinished.mkdir()
    with FileLock(tmp_path / "run" / ".lock"), pytest.raises(VisagistError, match="is being trained by another process"):
        train(tmp_path / "run", images=192, resume=True)
    assert unfinished.exists()
    train(tmp_path / "run", images=192, resume=True)
    assert not unfinished.exists()
