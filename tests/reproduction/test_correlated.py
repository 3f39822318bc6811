"""Who takes part in a comparison of a published figure, and what is said where it cannot be made."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tiny_faces import make_faces
from tiny_models import tiny_model

from visagist import methods, reproduction
from visagist.data.faces import Faces
from visagist.editing.editor import Editor
from visagist.reproduction.measures import _make_editors, measure_effects
from visagist.reproduction.runs import Judging
from visagist.reproduction.spec import Correlated

ASKED = Correlated("Beards", "No_Beard", -1.0, {"Male": 0}, ("Male",), {"IntroVAC": ("classifier", "mean")}, {"Male": -0.5})
ROWS = ("ours", "VAE/GAN", "IntroVAC")
JUDGING = Judging(8, 0, "cpu")


@pytest.fixture
def editors() -> dict[str, Editor]:
    made = {"ours": ("residual-gan", "No_Beard"), "VAE/GAN": ("vae-gan", None), "IntroVAC": ("introvac", "Facial_Hair")}
    return {
        label: Editor(tiny_model(methods.get(method), () if name is None else (name,)), name="run")
        for label, (method, name) in made.items()
    }


def faces_of(*attributes: str) -> Faces:
    return make_faces(60, attributes=attributes, val=8, test=20)


def found(editors: dict[str, Editor], faces: Faces, out: Path) -> Any:
    return measure_effects(ASKED, editors, dict.fromkeys(editors, faces), ROWS, JUDGING, False, None, out)


def test_every_row_edits_by_what_it_has_and_directions_stand_beside_their_model(editors: dict[str, Editor]) -> None:
    faces = faces_of("No_Beard", "Male")
    made = _make_editors(ASKED, editors, dict.fromkeys(editors, faces), ("Male",), JUDGING, None)
    kinds = [f"IntroVAC along {kind}{given}" for kind in ("classifier", "mean") for given in ("", " given Male")]
    assert list(made) == [*ROWS, *kinds]
    assert [editor.name for editor, _ in made.values()] == list(made)
    assert made["VAE/GAN"][0].attributes == ("No_Beard",)
    assert made["VAE/GAN"][0].description["vectors"][0]["n_with"] > 0
    assert {editor.attributes for editor, _ in list(made.values())[2:]} == {("Facial_Hair",)}


def test_faces_without_the_labels_are_not_replaced_by_others(editors: dict[str, Editor], tmp_path: Path) -> None:
    nothing = found(editors, faces_of("No_Beard"), tmp_path / "out")
    assert {cell.verdict for cell in nothing.cells} == {"not run: needs faces labelled Male"}
    assert {cell.row for cell in nothing.cells} == {"labels", *ROWS}
    assert nothing.picture.image is None
    assert not (tmp_path / "out").exists()


def test_drawn_faces_have_no_gender_and_the_page_says_that_all_are_taken(editors: dict[str, Editor], tmp_path: Path) -> None:
    drawn = replace(faces_of("No_Beard"), manifest={"source": "synthetic:60", "crop": "drawn"})
    run = found({"ours": editors["ours"]}, drawn, tmp_path / "out")
    assert "drawn faces are not labelled Male" in run.notes[0]
    verdicts = {(cell.row, cell.key.rpartition(".")[2]): cell.verdict for cell in run.cells}
    assert verdicts["labels", "correlation"] == "not run: needs faces labelled Male"
    assert verdicts["VAE/GAN", "success"] == "not run: needs the row VAE/GAN"
    assert verdicts["ours", "success"] == "not comparable because no value is published"
    assert run.picture.image is not None
    assert (tmp_path / "out" / "correlations.html").exists()


def test_the_published_correlation_stands_beside_that_of_the_labels(editors: dict[str, Editor], tmp_path: Path) -> None:
    run = found({"ours": editors["ours"]}, faces_of("No_Beard", "Male"), tmp_path / "out")
    cell = run.cells[0]
    assert (cell.row, cell.key, cell.published) == ("labels", "labels.No_Beard.Male.correlation", -0.5)
    assert cell.ours is not None
    assert cell.ours["n"] == 60
    assert reproduction.get("residual-gan/figure7").correlated.published == {"Male": -0.5222}
