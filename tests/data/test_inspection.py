from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from visagist.data import load_data
from visagist.data.inspection import inspect_data, inspect_faces, render_inspection, write_sample_sheet
from visagist.errors import VisagistError


def test_a_report_counts_faces_labels_people_and_bad_pictures(celeba: Path) -> None:
    (celeba / "img_align_celeba" / "000020.jpg").write_text("text")
    report = inspect_data(f"celeba:{celeba}", image_size=32)
    assert report.counts == {"train": 13, "val": 2, "test": 4}
    assert report.identities == 19
    assert report.shared_identities == 0
    assert report.bad == (("000020.jpg", "not an image"),)
    smiling, glasses, _ = report.balance
    assert (smiling.attribute, smiling.positive) == ("Smiling", 9)
    assert smiling.by_split["val"] == 0.5
    assert glasses.share == 0
    assert "Eyeglasses: all faces are of one class" in report.warnings


def test_people_and_pictures_in_two_splits_are_found(celeba: Path) -> None:
    images = celeba / "img_align_celeba"
    shutil.copy(images / "000001.jpg", images / "000010.jpg")
    shutil.copy(images / "000011.jpg", images / "000012.jpg")
    identities = celeba / "identity_CelebA.txt"
    identities.write_text(identities.read_text().replace("000010.jpg 109", "000010.jpg 100"))
    report = inspect_data(f"celeba:{celeba}", image_size=32)
    assert {frozenset(group) for group in report.duplicates} == {
        frozenset({"000001.jpg", "000010.jpg"}),
        frozenset({"000011.jpg", "000012.jpg"}),
    }
    assert report.shared_duplicates == 1
    assert report.shared_identities == 1
    assert any("1 people are in more than one split" in warning for warning in report.warnings)


def test_every_byte_of_the_pack_is_verified(celeba: Path, cache: Path, caplog: pytest.LogCaptureFixture) -> None:
    inspect_data(f"celeba:{celeba}", image_size=32)
    (images,) = cache.glob("*/images.bin")
    data = bytearray(images.read_bytes())
    data[777] ^= 255
    images.write_bytes(data)
    inspect_data(f"celeba:{celeba}", image_size=32)
    assert "images.bin is not what was written" in caplog.text


def test_a_report_is_plain_json_and_readable_tables(celeba: Path) -> None:
    (celeba / "img_align_celeba" / "000020.jpg").write_text("text")
    report = inspect_data(f"celeba:{celeba}", image_size=32, attributes=["Male"])
    plain = json.loads(json.dumps(report.to_json()))
    assert plain["bad"] == [{"file": "000020.jpg", "reason": "not an image"}]
    assert plain["balance"][0]["attribute"] == "Male"
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(render_inspection(report))
    text = console.export_text()
    assert "19 faces of 32 pixels" in text
    assert "Male" in text
    assert "000020.jpg: not an image" in text


def test_a_sample_sheet_shows_faces_with_an_attribute_above_those_without(celeba: Path, tmp_path: Path) -> None:
    faces = load_data(f"celeba:{celeba}", image_size=32)
    path = write_sample_sheet(faces, tmp_path / "sheets" / "sheet.png", n=8, attribute="Smiling", columns=4)
    with Image.open(path) as opened:
        sheet = np.asarray(opened)
    assert sheet.shape == (2 * 34, 4 * 34, 3)
    smiles = faces.images[np.flatnonzero(faces.column("Smiling") == 1)[0]]
    neutral = faces.images[np.flatnonzero(faces.column("Smiling") == 0)[0]]
    np.testing.assert_array_equal(sheet[:32, :32], smiles)
    np.testing.assert_array_equal(sheet[34:66, :32], neutral)


def test_a_sheet_that_cannot_be_written_is_one_clear_line_and_leaves_nothing(celeba: Path, tmp_path: Path) -> None:
    faces = load_data(f"celeba:{celeba}", image_size=32)
    with pytest.raises(VisagistError, match="does not end in a picture's suffix"):
        write_sample_sheet(faces, tmp_path / "sheet.txt")
    (tmp_path / "sheet.png").mkdir()
    with pytest.raises(VisagistError, match="cannot write"):
        write_sample_sheet(faces, tmp_path / "sheet.png")
    assert [file.name for file in tmp_path.glob("*sheet*")] == ["sheet.png"]


def test_drawn_faces_can_be_inspected_without_a_pack(cache: Path, tmp_path: Path) -> None:
    report = inspect_data("synthetic:30", image_size=32, sheet=tmp_path / "sheet.png")
    assert report.count == 30
    assert report.bad == ()
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.size == (16 * 34, 2 * 34)
    assert not list(cache.iterdir())


def test_faces_in_memory_are_inspected_as_they_are(celeba: Path) -> None:
    faces = load_data(f"celeba:{celeba}", image_size=32, split="train")
    report = inspect_faces(faces)
    assert report.count == 14
    assert "the val split is empty" in report.warnings
