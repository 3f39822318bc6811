from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from visagist.data import load_data, pack
from visagist.errors import VisagistError


def test_drawn_faces_are_a_source_with_options_and_can_be_packed(tmp_path: Path) -> None:
    drawn = load_data("synthetic:20?seed=3", image_size=32)
    assert len(drawn) == 20
    np.testing.assert_array_equal(drawn.images, load_data("synthetic:20", image_size=32, seed=3).images)
    assert not np.array_equal(drawn.images, load_data("synthetic:20", image_size=32).images)
    packed = pack("synthetic:20?seed=3", tmp_path / "drawn", image_size=32)
    np.testing.assert_array_equal(packed.images, drawn.images)
    np.testing.assert_array_equal(packed.labels, drawn.labels)
    assert packed.names == drawn.names


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("celebA:x", "did you mean celeba"),
        (
            "faces",
            "write KIND:PATH with one of celeba, folder, parquet, lfw, celeba-hq, celebamask-hq, ffhq, cifar10, synthetic, "
            "pack",
        ),
        ("folder:", "names no path"),
        ("synthetic:many", "is not a number of faces"),
        ("synthetic:0", "is not a number of faces"),
        ("synthetic:4?sed=1", r"no option 'sed': did you mean seed\?"),
        ("synthetic:4?seed=x", "give a whole number"),
        ("synthetic:4?correlation=0.5", "cannot be written in the source"),
    ],
)
def test_a_source_that_is_not_one_is_one_clear_line(source: str, message: str) -> None:
    with pytest.raises(VisagistError, match=message):
        load_data(source)


def test_wrong_options_are_one_clear_line(celeba: Path, tmp_path: Path) -> None:
    source = f"celeba:{celeba}"
    for options, message in (
        ({"image_size": 0}, "image_size is 0"),
        ({"on_bad": "ignore"}, "skip or refuse"),
        ({"seed": 1}, "celeba takes no option seed"),
        ({"split": "dev"}, "no split 'dev'"),
    ):
        with pytest.raises(VisagistError, match=message):
            load_data(source, **options)
    for options, message in (
        ({"encoding": "png"}, "no encoding 'png'"),
        ({"encoding": "webp", "quality": 0}, "quality is 0"),
        ({"split": "dev"}, "no split 'dev'"),
        ({"attributes": ["Smilling"]}, "did you mean Smiling"),
    ):
        with pytest.raises(VisagistError, match=message):
            pack(source, tmp_path / "out", **options)


def test_progress_is_shown_on_stderr_with_a_rate(celeba: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (celeba / "img_align_celeba" / "000003.jpg").write_text("text")
    load_data(f"celeba:{celeba}", image_size=32, progress=True)
    out, err = capfd.readouterr()
    assert out == ""
    assert "20/20" in err
    assert "images/s" in err
    assert "skipped 1 bad picture in celeba:celeba: 000003.jpg (not an image)" in " ".join(err.split())
