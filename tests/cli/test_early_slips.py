"""What a person mistyped in a training is told of before anything that takes time.

As a program it writes the names that the command knows without torch.
"""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

import pytest
from cli_runs import Command

from visagist import recipes
from visagist.cli.options import TRAINABLE_NAMES
from visagist.cli.options import _may_be_new as may_be_new
from visagist.pipelines.plan import DataSettings, trainables
from visagist.reproduction import spec
from visagist.training.config import TrainingConfig


def trainable_names() -> dict[str, Any]:
    """Names of all that can be trained with those of its settings, and of recipes."""
    shared = [field.name for kind in (DataSettings, TrainingConfig) for field in fields(kind)]
    settings = {name: sorted({*shared, *(f.name for f in fields(kind.Config))}) for name, kind in trainables().items()}
    return {"settings": settings, "recipes": sorted(recipes.available()), "reproductions": sorted(spec.available())}


def test_the_command_knows_all_names_without_torch() -> None:
    known = json.loads(TRAINABLE_NAMES.read_text())
    assert known == trainable_names(), "write them anew: PYTHONPATH=src:tests/support python tests/cli/test_early_slips.py"


def test_a_name_that_is_newer_than_the_file_is_not_refused() -> None:
    known = trainable_names()
    for name in (*known["settings"], *known["recipes"], *known["reproductions"], *known["settings"]["ifcvae-gan"]):
        assert may_be_new(name), name
    assert not any(map(may_be_new, ("ifcvaegan", "widht", "ifcvae-gan/smilng-64", "vea", "ifcvae-gan/table33")))


@pytest.mark.parametrize("method", ["ifcvae-gan", "judge"])
def test_an_attribute_that_the_data_lack_is_told_of_before_faces_are_drawn(
    command: Command, tmp_path: Any, method: str
) -> None:
    words = ("train", method, "--attributes", "Smilling", "--images", "8", "--out", tmp_path / "run")
    done = command(*words)
    assert "did you mean Smiling" in done.error
    assert "drawing" not in done.err


def test_a_method_that_needs_attributes_says_so_before_faces_are_drawn(command: Command, tmp_path: Any) -> None:
    done = command("train", "ifcvae-gan", "--images", "8", "--out", tmp_path / "run")
    assert "ifcvae-gan needs attributes to learn: --attributes with some of" in done.error
    assert "Smiling" in done.error
    assert "drawing" not in done.err


if __name__ == "__main__":
    TRAINABLE_NAMES.write_text(json.dumps(trainable_names(), indent=1) + "\n")
