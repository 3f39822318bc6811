from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from edited_toys import tiny_method
from huggingface_hub import constants
from safetensors.torch import load_file

from visagist import pretrained
from visagist.checkpoints import checkpoint
from visagist.editing.editor import Editor
from visagist.errors import VisagistError


@pytest.fixture
def zoo(tmp_path: Path, model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A zoo of two methods' models and a judge."""
    folder = tmp_path / "zoo"
    for name in ("ifcvae-gan-smiling-16", "cvae-gan-smiling-16"):
        shutil.copytree(model_folder, folder / name)
    shutil.copytree(model_folder, folder / "judge-16")
    config = folder / "judge-16" / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "kind": "judge"}))
    (folder / "defaults.json").write_text('{"Smiling": "ifcvae-gan-smiling-16"}')
    monkeypatch.setattr(pretrained, "ZOO", folder)
    return folder


def test_a_zoo_model_is_found_by_its_name(zoo: Path) -> None:
    editor = Editor.from_pretrained("cvae-gan-smiling-16", device="cpu")
    assert editor.name == "cvae-gan-smiling-16"
    assert editor.attributes == ("Smiling", "Eyeglasses")
    assert editor.image_size == 16
    assert editor.backend.name == "ifcvae-gan"


def test_the_zoo_lists_methods_and_knows_the_best_for_an_attribute(zoo: Path) -> None:
    assert pretrained.zoo() == ("cvae-gan-smiling-16", "ifcvae-gan-smiling-16")
    assert pretrained.default_model("Smiling") == "ifcvae-gan-smiling-16"
    with pytest.raises(VisagistError, match=r"no zoo model edits 'Bald': known: Smiling"):
        pretrained.default_model("Bald")


def test_what_an_attribute_reaches_is_read_by_the_lowest_judge_where_a_card_has_it(zoo: Path) -> None:
    rows = ["edit.Smiling.at_strength.success_0 | 0.99", "edit.Smiling.at_strength.from_0.success_1 | 0.98"]
    lowest = "panel.Smiling.at_strength.taken.success | 0.56"
    for name, more in (("ifcvae-gan-smiling-16", [lowest]), ("cvae-gan-smiling-16", [])):
        (zoo / name / "README.md").write_text("".join(f"| {row} | 0 | 1 | 9 |\n" for row in rows + more))
    models = {m["model"]: m for row in pretrained.describe_edits() if row["attribute"] == "Smiling" for m in row["models"]}
    assert (models["ifcvae-gan-smiling-16"]["taken"], models["ifcvae-gan-smiling-16"]["given"]) == (0.56, 0.98)
    assert models["cvae-gan-smiling-16"]["taken"] == 0.99


def test_the_shipped_zoo_keeps_its_own_promises() -> None:
    assert set(pretrained.defaults().values()) <= set(pretrained.zoo())
    for attribute, name in pretrained.defaults().items():
        assert attribute in Editor.from_pretrained(name, device="cpu").attributes


def test_a_name_that_is_nowhere_offers_the_nearest(zoo: Path) -> None:
    with pytest.raises(VisagistError, match="did you mean ifcvae-gan-smiling-16"):
        Editor.from_pretrained("ifcvae-smiling-16")
    with pytest.raises(VisagistError, match="no model ''"):
        Editor.from_pretrained("")
    with pytest.raises(VisagistError, match="no model '/nowhere/at-all'"):
        Editor.from_pretrained(Path("/nowhere/at-all"))


def test_a_run_folder_gives_its_best_model_before_its_last(model_folder: Path, tmp_path: Path) -> None:
    run = tmp_path / "smile-run"
    shutil.copytree(model_folder, run / "last")
    assert pretrained.find_model(run) == ("smile-run", run / "last")
    shutil.copytree(model_folder, run / "best")
    assert pretrained.find_model(str(run)) == ("smile-run", run / "best")
    assert pretrained.find_model(run / "last") == ("smile-run", run / "last")
    assert Editor.from_pretrained(run, device="cpu").name == "smile-run"


def test_judges_empty_damaged_and_old_folders_are_refused(zoo: Path, model_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(VisagistError, match="holds a judge"):
        Editor.from_pretrained("judge-16")
    (tmp_path / "empty").mkdir()
    with pytest.raises(VisagistError, match="no model folder"):
        Editor.from_pretrained(tmp_path / "empty")
    weights = model_folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x55")
    with pytest.raises(VisagistError, match="SHA-256"):
        Editor.from_pretrained(model_folder)
    config = model_folder / "config.json"
    config.write_text(config.read_text().replace('"format_version": 1', '"format_version": 99'))
    with pytest.raises(VisagistError, match="format 99"):
        Editor.from_pretrained(model_folder)


def test_the_hub_without_a_network_is_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(VisagistError, match="cannot fetch hub:somebody/smiles") as caught:
        Editor.from_pretrained("hub:somebody/smiles")
    assert "\n" not in str(caught.value)
    with pytest.raises(VisagistError, match="write hub:owner/name"):
        Editor.from_pretrained("hub:smiles")


def test_pushing_without_a_network_is_one_clear_line(editor: Editor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(VisagistError, match="cannot push to somebody/smiles") as caught:
        editor.push_to_hub("somebody/smiles")
    assert "\n" not in str(caught.value)
    with pytest.raises(VisagistError, match="write owner/name"):
        editor.push_to_hub("smiles")


@pytest.mark.parametrize("half", [False, True])
def test_a_saved_editor_edits_alike(editor: Editor, pixels: np.ndarray, tmp_path: Path, half: bool) -> None:
    editor.card = "# Tiny\n"
    again = Editor.from_pretrained(editor.save(tmp_path / "new" / "copy", half=half), device="cpu")
    assert again.card == "# Tiny\n"
    difference = again.edit(pixels, Smiling=1).astype(int) - editor.edit(pixels, Smiling=1)
    assert np.abs(difference).max() <= (3 if half else 0)
    saved = load_file(tmp_path / "new" / "copy" / "model.safetensors")
    assert {key.split(".")[0] for key in saved} == {"encoder", "decoder"}
    editor.save(tmp_path / "new" / "copy")


def test_saving_never_removes_what_is_no_model(editor: Editor, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.txt").write_text("years")
    with pytest.raises(VisagistError, match=r"holds thesis.txt"):
        editor.save(tmp_path / "home")
    assert (tmp_path / "home" / "thesis.txt").read_text() == "years"
    with pytest.raises(VisagistError, match="is a file"):
        editor.save(tmp_path / "home" / "thesis.txt")


def test_half_refuses_weights_that_it_cannot_hold(tmp_path: Path) -> None:
    method = tiny_method()
    method.encoder.heads.bias.data[0] = 1e6
    with pytest.raises(VisagistError, match="float16 cannot hold"):
        Editor(method, checkpoint.describe(method)).save(tmp_path / "half", half=True)
    assert not (tmp_path / "half").exists()
