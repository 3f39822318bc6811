"""What `visagist compare` promises: what is printed, what is written, what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli_runs import Command, contents
from tiny_models import tiny_model
from tiny_zoo import saved, use_two_small_judges

import visagist
from visagist import methods

ASKED = ("--data", "synthetic:60", "--device", "cpu", "--limit", 3)


@pytest.fixture
def command(capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """The command, in a world with two small judges of everything that is drawn."""
    use_two_small_judges(tmp_path, monkeypatch)
    return Command(capfd)


@pytest.fixture
def models(tmp_path: Path) -> list[Path]:
    """Model folders: two that edit Smiling, one of them at another size, one with a code only, and one that generates."""
    sizes = {"introvac": 16, "residual-gan": 32, "vae": 16, "dcgan": 16}
    return [saved(tmp_path / name, tiny_model(methods.get(name), image_size=size)) for name, size in sizes.items()]


def test_models_of_any_kind_are_set_side_by_side(command: Command, tmp_path: Path, models: list[Path]) -> None:
    out = tmp_path / "out"
    done = command("compare", *models, *ASKED, "--out", out)
    assert done.status == 0, done.err
    assert done.out.splitlines()[-1] == str(out / "compare.html")
    assert sorted(contents(out)) == ["compare.csv", "compare.html", "compare.json"]
    assert "Smiling at strength ±1: 3 faces" in " ".join(done.out.split())
    report = json.loads((out / "compare.json").read_text())
    names = ["introvac", "residual-gan", "vae", "dcgan"]
    assert [model["name"] for model in report["manifest"]["models"]] == names
    assert report["manifest"]["attributes"] == ["Smiling"]
    for name in names:
        edits = name in names[:2]
        assert (f"compare.{name}.Smiling.render.success" in report["metrics"]) == edits
        assert (f"compare.{name}.Smiling.*" in report["not_computed"]) != edits
        assert f"general.{name}.cost.parameters" in report["metrics"]
    assert "note: the strength of introvac is not calibrated for Smiling" in done.err
    assert "note: residual-gan has no autoencoder" in done.err
    assert "not computed: *.identity*: no identity embedder" in done.err


def test_json_is_the_file_and_what_the_function_returns(command: Command, tmp_path: Path, models: list[Path]) -> None:
    done = command("compare", *models[:2], *ASKED, "--out", tmp_path / "out", "--attributes", "Smiling", "--json")
    assert done.status == 0, done.err
    written = json.loads(done.out)
    assert written == json.loads((tmp_path / "out" / "compare.json").read_text())
    metrics = visagist.compare(models[:2], "synthetic:60", limit=3, device="cpu")
    key = "compare.residual-gan.Smiling.detail.change"
    assert metrics[key] == written["metrics"][key]


def test_what_cannot_be_compared_is_one_line_and_leaves_nothing(
    command: Command, tmp_path: Path, models: list[Path]
) -> None:
    given = ("--data", "synthetic:60", "--device", "cpu", "--out", tmp_path / "out")
    assert "of two models or more" in command("compare", models[0], *given).error
    assert "name each once" in command("compare", models[0], models[0], *given).error
    assert "no model edits Young" in command("compare", *models[:2], *given, "--attributes", "Young").error
    assert "no attribute 'Male' in the data" in command("compare", *models[:2], *given, "--attributes", "Male").error
    assert "never scores" in command("compare", *models[:2], *given, "--judge", "judge-64-b").error
    assert "--identity-box says" in command("compare", *models[:2], *given, "--identity-box", "0,0,1,1").error
    assert "no feature network" in command("compare", *models[:2], *given, "--features", "nothing").error
    assert not (tmp_path / "out").exists()
