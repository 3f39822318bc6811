"""What `visagist correlations` promises: what is printed, what is written, what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from cli_runs import Command, contents
from tiny_models import tiny_model
from tiny_zoo import saved, use_two_small_judges

from visagist import methods
from visagist.editing.direction_editor import save_directions
from visagist.editing.editor import Editor
from visagist.latent.direction_types import Direction

ASKED = ("--data", "synthetic:60", "--set", "Smiling=1", "--among", "Young=1", "--device", "cpu", "--limit", 2)


@pytest.fixture
def command(capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """The command, in a world with two small judges of everything that is drawn."""
    use_two_small_judges(tmp_path, monkeypatch)
    return Command(capfd)


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """Model folders of an IntroVAC and of a residual-gan that know Smiling."""
    folders = [saved(tmp_path / name, tiny_model(methods.get(name))) for name in ("introvac", "residual-gan")]
    return folders[0], folders[1]


def directions_of(folder: Path, path: Path) -> Path:
    """A file of two directions of Smiling and one of Young in a model's code."""
    editor = Editor.from_pretrained(folder, "cpu")
    vector = np.eye(editor.backend.trained_method.config.latent)[0]
    found = [
        Direction("Smiling", "mean", vector, 1.0),
        Direction("Smiling", "mean", vector, 1.0, ("Young",)),
        Direction("Smiling", "lda", vector, 1.0),
        Direction("Young", "mean", vector, 1.0),
    ]
    return save_directions(path, found, editor.description["weights_sha256"])


def test_models_and_directions_are_compared_on_the_same_faces(
    command: Command, tmp_path: Path, pair: tuple[Path, Path]
) -> None:
    file, out = directions_of(pair[0], tmp_path / "d.safetensors"), tmp_path / "out"
    done = command("correlations", *pair, *ASKED, "--directions", file, "--kinds", "mean", "--watch", "Bangs", "--out", out)
    assert done.status == 0, done.err
    assert done.out.splitlines()[-1] == str(out / "correlations.html")
    assert sorted(contents(out)) == ["correlations.csv", "correlations.html", "correlations.json"]
    assert "labels.Smiling.Young.correlation: " in done.out
    printed = " ".join(done.out.split())
    assert "Smiling=+1 among Young=1, Smiling=0: 2 faces" in printed
    report = json.loads((out / "correlations.json").read_text())
    names = ["introvac", "residual-gan", "introvac along mean", "introvac along mean given Young"]
    assert [model["name"] for model in report["manifest"]["models"]] == names
    assert report["manifest"]["watched"] == ["Bangs"]
    for name in names:
        assert report["metrics"][f"correlations.{name}.success"]["n"] == 2
        assert f"correlations.{name}.second_reads.Bangs.change" in report["metrics"]
    same = [f"correlations.introvac along mean{given}.change" for given in ("", " given Young")]
    assert report["metrics"][same[0]] == report["metrics"][same[1]]
    assert "note: the strength of residual-gan is not calibrated" in done.err
    assert "not computed: correlations.*.identity.*: no identity embedder" in done.err


def test_json_is_the_file(command: Command, tmp_path: Path, pair: tuple[Path, Path]) -> None:
    done = command("correlations", pair[1], *ASKED, "--out", tmp_path / "out", "--json")
    assert done.status == 0, done.err
    assert json.loads(done.out) == json.loads((tmp_path / "out" / "correlations.json").read_text())


def test_what_cannot_be_compared_is_one_line_and_leaves_nothing(
    command: Command, tmp_path: Path, pair: tuple[Path, Path]
) -> None:
    file, out = directions_of(pair[0], tmp_path / "d.safetensors"), tmp_path / "out"
    given = ("--data", "synthetic:60", "--device", "cpu", "--out", out)
    smile = (*given, "--set", "Smiling=1")
    assert "--set names 2 attributes" in command("correlations", pair[0], *smile, "--set", "Young=1").error
    assert "a strength is a number from -1 to 1" in command("correlations", pair[0], *given, "--set", "Smiling=3").error
    assert "--among 'Young' is no value" in command("correlations", pair[0], *smile, "--among", "Young").error
    assert "no attribute 'Male' in the data" in command("correlations", pair[0], *smile, "--among", "Male=0").error
    assert "--kinds chooses among" in command("correlations", pair[0], *smile, "--kinds", "mean").error
    assert "are of none of residual-gan" in command("correlations", pair[1], *smile, "--directions", file).error
    wrong = command("correlations", pair[0], *smile, "--directions", file, "--kinds", "svm")
    assert "no direction of Smiling by svm: it has Smiling by mean, " in wrong.error
    assert "would fit strength and score it" in command("correlations", pair[0], *smile, "--judge", "judge-64-b").error
    assert not out.exists()
