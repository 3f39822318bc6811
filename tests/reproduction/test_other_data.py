"""Names of other data than CelebA run where those are, and say what they need where not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from visagist import reproduction
from visagist.reproduction.reproduce import reproduce
from visagist.reproduction.scales import SCALES, at_scale
from visagist.reproduction.spec import Reproduction

PICTURES, RECORD = 12, 3073


@pytest.fixture
def cifar10(tmp_path: Path) -> Path:
    """A folder as the binary version of CIFAR-10 is unpacked, of a few pictures of noise."""
    folder = tmp_path / "cifar"
    folder.mkdir()
    for number, name in enumerate((*(f"data_batch_{n}" for n in range(1, 6)), "test_batch")):
        records = np.random.default_rng(number).integers(0, 256, (PICTURES, RECORD), np.uint8)
        records[:, 0] = np.arange(PICTURES) % 10
        (folder / f"{name}.bin").write_bytes(records.tobytes())
    return folder


def shortened(name: str, monkeypatch: pytest.MonkeyPatch) -> Reproduction:
    """A name with its first row alone."""
    one = reproduction.get(name)
    short = replace(one, rows=one.rows[:1], pictures=one.pictures[-1:] if len(one.pictures) == 1 else one.pictures[:1])
    monkeypatch.setattr("visagist.reproduction.reproduce.get", lambda _: short)
    return short


@pytest.mark.parametrize("name", ["vae-wgan/figure4", "vae-wgan/figure6"])
def test_names_of_cifar10_say_that_they_need_it(name: str, tmp_path: Path) -> None:
    entry = reproduce(name, scale="smoke", out=tmp_path, device="cpu")
    assert {cell["verdict"] for cell in entry["cells"]} == {"not run: needs CIFAR-10: --data cifar10:PATH"}
    assert {row["not_run"] for row in entry["rows"]} == {"needs CIFAR-10: --data cifar10:PATH"}
    assert all(picture["words"].startswith("not run: needs the row") for picture in entry["pictures"])
    assert entry["unfinished"] == []
    assert not (tmp_path / "runs").exists()


def test_names_of_cifar10_run_where_it_is(cifar10: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = shortened("vae-wgan/figure4", monkeypatch)
    entry = reproduce(one.name, scale="smoke", data=f"cifar10:{cifar10}", out=tmp_path / "out", device="cpu")
    assert entry["data"]["source"] == "cifar10:cifar"
    (row,) = entry["rows"]
    assert row["published_recipe"].endswith("cifar10-32")
    measured = {cell["key"]: cell["ours"] is not None for cell in entry["cells"]}
    assert measured["reconstruction.mse"]
    verdicts = {cell["key"]: cell["verdict"] for cell in entry["cells"]}
    assert verdicts["is.samples"] == "not run: needs FID's own weights: --features inception:FILE.pth"
    assert entry["pictures"][0]["file"] is not None


@pytest.fixture
def lfw(tmp_path: Path) -> Path:
    """A folder as LFW is unpacked, of people with and without glasses; no label says who is young."""
    rows = ["# scores", "#\tperson\timagenum\tEyeglasses\tSmiling"]
    for person in range(24):
        file = tmp_path / "lfw-deepfunneled" / f"A_{person}" / f"A_{person}_0001.jpg"
        file.parent.mkdir(parents=True)
        Image.fromarray(np.random.default_rng(person).integers(0, 256, (40, 40, 3), np.uint8)).save(file)
        rows.append(f"A {person}\t1\t{person % 2 - 0.5}\t1.0")
    (tmp_path / "lfw_attributes.txt").write_text("\n".join(rows) + "\n")
    for part, people in {"Train": range(4), "Test": range(4, 24)}.items():
        (tmp_path / f"peopleDev{part}.txt").write_text("\n".join([str(len(people)), *(f"A_{i}\t1" for i in people)]) + "\n")
    return tmp_path


def test_edits_are_measured_on_lfw_and_what_its_labels_lack_is_said(
    lfw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = reproduction.get("residual-gan/figure5")
    kept = replace(one, rows=tuple(row for row in one.rows if row.label in ("Eyeglasses", "Young")), pictures=())
    monkeypatch.setattr("visagist.reproduction.reproduce.get", lambda _: kept)
    tiny = "visagist.reproduction.reproduce.at_scale"
    monkeypatch.setattr(tiny, lambda row, scale, asked, *_: at_scale(row, SCALES["smoke"], asked))
    monkeypatch.setitem(SCALES, "small", replace(SCALES["smoke"], name="small"))
    out = tmp_path / "out"
    entry = reproduce(one.name, scale="small", data="synthetic:100", other=f"lfw:{lfw}", out=out, device="cpu")
    assert entry["data"]["other"]["source"].startswith("lfw:")
    assert entry["data"]["source"].startswith("synthetic")
    ours = {cell["key"]: cell for cell in entry["cells"]}
    assert ours["edit.Eyeglasses.success_0"]["ours"] is not None, ours["edit.Eyeglasses.success_0"]["verdict"]
    assert ours["edit.Young.success_0"]["verdict"] == "not run: needs faces labelled Young"
