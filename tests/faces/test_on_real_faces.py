"""Real test faces, turned, sized and shifted at random: how near the points are to what another detector reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from face_finding import backdrop, face_api_points, laid, measure_finding
from PIL import Image

from visagist.editing.editor import Editor
from visagist.editing.photo_edit import apply_changes, compute_changes
from visagist.faces.detection import detect

pytestmark = [pytest.mark.data, pytest.mark.slow]


def real_faces(data: Path, number: int) -> np.ndarray:
    rows = [line.split() for line in (data / "celeba" / "list_eval_partition.txt").read_text().splitlines()]
    names = [name for name, part in rows if part == "2"][:number]
    return np.stack([np.asarray(Image.open(data / "celeba" / "img_align_celeba" / n).convert("RGB")) for n in names])




def test_points_in_faces_laid_askew_are_where_a_detector_that_taught_nothing_reads_them(real_data: Path) -> None:
    folder = real_data / "weights" / "faceapi"
    if not folder.is_dir():
        pytest.skip("needs the 68-point network of face-api.js in weights/faceapi")
    pictures = real_faces(real_data, 100)
    found = measure_finding(pictures, {"faceapi": face_api_points(pictures, folder)})
    assert found["find.found"]["value"] >= 0.97
    assert found["find.astray"]["value"] <= 0.02
    assert found["find.error.faceapi"]["value"] <= 0.06


def test_twelve_people_in_one_photograph_are_all_found_and_edited(real_data: Path) -> None:
    pictures = real_faces(real_data, 12)
    draw, ground = np.random.default_rng(5), backdrop(pictures[0], 1024).crop((0, 0, 1024, 800))
    middles = [(140 + 248 * (place % 4), 140 + 255 * (place // 4)) for place in range(12)]
    for picture, middle in zip(pictures, middles):
        angle, scale = np.radians(draw.uniform(-20, 20)), draw.uniform(1.0, 1.3)
        turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        shift = np.array(middle) - turn @ np.array([88.5, 120])
        ground = Image.fromarray(laid(picture[40:190, 20:158], _cut(turn, shift), ground))
    photo = np.asarray(ground)
    faces = detect(photo)
    assert len(faces) == 12
    editor = Editor.from_pretrained("ifcvae-gan-smiling-64", device="cpu")
    result = editor.edit_photo(photo, face="all", Smiling=1)
    assert len(result.changes) == len(result.scores_after["Smiling"]) == 12
    # Who smiles already changes only the other way.
    serious = apply_changes(photo, compute_changes(editor, photo, faces, {"Smiling": -1}))
    changed = np.maximum(*(np.abs(np.asarray(edited).astype(int) - photo).max(-1) for edited in (result.image, serious)))
    for face in faces:
        left, top, right, bottom = face.box
        assert changed[max(top, 0) : bottom, max(left, 0) : right].max() > 10
    assert np.mean(result.scores_after["Smiling"]) > np.mean(result.scores_before["Smiling"])


def _cut(turn: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """The transform of a part of the picture that begins at (20, 40)."""
    return np.concatenate([turn, (shift + turn @ np.array([20.0, 40.0]))[:, None]], 1)
