"""An edit passes each face through the encoder once, whatever is edited."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from bulk_runs import run
from edited_toys import tiny_method
from portraits import portrait_photo
from shards import encoded, face, face_shards, write_tar
from tiny_models import tiny_model

from visagist import methods
from visagist.editing.editor import Editor

BOTH = ("Smiling", "Eyeglasses")


@pytest.fixture
def counted() -> tuple[Editor, Callable[[], int]]:
    """A tiny model, and how many faces its encoder has seen since it was last asked."""
    editor, seen = Editor(tiny_method(BOTH), name="tiny"), [0]
    editor.backend.trained_method.encoder.register_forward_hook(lambda module, given, made: seen.append(len(given[0])))

    def passes() -> int:
        number = sum(seen)
        seen.clear()
        return number

    return editor, passes


@pytest.mark.parametrize("mode", ["render", "detail"])
def test_a_face_of_a_photograph_is_encoded_once(counted: tuple[Editor, Callable[[], int]], mode: str) -> None:
    editor, passes = counted
    pixels, _ = portrait_photo()
    editor.edit_photo(pixels, mode=mode, Smiling=1.0, Eyeglasses=-0.5)
    assert passes() == 1


@pytest.mark.parametrize("mode", ["render", "detail"])
def test_an_aligned_face_is_encoded_once(counted: tuple[Editor, Callable[[], int]], mode: str) -> None:
    editor, passes = counted
    editor.edit([face(1), face(2), face(3)], mode=mode, Smiling=1.0, Eyeglasses=-0.5)
    assert passes() == 3
    editor.residual(face(1), Smiling=1.0)
    assert passes() == 1


@pytest.mark.parametrize("mode", ["render", "detail"])
def test_bulk_encodes_each_face_once(counted: tuple[Editor, Callable[[], int]], mode: str, tmp_path: Path) -> None:
    editor, passes = counted
    run(face_shards(tmp_path / "aligned", 2, 3), tmp_path / "out", editor, mode=mode)
    assert passes() == 6
    shard = write_tar(tmp_path / "in.tar", [("0.png", encoded(portrait_photo()[0]))])
    run(shard, tmp_path / "photos", editor, mode=mode)
    assert passes() == 1


@pytest.mark.parametrize("mode", ["render", "detail"])
def test_a_video_encodes_each_face_once_a_frame(
    counted: tuple[Editor, Callable[[], int]], mode: str, tmp_path: Path
) -> None:
    av = pytest.importorskip("av")
    from visagist.editing.video import edit_video

    editor, passes = counted
    with av.open(str(tmp_path / "in.mp4"), "w") as made:
        stream = made.add_stream("libx264", rate=10, options={"crf": "14"})
        stream.width, stream.height, stream.pix_fmt = 360, 300, "yuv420p"
        for _ in range(3):
            made.mux(stream.encode(av.VideoFrame.from_ndarray(portrait_photo()[0], format="rgb24")))
        made.mux(stream.encode())
    edit_video(editor, tmp_path / "in.mp4", tmp_path / "out.mp4", {"Smiling": 1.0}, mode=mode)
    assert passes() == 3


@pytest.mark.parametrize("method", ["ifcvae-gan", "residual-gan", "vac"])
def test_one_pass_gives_the_pixels_of_two(method: str) -> None:
    editor = Editor(tiny_model(methods.get(method)).eval(), name="tiny")
    images = torch.rand(5, 3, 16, 16)
    edited, rebuilt = editor.edit_and_reconstruct(images, Smiling=0.7)
    assert torch.equal(edited, editor.edit(images, Smiling=0.7))
    assert torch.equal(rebuilt, editor.reconstruct(images))
