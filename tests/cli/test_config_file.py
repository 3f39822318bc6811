"""`visagist train --config` reads what the command line leaves out, and `--save-config` writes it."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_runs import TINY, Command

from visagist.checkpoints.checkpoint import read_description

pytestmark = pytest.mark.usefixtures("own_cache")
CONFIG = """
method = "ifcvae-gan"
attributes = ["Smiling"]
data = "synthetic:40"
images = 16
device = "cpu"
calibrate = false
out = "{out}"

[set]
image_size = 16
width = 4
batch_size = 8
latent = 8
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "run.toml"
    path.write_text(CONFIG.format(out=tmp_path / "of-the-file"))
    return path


def test_the_file_says_what_the_command_line_leaves_out(command: Command, config: Path, tmp_path: Path) -> None:
    done = command("train", "--config", config, "--out", tmp_path / "run", "--set", "latent=12", "--seed", "3")
    assert done.status == 0, done.err
    described = read_description(tmp_path / "run" / "last")
    assert (described["config"]["width"], described["config"]["latent"]) == (4, 12)
    assert (described["training"]["seed"], described["training"]["images"], described["strength"]) == (3, 16, None)
    assert not (tmp_path / "of-the-file").exists()


def test_what_is_saved_is_the_same_training_and_is_not_written_over(command: Command, tmp_path: Path) -> None:
    words = ["--data", "synthetic:40", "--attributes", "Smiling", "--images", "8", "--device", "cpu", "--no-calibrate"]
    saved = tmp_path / "saved.toml"
    first = command("train", "ifcvae-gan", *words, *TINY, "--out", tmp_path / "first", "--save-config", saved)
    assert first.status == 0, first.err
    text = saved.read_text()
    assert command("train", "--config", saved, "--out", tmp_path / "second").status == 0
    hashes = {read_description(tmp_path / run / "last")["weights_sha256"] for run in ("first", "second")}
    assert len(hashes) == 1
    other = command("train", "--config", saved, "--out", tmp_path / "third", "--seed", "1", "--save-config", saved)
    assert "says something else" in other.error
    assert saved.read_text() == text
    assert not (tmp_path / "third").exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("methode = 'vae'", "no option 'methode': did you mean method"),
        ("method = vae", "is no TOML"),
        ("method = 'vae'\nwidth = 4", "no option 'width'"),
        ("[data]\npath = 'x'", "data is a table; settings stand in [set]"),
        ("set = 4", "[set] is a table of settings"),
        ("minutes = 'soon'\nmethod = 'vae'", "Invalid value for '--minutes'"),
        ("method = 'vae'\ndata = 'celebs:x'", "did you mean celeba or celeba-hq"),
        ("method = 'vae'\n[set]\nwidht = 4", "did you mean width"),
        ("resume = true", "no option 'resume'"),
    ],
)
def test_what_a_file_says_wrongly_is_one_line(command: Command, tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "run.toml").write_text(text)
    assert said in command("train", "--config", tmp_path / "run.toml", "--out", tmp_path / "run").error
    assert not (tmp_path / "run").exists()


def test_a_file_that_is_not_there_is_named(command: Command, tmp_path: Path) -> None:
    assert "there is no file" in command("train", "--config", tmp_path / "no.toml", "--out", tmp_path / "run").error
