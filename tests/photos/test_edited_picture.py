"""A picture that was edited says so however a program saves it."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image, ImageOps
from portraits import portrait_photo

from visagist.editing.contact_sheets import attribute_grid, strip
from visagist.editing.editor import Editor
from visagist.editing.photo_edit import EditResult
from visagist.errors import VisagistError
from visagist.photos.edited_picture import EditedPicture, mark_edited
from visagist.photos.provenance import EDITED, Provenance, Step
from visagist.photos.provenance_reading import read_provenance

FORMATS = ["png", "jpg", "webp", "tif", "gif", "avif", "heic"]
STEP = Step("edited", "some-model", settings="Smiling=1")


@pytest.fixture(scope="module")
def editor() -> Editor:
    return Editor.from_pretrained("ifcvae-gan-smiling-64", "cpu")


@pytest.fixture(scope="module")
def result(editor: Editor) -> EditResult:
    return editor.edit_photo(portrait_photo()[0], Smiling=-1)


def account(data: bytes, folder: Path, suffix: str = "png") -> Provenance:
    path = folder / f"written.{suffix}"
    path.write_bytes(data)
    return read_provenance(path)


def saved(picture: Image.Image, suffix: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, suffix, **options)
    return file.getvalue()


def drawn() -> EditedPicture:
    return mark_edited(Image.new("RGB", (40, 30), "teal"), STEP)


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_way_of_saving_a_result_says_that_it_is_edited(result: EditResult, tmp_path: Path, suffix: str) -> None:
    file = io.BytesIO()
    result.save(file, suffix)
    result.save(tmp_path / f"a.{suffix}")
    result.save(tmp_path / "without", suffix)
    result.image.save(tmp_path / f"c.{suffix}")
    files = [file.getvalue(), result.to_bytes(suffix), (tmp_path / "without").read_bytes()]
    files += [(tmp_path / f"{name}.{suffix}").read_bytes() for name in "ac"]
    for data in files:
        read = account(data, tmp_path, suffix)
        assert (read.source_type, len(read.steps)) == (EDITED, 1)
        assert (read.steps[0].model, read.steps[0].settings) == ("ifcvae-gan-smiling-64", "Smiling=-1")
        assert "edited with visagist" in read.software


def test_a_result_without_a_format_is_written_in_that_of_its_photograph(editor: Editor, tmp_path: Path) -> None:
    Image.fromarray(portrait_photo()[0]).save(tmp_path / "in.jpg")
    result = editor.edit_photo(tmp_path / "in.jpg", Smiling=-1)
    assert result.to_bytes().startswith(b"\xff\xd8")
    file = io.BytesIO()
    result.save(file)
    assert file.getvalue() == result.to_bytes()
    for name in ("jpeg", "JPG", ".jpg", "image/jpeg"):
        assert result.to_bytes(name) == result.to_bytes()


@pytest.mark.parametrize("mode", ["render", "detail"])
def test_what_an_editor_gives_back_as_a_picture_says_so(editor: Editor, tmp_path: Path, mode: str) -> None:
    Image.fromarray(portrait_photo()[0]).save(tmp_path / "in.png")
    for given in (tmp_path / "in.png", Image.open(tmp_path / "in.png")):
        edited = editor.edit(given, mode, Smiling=-1)
        assert account(saved(edited), tmp_path).steps[0].mode == mode
    (again,) = editor.edit([edited], mode, Smiling=0.5)
    assert [step.settings for step in account(saved(again), tmp_path).steps] == ["Smiling=-1", "Smiling=0.5"]
    assert account(saved(editor.reconstruct(edited)), tmp_path).steps[-1].settings == "reconstruction"
    for picture in (strip(editor, edited, "Smiling"), attribute_grid(editor, edited)):
        assert account(saved(picture), tmp_path).known


DERIVED: dict[str, Callable[[Image.Image], Image.Image]] = {
    "copy": lambda p: p.copy(),
    "crop": lambda p: p.crop((1, 1, 9, 9)),
    "resize": lambda p: p.resize((7, 7)),
    "convert": lambda p: p.convert("L"),
    "quantize": lambda p: p.quantize(8),
    "rotate": lambda p: p.rotate(20),
    "turn": lambda p: p.transpose(Image.Transpose.ROTATE_90),
    "transposed": ImageOps.exif_transpose,
    "pickled": lambda p: pickle.loads(pickle.dumps(p)),
}


@pytest.mark.parametrize("how", DERIVED)
def test_what_is_derived_from_an_edited_picture_says_so_too(how: str, tmp_path: Path) -> None:
    assert account(saved(DERIVED[how](drawn())), tmp_path).steps == (STEP,)


def test_the_pixels_are_those_of_the_picture_and_options_of_pillow_hold() -> None:
    plain = Image.radial_gradient("L").convert("RGB")
    marked = mark_edited(plain, STEP)
    assert Image.open(io.BytesIO(saved(marked))).convert("RGB").tobytes() == plain.tobytes()
    assert len(saved(marked, "JPEG", quality=20)) < len(saved(marked, "JPEG", quality=95))
    assert marked._repr_png_() is not None


def test_a_format_that_cannot_say_it_is_refused(result: EditResult, tmp_path: Path) -> None:
    with pytest.raises(VisagistError, match=r"not written as \.bmp"):
        drawn().save(tmp_path / "a.bmp")
    with pytest.raises(VisagistError, match="not written as ppm"):
        saved(drawn(), "ppm")
    with pytest.raises(VisagistError, match="format='PNG'"):
        drawn().save(io.BytesIO())
    with pytest.raises(VisagistError, match="did you mean"):
        result.to_bytes("jpge")
    with (tmp_path / "text.png").open("w") as file, pytest.raises(VisagistError, match="'wb'"):
        result.save(file)  # type: ignore[arg-type]
    assert not (tmp_path / "a.bmp").exists()
