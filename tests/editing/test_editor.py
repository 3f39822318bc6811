from __future__ import annotations

import threading
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from edited_toys import SIZE, painter, tiny_method
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from visagist.editing.editor import Editor
from visagist.errors import VisagistError
from visagist.photos.edited_picture import xmp_of
from visagist.photos.provenance import read_xmp

WRONG = [
    (np.full((2, 16, 16, 3), 1.5, np.float32), r"floats of pixels are in \[0, 1\], got 1.5"),
    (np.zeros((2, 16, 16, 3), np.int64), r"uint8 \[H, W, 3\], got an array \[16, 16, 3\] of int64"),
    (np.zeros((2, 16, 16, 4), np.uint8), r"RGB, got an array \[2, 16, 16, 4\]"),
    (np.zeros((16,), np.uint8), r"got an array \[16\]"),
    (np.zeros((2, 3, 16, 16), np.uint8), r"got an array \[2, 3, 16, 16\]"),
    (np.zeros((2, 0, 16, 3), np.uint8), r"got an array \[2, 0, 16, 3\]"),
    (torch.zeros(2, 3, 16, 16, dtype=torch.uint8), r"got a tensor \[2, 3, 16, 16\] of uint8: divide by 255"),
    (torch.zeros(2, 16, 16, 3), r"got a tensor \[2, 16, 16, 3\]"),
    (torch.zeros(1, 16, 16), r"got a tensor \[1, 16, 16\]"),
    (torch.full((3, 16, 16), 1.5), r"values in \[0, 1\], got 1.5"),
    (torch.full((3, 16, 16), torch.nan), "got nan to nan"),
    ([np.zeros((2, 16, 16, 3), np.uint8)], r"uint8 \[H, W, 3\]"),
    ([torch.zeros(2, 3, 16, 16)], r"float \[3, H, W\]"),
    (7, "cannot edit a int"),
    ([None], "cannot edit a NoneType"),
    ("nowhere.png", "no picture nowhere.png"),
    (Image.new("F", (16, 16)), "mode F"),
]


def test_arrays_pictures_paths_and_tensors_agree_and_come_back_as_they_went_in(
    editor: Editor, pixels: np.ndarray, tmp_path: Path
) -> None:
    wanted = editor.edit(pixels, Smiling=-1)
    assert wanted.dtype == np.uint8
    assert wanted.shape == pixels.shape
    pictures = [Image.fromarray(face) for face in pixels]
    for i, picture in enumerate(pictures):
        picture.save(tmp_path / f"{i}.png")
    paths = [tmp_path / f"{i}.png" for i in range(len(pixels))]
    tensor = torch.from_numpy(pixels).permute(0, 3, 1, 2).double() / 255

    for given_faces in (pictures, paths, tuple(map(str, paths))):
        edited = editor.edit(given_faces, Smiling=-1)
        assert type(edited) is type(given_faces)
        assert all(isinstance(face, Image.Image) for face in edited)
        np.testing.assert_array_equal(np.stack([np.asarray(face) for face in edited]), wanted)
    edited = editor.edit(tensor, Smiling=-1)
    assert edited.dtype == torch.float64
    assert not edited.is_inference()
    np.testing.assert_allclose(edited.permute(0, 2, 3, 1).numpy(), wanted / 255, atol=0.51 / 255)


def test_one_face_comes_back_as_one_face(editor: Editor, pixels: np.ndarray, tmp_path: Path) -> None:
    Image.fromarray(pixels[0]).save(tmp_path / "a.png")
    wanted = editor.edit(pixels[:1], Eyeglasses=1)[0]
    np.testing.assert_array_equal(editor.edit(pixels[0], Eyeglasses=1), wanted)
    np.testing.assert_array_equal(np.asarray(editor.edit(Image.fromarray(pixels[0]), Eyeglasses=1)), wanted)
    np.testing.assert_array_equal(np.asarray(editor.edit(str(tmp_path / "a.png"), Eyeglasses=1)), wanted)
    tensor = editor.edit(torch.from_numpy(pixels[0]).permute(2, 0, 1) / 255, Eyeglasses=1)
    assert tensor.shape == (3, SIZE, SIZE)
    assert editor.edit([pixels[0]], Eyeglasses=1)[0].shape == (SIZE, SIZE, 3)


@pytest.mark.parametrize("mode", ["render", "detail"])
def test_nothing_in_gives_nothing_out(editor: Editor, mode: str) -> None:
    assert editor.edit([], mode=mode, Smiling=1) == []
    assert editor.edit((), mode=mode, Smiling=1) == ()
    side = 16 if mode == "render" else 20
    assert editor.edit(np.zeros((0, 20, 20, 3), np.uint8), mode=mode, Smiling=1).shape == (0, side, side, 3)
    assert editor.edit(torch.zeros(0, 3, 20, 20), mode=mode, Smiling=1).shape == (0, 3, side, side)
    assert editor.classify([])["Smiling"].shape == (0,)
    assert editor.residual([], Smiling=1).shape == (0, 16, 16, 3)
    assert editor.see([]).shape == (0, 16, 16, 3)


@pytest.mark.parametrize("batch_size", [1, 3, 7])
def test_the_batch_size_does_not_change_the_result(editor: Editor, pixels: np.ndarray, batch_size: int) -> None:
    whole = editor.edit(pixels, batch_size=64, Smiling=1, Eyeglasses=-0.5).astype(int)
    parts = editor.edit(pixels, batch_size=batch_size, Smiling=1, Eyeglasses=-0.5).astype(int)
    assert np.abs(whole - parts).max() <= 1  # sums in another order may round a pixel the other way
    amounts = np.random.default_rng(0).random((7, 2), np.float32)
    whole = editor.edit_arrays(pixels, [1, 0], amounts).astype(int)
    assert np.abs(whole - editor.edit_arrays(pixels, [1, 0], amounts, batch_size=batch_size)).max() <= 1


def test_strength_nought_is_the_reconstruction_unchanged(editor: Editor, pixels: np.ndarray) -> None:
    rebuilt = editor.reconstruct(pixels)
    np.testing.assert_array_equal(editor.edit(pixels, Smiling=0), rebuilt)
    np.testing.assert_array_equal(editor.edit_arrays(pixels, [1, 1], [0, 0]), rebuilt)
    np.testing.assert_array_equal(editor.reconstruct_arrays(pixels), rebuilt)
    np.testing.assert_array_equal(editor.edit(pixels, mode="detail", Smiling=0), pixels)
    assert not editor.residual(pixels, Smiling=0).any()
    assert np.abs(editor.edit(pixels, Smiling=1).astype(int) - rebuilt).max() > 3


@settings(max_examples=30, deadline=None)
@given(brightness=st.integers(0, 255), weak=st.floats(0, 1), strong=st.floats(0, 1))
def test_an_edit_moves_toward_the_class_and_never_back(brightness: int, weak: float, strong: float) -> None:
    weak, strong = sorted((weak, strong))
    face = torch.full((1, 3, SIZE, SIZE), brightness / 255)
    shown = [float(painter().edit(face, Smiling=s)[0, 0].mean()) for s in (-strong, -weak, 0, weak, strong)]
    assert all(b >= a - 1e-5 for a, b in pairwise(shown))
    assert shown[2] == pytest.approx(brightness / 255, abs=1e-6)


def test_attributes_are_edited_together_and_others_stay() -> None:
    face = torch.full((1, 3, SIZE, SIZE), 0.5)
    both = painter().edit(face, Smiling=-1, Eyeglasses=0.5)[0].mean((1, 2))
    np.testing.assert_allclose(both, [0, 0.75, 0.5], atol=1e-6)
    only = painter().edit(face, Eyeglasses=-0.5)[0].mean((1, 2))
    np.testing.assert_allclose(only, [0.5, 0.25, 0.5], atol=1e-6)


def test_the_residual_is_the_signed_difference_to_the_reconstruction(editor: Editor, pixels: np.ndarray) -> None:
    residual = editor.residual(pixels, batch_size=2, Smiling=1)
    assert residual.dtype == np.float32
    difference = editor.edit(pixels, Smiling=1).astype(float) - editor.reconstruct(pixels)
    np.testing.assert_allclose(residual * 255, difference, atol=1.01)


def test_the_classifier_answers_for_every_attribute(pixels: np.ndarray) -> None:
    scores = painter().classify(pixels, batch_size=3)
    assert list(scores) == ["Smiling", "Eyeglasses"]
    np.testing.assert_allclose(scores["Eyeglasses"], pixels[..., 1].mean((1, 2)) / 255, atol=1e-6)


def test_other_sizes_are_seen_at_the_models_size_and_oblong_ones_at_their_centre(editor: Editor) -> None:
    picture = Image.new("RGB", (80, 40), "black")
    picture.paste("white", (20, 0, 60, 40))
    assert (editor.see(picture) == 255).all()
    assert editor.edit(picture, Smiling=1).size == (SIZE, SIZE)
    tensor = torch.zeros(3, 40, 80)
    tensor[:, :, 20:60] = 1
    assert (editor.see(tensor) == 255).all()


def test_aligned_celeba_pictures_are_seen_in_the_crop_of_the_training_data() -> None:
    method = tiny_method()
    picture = Image.new("RGB", (178, 218), "black")
    picture.paste("white", (15, 35, 163, 183))
    description = {"crop": "centre148"}
    assert (Editor(method, description).see(picture) == 255).all()
    assert Editor(method, description).see(picture.resize((356, 436))).min() < 128
    assert Editor(method, {}).see(picture).min() < 128


def test_greyscale_palette_and_transparent_pictures_are_converted(editor: Editor, pixels: np.ndarray) -> None:
    rgb = Image.fromarray(pixels[0])
    grey = rgb.convert("L")
    np.testing.assert_array_equal(editor.edit(grey, Smiling=1), editor.edit(grey.convert("RGB"), Smiling=1))
    np.testing.assert_array_equal(editor.edit(rgb.convert("RGBA"), Smiling=1), editor.edit(rgb, Smiling=1))
    palette = rgb.convert("P")
    palette.info["transparency"] = b"\x00\xff"
    assert editor.edit(palette, Smiling=1).mode == "RGB"


def test_a_photo_is_turned_upright_before_it_is_edited(editor: Editor, pixels: np.ndarray, tmp_path: Path) -> None:
    picture = Image.fromarray(pixels[0])
    turned, exif = picture.transpose(Image.Transpose.ROTATE_90), Image.Exif()
    exif[0x0112] = 6  # to be shown turned by 90° clockwise
    turned.save(tmp_path / "turned.png", exif=exif)
    np.testing.assert_array_equal(editor.see(tmp_path / "turned.png")[0], pixels[0])


def test_detail_adds_the_change_to_the_photo_at_its_own_size() -> None:
    photo = np.random.default_rng(1).integers(60, 120, (50, 50, 3), dtype=np.uint8)
    edited = painter().edit(photo, mode="detail", Smiling=0.5)
    assert edited.shape == photo.shape
    np.testing.assert_array_equal(edited[..., 1:], photo[..., 1:])
    added = edited[..., 0].astype(float) - photo[..., 0]
    expected = (255 - painter().see(photo)[0, ..., 0].mean()) / 2
    np.testing.assert_allclose(added, np.minimum(expected, 255 - photo[..., 0]), atol=2)


def test_detail_fades_out_where_the_face_ends_inside_the_photo() -> None:
    photo = np.full((40, 80, 3), 100, np.uint8)
    edited = painter().edit(photo, mode="detail", Smiling=1)[..., 0].astype(int)
    assert edited.shape == (40, 80)
    assert (edited[:, :20] == 100).all()
    assert (edited[:, 60:] == 100).all()
    assert (edited[:, 30:50] == 255).all()
    assert np.abs(np.diff(edited[20])).max() < 60


def test_grey_rgba_and_float_arrays_are_faces_too(editor: Editor) -> None:
    rgb = np.repeat(np.random.default_rng(2).integers(0, 256, (16, 16, 1), np.uint8), 3, 2)
    edited = editor.edit(rgb, Smiling=1)
    for form in (rgb[..., 0], rgb[..., :1], np.dstack([rgb, np.full((16, 16), 255, np.uint8)])):
        np.testing.assert_array_equal(editor.edit(form, Smiling=1), edited)
    floats = editor.edit(rgb.astype(np.float32)[None] / 255, Smiling=1)
    assert (floats.shape, floats.dtype) == ((1, 16, 16, 3), np.float32)
    np.testing.assert_allclose(floats[0] * 255, edited, atol=0.51)


@pytest.mark.parametrize(("faces", "message"), WRONG)
def test_what_is_no_face_is_refused_with_what_was_got(editor: Editor, faces: Any, message: str) -> None:
    with pytest.raises(VisagistError, match=message) as caught:
        editor.edit(faces, Smiling=1)
    assert "\n" not in str(caught.value)


def test_damaged_pictures_are_refused_by_name(editor: Editor, pixels: np.ndarray, tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("no picture")
    Image.fromarray(pixels.reshape(-1, 16, 3)).save(tmp_path / "whole.jpg")
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "whole.jpg").read_bytes()[:-200])
    for name in ("text.jpg", "cut.jpg", "."):
        with pytest.raises(VisagistError, match=r"cannot read|not a file") as caught:
            editor.edit([tmp_path / name], Smiling=1)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("settings_", "message"),
    [
        ({"Smiling": 1.01}, "Smiling=1.01 is no strength"),
        ({"Smiling": float("nan")}, "from -1 to 1"),
        ({"Smiling": "1"}, "from -1 to 1"),
        ({"Smilling": 1}, "did you mean Smiling"),
        ({}, "name what to edit"),
        ({"Smiling": 1, "mode": "sharp"}, "no mode 'sharp'"),
        ({"Smiling": 1, "batch_size": 0}, "batch_size is 0"),
    ],
)
def test_settings_that_make_no_sense_are_refused(
    editor: Editor, pixels: np.ndarray, settings_: dict[str, Any], message: str
) -> None:
    with pytest.raises(VisagistError, match=message):
        editor.edit(pixels, **settings_)


def test_arrays_for_judges_are_checked(editor: Editor, pixels: np.ndarray) -> None:
    for images, target, amount in (
        (pixels[:, :8], [1, 1], [1, 1]),
        (pixels.astype(np.float32), [1, 1], [1, 1]),
        (pixels, [1, 1, 1], [1, 1]),
        (pixels, [1, 1], [1, 1.1]),
        (pixels, [1, 1], [1, np.nan]),
    ):
        with pytest.raises(VisagistError):
            editor.edit_arrays(images, target, amount)


def test_read_only_and_mirrored_arrays_are_fine(editor: Editor, pixels: np.ndarray) -> None:
    frozen = pixels.copy()
    frozen.flags.writeable = False
    np.testing.assert_array_equal(editor.edit(frozen, Smiling=1), editor.edit_arrays(frozen, [1, 0], [1, 0]))
    mirrored = pixels[:, :, ::-1]
    np.testing.assert_array_equal(editor.edit(mirrored, Smiling=1), editor.edit(mirrored.copy(), Smiling=1))


def test_what_the_method_cannot_do_is_refused_in_one_line(pixels: np.ndarray) -> None:
    editor = painter()
    type(editor.backend.method).capabilities, before = frozenset({"autoencode"}), type(editor.backend.method).capabilities
    try:
        for ask in (lambda: editor.edit(pixels, Smiling=1), lambda: editor.classify(pixels)):
            with pytest.raises(VisagistError, match=r"painter.*cannot (edit|classify): it can autoencode"):
                ask()
    finally:
        type(editor.backend.method).capabilities = before


def test_a_device_that_is_not_there_is_refused(editor: Editor) -> None:
    with pytest.raises(VisagistError, match="no device 'gpu9'"):
        editor.to("gpu9")
    assert editor.to("cpu") is editor


def test_threads_get_what_one_caller_gets(editor: Editor, pixels: np.ndarray) -> None:
    wanted = {s: editor.edit(pixels, Smiling=s) for s in (-1, -0.5, 0.5, 1)}
    got: dict[float, np.ndarray] = {}
    threads = [threading.Thread(target=lambda s=s: got.update({s: editor.edit(pixels, Smiling=s)})) for s in wanted]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(got[s], wanted[s]) for s in wanted)


@pytest.mark.gpu
def test_an_accelerator_gives_the_cpus_faces(editor: Editor, pixels: np.ndarray) -> None:
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    wanted = editor.edit(pixels, Smiling=1).astype(int)
    assert np.abs(editor.to("cuda").edit(pixels, Smiling=1) - wanted).max() <= 2


def test_each_face_may_have_a_strength_of_its_own(pixels: np.ndarray) -> None:
    editor = painter()
    own = [1.0, -1.0, 0.5, 1.0, *(0.25 for _ in pixels[4:])]
    faces = editor.edit(pixels, Smiling=own, Eyeglasses=-1)
    for i, strength in enumerate(own):
        np.testing.assert_array_equal(faces[i], editor.edit(pixels[i], Smiling=strength, Eyeglasses=-1))
    tensors = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
    assert isinstance(editor.edit(tensors, smile=np.array(own)), torch.Tensor)
    pictures = editor.edit([Image.fromarray(face) for face in pixels], mode="detail", Smiling=own)
    said = [read_xmp(xmp_of(picture)).steps[-1].settings for picture in pictures]
    assert said[:3] == ["Smiling=1", "Smiling=-1", "Smiling=0.5"]


def test_strengths_of_another_number_than_faces_are_refused(pixels: np.ndarray) -> None:
    with pytest.raises(VisagistError, match=f"Smiling has 2 strengths for {len(pixels)} faces: give one a face"):
        painter().edit(pixels, Smiling=[1, 0])
    with pytest.raises(VisagistError, match="Smiling has 1 strengths for 1 faces"):
        painter().edit(pixels[0], Smiling=[1])
    with pytest.raises(VisagistError, match="is no strength"):
        painter().edit(pixels, Smiling=[2] * len(pixels))
