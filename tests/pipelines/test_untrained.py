"""A model that has seen too little says so, and its strength is not fitted unless that is asked for."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_runs import Command

from visagist import pretrained
from visagist.checkpoints.checkpoint import read_description
from visagist.data import load_data
from visagist.pipelines.untrained import mark_untrained

TRAINING = ("train", "ifcvae-gan", "--data", "synthetic:60", "--attributes", "Smiling", "--images", "16", "--device", "cpu",
            "--set", "image_size=32", "--set", "width=4", "--set", "batch_size=8", "--set", "latent=8")  # fmt: skip

pytestmark = pytest.mark.usefixtures("own_cache")


def test_a_model_that_draws_no_faces_yet_is_called_untrained(command: Command, tmp_path: Path) -> None:
    run = tmp_path / "run"
    done = command(*TRAINING, "--out", run)
    assert done.status == 0, done.err
    assert f"{run} is untrained: it draws faces in 0% of its reconstructions" in done.err
    assert "--calibrate does so all the same" in done.err
    assert read_description(run / "best")["strength"] is None
    assert command("inspect", run, "--json").out.count('"untrained": true') == 1
    done = command("calibrate", run, "--data", "synthetic:60", "--number", "4")
    assert done.status == 0, done.err
    assert read_description(run / "best")["strength"]["Smiling"]["+1"]["calibrated"]


def test_a_trained_model_is_not_called_untrained(tmp_path: Path) -> None:
    faces = load_data("synthetic:200", image_size=64)
    model = pretrained.ZOO / "ifcvae-gan-factored-64"
    before = (model / "config.json").read_bytes()
    assert mark_untrained(model, faces, "cpu") is None
    assert mark_untrained(model, faces.take(faces.indices("train")[:4]), "cpu") is None, "nothing to tell it by"
    assert (model / "config.json").read_bytes() == before
