"""An edit that makes another person of somebody is warned of, where an embedder is given."""

from __future__ import annotations

import numpy as np
import pytest
from cli_runs import Command
from numpy.typing import NDArray
from PIL import Image
from portraits import portrait_photo

from visagist.editing.selection.same_person import SIDE, PersonCheck
from visagist.faces.detection import Face, detect


def colours(faces: NDArray[np.uint8]) -> NDArray[np.float32]:
    """An embedder to which people are their mean colours."""
    assert faces.shape[1:] == (SIDE, SIDE, 3)
    return faces.mean((1, 2)).astype(np.float32) / 255


@pytest.fixture(scope="module")
def photo() -> tuple[NDArray[np.uint8], list[Face]]:
    pixels = np.asarray(portrait_photo()[0])
    return pixels, list(detect(pixels))


@pytest.mark.parametrize("by_distance", [True, False])
def test_a_face_that_the_embedder_takes_for_another_person_is_warned_of(
    photo: tuple[NDArray[np.uint8], list[Face]], by_distance: bool
) -> None:
    pixels, faces = photo
    check = PersonCheck(colours, "colours", 0.3 if by_distance else 0.9, by_distance)
    assert check.warn(pixels, pixels, faces) == ()
    red = np.array(pixels) * np.array([1, 0, 0], np.uint8)
    (warning,) = check.warn(pixels, red, faces)
    assert warning.startswith(f"face 0: another person to colours: {'distance' if by_distance else 'cosine'} 0.")
    assert check.warn(pixels, red, []) == ()


def test_the_command_warns_by_the_embedder_that_a_package_ships(command: Command, tmp_path, monkeypatch) -> None:
    pytest.importorskip("dlib", reason="needs dlib")
    from visagist.evaluation.extractors import dlib_embedder
    from visagist.files import find_in_package

    if find_in_package(dlib_embedder.PACKAGE, dlib_embedder.NETWORK) is None:
        pytest.skip("needs the package of dlib's embedder")
    monkeypatch.setattr(dlib_embedder, "SAME_PERSON", 0.01)
    Image.fromarray(portrait_photo()[0]).save(tmp_path / "me.png")
    words = ("edit", tmp_path / "me.png", "--set", "Wearing_Hat=1", "--identity", "dlib")
    done = command(*words, "--out", tmp_path / "hat.png")
    assert done.status == 0, done.err
    assert "face 0: another person to dlib-resnet-v1: distance 0." in done.err
    assert "leave it out with --aligned" in command(*words, "--aligned", "--out", tmp_path / "a.png").error
