"""What else an edit changes is told, and an edit that is not read ends with a status of its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from cli_runs import Command
from PIL import Image
from portraits import POINTS, lay, portrait, portrait_photo

from visagist.editing.attribute_scores import AttributeScores, side_effects, skin_change
from visagist.editing.request import EditRecord
from visagist.editing.selection.second_face import second_face
from visagist.faces.detection import detect
from visagist.faces.skin import skin_lightness

pytestmark = pytest.mark.usefixtures("own_cache")


def scores(**values: float) -> AttributeScores:
    return AttributeScores({name: [value] for name, value in values.items()}, "judge")


def test_attributes_that_change_unasked_are_told_the_most_changed_first() -> None:
    before = scores(Smiling=0.1, Male=0.9, Young=0.8, Eyeglasses=0.1, High_Cheekbones=0.1, Bald=0.45)
    after = scores(Smiling=0.9, Male=0.2, Young=0.3, Eyeglasses=0.2, High_Cheekbones=0.9, Bald=0.55)
    told = side_effects({"Smiling": 1.0}, before, after, 0)
    assert [line.split()[0] for line in told] == ["Male", "Young"]
    assert told[0] == "Male changes too: 0.90 before, 0.20 after, by judge"
    assert side_effects({"Smiling": 1.0, "Male": -1.0}, before, after, 0)[0].startswith("Young")


def test_lightness_is_that_of_the_skin() -> None:
    flat = np.full((148, 148, 3), 128, np.uint8)
    assert skin_lightness(flat, POINTS) == pytest.approx(53.6, abs=0.1)
    face = portrait().copy()
    face[:30] = 0
    assert skin_lightness(face, POINTS) == skin_lightness(portrait(), POINTS) > 60
    assert np.isnan(skin_lightness(flat, POINTS + 500))


def test_a_change_of_skin_is_told_unless_it_is_asked_for() -> None:
    photo = portrait_photo()[0]
    (face,) = detect(photo)
    dark = (photo * 0.7).astype(np.uint8)
    (line,) = skin_change({"Male": 1.0}, photo, dark, face)
    assert line.startswith("its skin becomes darker: L* ")
    assert skin_change({"Pale_Skin": -1.0}, photo, dark, face) == ()
    assert skin_change({"Male": 1.0}, photo, photo, face) == ()


def test_an_edit_is_without_effect_where_a_face_does_not_read_so() -> None:
    record = EditRecord(after={"Smiling": [0.9, 0.2]})
    assert record.is_without_effect({"Smiling": 1.0})
    assert not record.is_without_effect({"Smiling": 0.5})
    assert not EditRecord(after={"Smiling": [0.9]}).is_without_effect({"Smiling": 1.0})


def test_strict_ends_with_a_status_of_its_own(command: Command, tmp_path: Path) -> None:
    Image.fromarray(portrait_photo()[0]).save(tmp_path / "me.png")
    asked = ("edit", tmp_path / "me.png", "--set", "Bald=1", "--overwrite", "--out", tmp_path / "o.png")
    plain, strict = command(*asked), command(*asked, "--strict")
    assert ("not read" in plain.err, plain.status, strict.status) in ((True, 0, 5), (False, 0, 0))
    assert "aligned faces are not read" in command(*asked, "--strict", "--aligned").error


def test_a_face_that_an_edit_makes_appear_beside_another_is_told_of() -> None:
    one, _ = portrait_photo((500, 300), scale=1.4)
    two, _ = lay(one, portrait(), (420, 150), 0.9)
    whole = (0, 0, 500, 300)
    assert second_face(one, two, whole) == ("another face appears beside it",)
    assert second_face(one, one, whole) == ()
    assert second_face(two, two, whole) == ()
