"""What `Editor.edit_photo` gives can be saved in the photograph's own form."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from photo_seeds import adobe_rgb, deep, encoded, portrait
from PIL import Image

from visagist.editing.editor import Editor
from visagist.errors import NoFaceError
from visagist.photos.photo import read_photo
from visagist.photos.provenance_reading import read_provenance

SIDE = 200


@pytest.fixture(scope="module")
def editor() -> Editor:
    return Editor.from_pretrained("ifcvae-gan-smiling-64", "cpu")


def scene(shift: int = 0) -> Image.Image:
    whole = Image.new("RGB", (SIDE + 60, SIDE + 20), (120, 130, 140))
    whole.paste(portrait(SIDE), (20 + shift, 30))
    return whole


def test_the_picture_in_memory_is_what_is_written(editor: Editor, tmp_path: Path) -> None:
    scene().save(tmp_path / "in.png")
    result = editor.edit_photo(tmp_path / "in.png", Smiling=-1)
    assert result.save(tmp_path / "out.png") == tmp_path / "out.png"
    written = read_photo(tmp_path / "out.png")
    assert np.array_equal(written.view(), np.asarray(result.image))
    assert read_provenance(tmp_path / "out.png").steps[0].model == "ifcvae-gan-smiling-64"
    assert result.others == 0


def test_sixteen_bits_and_a_wide_gamut_outlive_an_edit(editor: Editor, tmp_path: Path) -> None:
    import imagecodecs

    from visagist.photos.metadata import icc_chunk, insert_png_chunks

    pixels = deep(scene())
    (tmp_path / "in.png").write_bytes(insert_png_chunks(imagecodecs.png_encode(pixels), [icc_chunk(adobe_rgb())]))
    result = editor.edit_photo(tmp_path / "in.png", Smiling=-1)
    result.save(tmp_path / "out.png")
    back = read_photo(tmp_path / "out.png")
    assert back.metadata.icc == adobe_rgb()
    still = np.ones(pixels.shape[:2], bool)
    left, top, right, bottom = result.changes[0].box
    still[top:bottom, left:right] = ~np.any(result.changes[0].detail != 0, axis=2)
    assert np.array_equal(back.frames[0][still], pixels[still])
    assert (back.frames[0][~still] != pixels[~still]).mean() > 0.5
    # The view that was edited and the view of what was written agree, but for rounding and the edge of the gamut.
    off = np.abs(back.view().astype(int) - np.asarray(result.image))
    assert np.median(off) == 0
    assert off.mean() < 1.5


def test_every_frame_of_an_animation_is_edited(editor: Editor, tmp_path: Path) -> None:
    frames = [scene(0), Image.new("RGB", scene().size, (120, 130, 140)), scene(12)]
    moves = {"save_all": True, "append_images": frames[1:], "duration": [80, 120, 160], "lossless": True}
    (tmp_path / "in.webp").write_bytes(encoded(frames[0], "WEBP", **moves))
    editor.edit_photo(tmp_path / "in.webp", Smiling=-1).save(tmp_path / "out.webp")
    before, after = read_photo(tmp_path / "in.webp"), read_photo(tmp_path / "out.webp")
    assert after.durations == before.durations
    changed = [(a[..., :3] != b[..., :3]).any() for a, b in zip(after.frames, before.frames)]
    assert changed == [True, False, True]


def test_arrays_and_pictures_are_photographs_and_nobody_is_an_error_of_its_own(editor: Editor) -> None:
    pixels = np.asarray(scene())
    one, other = editor.edit_photo(pixels, Smiling=-1), editor.edit_photo(Image.fromarray(pixels), Smiling=-1)
    assert np.array_equal(np.asarray(one.image), np.asarray(other.image))
    with pytest.raises(NoFaceError, match="no face was found"):
        editor.edit_photo(np.full((80, 80, 3), 90, np.uint8), Smiling=-1)
