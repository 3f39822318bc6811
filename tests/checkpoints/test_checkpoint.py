"""A model folder is whole at every instant, and what is not whole is refused in one line."""

from __future__ import annotations

import builtins
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_models import tiny_model
from tiny_run import TwoNetworks, TwoNetworksConfig

from visagist import methods, pretrained
from visagist.checkpoints.checkpoint import build, describe, load_model, read_description, recover, save_model
from visagist.errors import VisagistError
from visagist.judges import judge
from visagist.methods.ifcvae_gan import IFcVAEGAN
from visagist.refining import load

SCRIPT = Path(__file__).parents[1] / "support" / "tiny_run.py"


@pytest.fixture
def model() -> Any:
    return tiny_model(IFcVAEGAN)


@pytest.fixture
def folder(model: Any, tmp_path: Path) -> Path:
    """A saved model."""
    save_model(tmp_path / "model", describe(model, crop="none"), model.state_dict())
    return tmp_path / "model"


def refused(folder: Path) -> str:
    with pytest.raises(VisagistError) as error:
        load_model(folder)
    assert "\n" not in str(error.value)
    return str(error.value)


def rewrite(folder: Path, **changes: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_shapes_are_checked_without_what_torch_imports_for_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    imported, importing = [], builtins.__import__

    def spy(name: str, *rest: Any, **more: Any) -> Any:
        imported.append(name)
        return importing(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", spy)
    for kind, lookup in (("method", methods.get), ("refiner", load.lookup), ("judge", judge.lookup)):
        for name in pretrained.zoo(kind):
            load_model(pretrained.find_model(name, kind).folder, lookup, kind)
    assert not [name for name in imported if name.startswith(("sympy", "torch._dynamo", "torch.fx.experimental"))]


def test_a_model_comes_back_as_it_was_saved_in_evaluation_mode(model: Any, folder: Path) -> None:
    loaded, description = load_model(folder)
    assert description["crop"] == "none"
    assert (loaded.attributes, loaded.image_size, loaded.config) == (model.attributes, model.image_size, model.config)
    assert not loaded.training
    assert not any(p.requires_grad for p in loaded.parameters())
    for name, value in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value)


def test_half_precision_weights_come_back_as_float32(model: Any, tmp_path: Path) -> None:
    half = {k: v.half() if v.is_floating_point() else v for k, v in model.state_dict().items()}
    save_model(tmp_path / "half", describe(model), half)
    loaded, _ = load_model(tmp_path / "half")
    assert {p.dtype for p in loaded.parameters()} == {torch.float32}


def test_networks_that_only_training_needs_may_be_left_out_and_others_may_not(model: Any, tmp_path: Path) -> None:
    weights = model.state_dict()
    shown = {k: v for k, v in weights.items() if k.split(".")[0] in model.inference_networks}
    save_model(tmp_path / "lean", describe(model), shown)
    load_model(tmp_path / "lean")
    headless = {k: v for k, v in weights.items() if not k.startswith("decoder")}
    save_model(tmp_path / "headless", describe(model), headless)
    assert "weights do not fit ifcvae-gan: decoder." in refused(tmp_path / "headless")


def test_weights_of_another_shape_or_name_are_refused(model: Any, tmp_path: Path) -> None:
    wide = tiny_model(IFcVAEGAN, width=3)
    save_model(tmp_path / "wide", describe(model), wide.state_dict())
    assert "weights do not fit" in refused(tmp_path / "wide")
    save_model(tmp_path / "more", describe(model), {**model.state_dict(), "teacher.weight": torch.zeros(1)})
    assert "teacher.weight" in refused(tmp_path / "more")


def test_tuples_in_a_config_survive(tmp_path: Path) -> None:
    net = TwoNetworks(TwoNetworksConfig(layers=(3, 4)), ("Smiling",), 16)
    description = json.loads(json.dumps(describe(net)))
    assert build(description, lambda name: TwoNetworks).config == net.config


def test_a_model_folder_can_be_read_by_whom_the_umask_allows(folder: Path) -> None:
    modes = {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}
    assert modes["model.safetensors"] == modes["config.json"]


@pytest.mark.parametrize("damage", ["flip", "truncate", "empty", "text"])
def test_corrupted_weights_are_refused(damage: str, folder: Path) -> None:
    path = folder / "model.safetensors"
    whole = path.read_bytes()
    middle = len(whole) * 3 // 4
    path.write_bytes(
        {
            "flip": whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :],
            "truncate": whole[:middle],
            "empty": b"",
            "text": b"these are no weights",
        }[damage]
    )
    assert "model.safetensors does not match its SHA-256: the file is damaged" in refused(folder)


def test_missing_weights_are_refused(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    assert "cannot read" in refused(folder)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"format_version": 1, "ki', "the file is damaged"),
        ("[]", "format None"),
        ('{"format_version": 1, "name": "ifcvae-gan"}', "lacks attributes, config, image_size, kind, weights_sha256"),
    ],
)
def test_a_damaged_description_is_refused(text: str, says: str, folder: Path) -> None:
    (folder / "config.json").write_text(text)
    assert says in refused(folder)


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    assert "is no model folder: it has no config.json; name a run's last/ or best/" in refused(tmp_path)
    assert "is no model folder" in refused(tmp_path / "nowhere")


def test_a_judge_is_refused_where_a_method_is_needed(folder: Path) -> None:
    rewrite(folder, kind="judge")
    assert "holds a judge (ifcvae-gan); a method is needed here" in refused(folder)


def test_an_unknown_method_is_refused_with_the_nearest_names(folder: Path) -> None:
    rewrite(folder, name="ifcvae-gun")
    assert "no method 'ifcvae-gun': did you mean ifcvae-gan" in refused(folder)


def test_a_setting_of_another_version_is_refused_by_name(model: Any, folder: Path) -> None:
    rewrite(folder, config={**model.config_dict(), "telepathy": 1})
    assert "ifcvae-gan has no setting telepathy: another version wrote it" in refused(folder)


def test_an_older_format_is_refused_by_name(fixtures: Path) -> None:
    says = refused(fixtures / "format-0")
    assert "checkpoint format 0; this visagist reads format 1: use the visagist that wrote it" in says


def test_a_stored_model_of_format_1_keeps_loading(fixtures: Path) -> None:
    model, description = load_model(fixtures / "format-1")
    expected = json.loads((fixtures / "format-1-expected.json").read_text())
    ramp = torch.linspace(0, 1, 3 * 16 * 16).reshape(1, 3, 16, 16)
    with torch.no_grad():
        picture = model.edit(ramp, torch.ones(1, 1), torch.ones(1, 1))
        label = model.classify(ramp)
    assert description["attributes"] == ["Smiling"]
    torch.testing.assert_close(picture.mean(dim=(0, 2, 3)), torch.tensor(expected["edit_mean_rgb"]), rtol=0, atol=1e-5)
    torch.testing.assert_close(label[0], torch.tensor(expected["label"]), rtol=0, atol=1e-5)


def test_a_kill_between_the_two_renames_is_put_right(folder: Path) -> None:
    previous = folder.with_name(".model.previous")
    half_written = folder.with_name(".model.writing-12345")
    shutil.copytree(folder, half_written)
    folder.rename(previous)
    recover(folder)
    load_model(folder)
    assert [p.name for p in folder.parent.iterdir()] == ["model"]


def test_a_kill_after_the_two_renames_leaves_no_old_model_behind(folder: Path) -> None:
    shutil.copytree(folder, folder.with_name(".model.previous"))
    recover(folder)
    assert [p.name for p in folder.parent.iterdir()] == ["model"]


def test_a_reader_finds_the_model_that_a_kill_between_the_renames_left(folder: Path) -> None:
    folder.rename(folder.with_name(".model.previous"))
    load_model(folder)


def test_a_reader_never_disturbs_the_run_that_writes(folder: Path) -> None:
    half_written = folder.with_name(f".model.writing-{os.getpid()}")
    half_written.mkdir()
    read_description(folder)
    assert half_written.is_dir()


def test_a_reader_waits_while_another_process_swaps(folder: Path) -> None:
    previous, fresh = folder.with_name(".model.previous"), folder.with_name(".model.writing-1")
    shutil.copytree(folder, fresh)
    rewrite(fresh, crop="new")
    folder.rename(previous)

    def finish() -> None:
        time.sleep(0.2)
        fresh.rename(folder)

    writer = threading.Thread(target=finish)
    writer.start()
    found = read_description(folder)
    writer.join()
    assert found["crop"] == "new"


@pytest.mark.slow
def test_a_full_disk_leaves_the_old_checkpoint_whole_and_nothing_half_written(tmp_path: Path) -> None:
    run = tmp_path / "run"
    command = [sys.executable, "-W", "error", str(SCRIPT), str(run)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([*command, "--set", "images=48"], env=environment, check=True, timeout=120)
    before = {p: p.read_bytes() for p in (run / "last").iterdir()}
    largest = max(len(content) for content in before.values())
    limited = [*command, "--resume", "--file-size-limit", str(largest - 1000)]
    done = subprocess.run(limited, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 2
    assert "cannot write" in done.stderr
    assert "free some space" in done.stderr
    assert done.stderr.count("\n") == 1
    assert {p: p.read_bytes() for p in (run / "last").iterdir()} == before
    assert [p.name for p in run.iterdir() if p.name.startswith(".")] == [".lock"]


def test_a_model_that_cannot_be_written_is_one_line_and_leaves_nothing(model: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(VisagistError, match=r"cannot write .*file/model: .*choose another --out"):
        save_model(tmp_path / "file" / "model", describe(model), model.state_dict())
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
