"""Edits of photographs as a person gets them: known places, the lowest judge, and what is not found."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from edited_toys import painter
from numpy.typing import NDArray
from PIL import Image
from portraits import portrait

from visagist.data.faces import Faces
from visagist.editing.editor import Editor
from visagist.errors import VisagistError
from visagist.evaluation.extractors import judge_panel
from visagist.evaluation.photographs import protocol
from visagist.evaluation.photographs.protocol import PhotographSettings, measure_photographs
from visagist.evaluation.photographs.scenes import SOURCE_CROP, lay_out
from visagist.reports.photographs_page import photographs_page


def aligned_picture() -> NDArray[np.uint8]:
    """The public-domain portrait as an aligned picture of the crop centre178."""
    from visagist.faces.alignment import align
    from visagist.faces.detection import detect

    photo = portrait()
    face = detect(photo)[0]
    return align(face.landmarks, SOURCE_CROP, 178).face(photo)


@pytest.fixture(scope="module")
def faces() -> Faces:
    picture = aligned_picture()
    images = np.stack([picture, picture[:, ::-1], picture, picture[:, ::-1]])
    labels = np.array([[0], [0], [1], [1]], np.uint8)
    names, facts = tuple(f"{i}.png" for i in range(4)), {"crop": SOURCE_CROP, "source": "toy"}
    return Faces(images, labels, ("Smiling",), np.full(4, 2, np.uint8), names, manifest=facts)


class BrightJudge:
    """Reads brightness above a level as a smile."""

    attributes = ("Smiling",)

    def __init__(self, name: str, level: float) -> None:
        self.name, self.level = name, level

    def read(self, images: NDArray[np.uint8], attribute: str) -> NDArray[np.float32]:
        return (images[:, 40:90, 40:90].mean((1, 2, 3)) > self.level).astype(np.float32)


@pytest.fixture
def toy() -> Editor:
    editor = painter(("Smiling",))
    editor.description["crop"] = "centre148"
    return editor


def measured(monkeypatch: pytest.MonkeyPatch, faces: Faces, toy: Editor, *levels: float) -> dict[str, float]:
    panel = [BrightJudge(f"judge {i}", level) for i, level in enumerate(levels)]
    monkeypatch.setattr(protocol, "open_panel", lambda *_: panel)
    result = measure_photographs([toy], faces, PhotographSettings(mode="render"))
    assert photographs_page(result.metrics, result.strips).count("<img") == 2
    return {key.split(".Smiling.")[1]: measure["value"] for key, measure in result.metrics.values.items()}


def test_a_face_that_is_laid_out_is_cut_out_again_as_it_was() -> None:
    picture = aligned_picture()
    scene = lay_out(picture, 3)
    direct = np.asarray(Image.fromarray(picture).crop((15, 15, 163, 163)).resize((128, 128), Image.Resampling.LANCZOS))
    assert np.abs(scene.face(scene.pixels).astype(int) - direct).mean() < 3
    assert np.array_equal(lay_out(picture, 3).pixels, scene.pixels)
    assert not np.array_equal(lay_out(picture, 4).pixels, scene.pixels)


def test_the_lowest_judge_is_the_figure_with_its_own_ceiling(
    monkeypatch: pytest.MonkeyPatch, faces: Faces, toy: Editor
) -> None:
    figures = measured(monkeypatch, faces, toy, 1.0, 254.5)
    assert figures["given.judge 0.success"] == figures["given.judge 0.ceiling"] == 1
    assert figures["given.judge 1.success"] == figures["given.success"] == 0
    assert figures["given.ceiling"] == figures["given.judge 1.ceiling"] == 0
    assert figures["taken.success"] == figures["taken.judge 0.success"] == 0


def test_a_face_that_is_not_found_counts_as_not_edited(
    monkeypatch: pytest.MonkeyPatch, faces: Faces, toy: Editor
) -> None:
    monkeypatch.setattr(protocol, "detect", lambda _: [])
    figures = measured(monkeypatch, faces, toy, 1.0)
    assert figures["given.unfound"] == 1
    assert figures["given.painted"] == 0


def test_other_crops_and_attributes_that_nobody_reads_are_refused(faces: Faces, toy: Editor) -> None:
    other = replace(faces, manifest={**faces.manifest, "crop": "centre148"})
    with pytest.raises(VisagistError, match="centre178"):
        measure_photographs([toy], other, PhotographSettings())
    with pytest.raises(VisagistError, match="does not edit it"):
        measure_photographs([toy], faces, PhotographSettings(("Young",)))


@pytest.mark.parametrize(("names", "reason"), [(["nobody"], "no judge"), ([], "none"), (["judge-64", "judge-64"], "once")])
def test_a_panel_of_unknown_or_repeated_judges_is_refused(names: list[str], reason: str) -> None:
    with pytest.raises(VisagistError, match=reason):
        judge_panel.open_panel(names, "centre148")


def test_the_judge_by_geometry_reads_the_smile_of_the_portrait(tmp_path: Path) -> None:
    pytest.importorskip("dlib")
    try:
        judge = judge_panel.open_panel(["geometry"], SOURCE_CROP)[0]
    except VisagistError as error:
        pytest.skip(str(error))
    scores = [judge.read(aligned_picture()[None], name)[0] for name in judge.attributes]
    assert scores[0] > 0.8
    assert scores[1] > 0.5
