from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from visagist.data import Faces, load_data, pack
from visagist.data.catalogue import catalogue_of_faces
from visagist.data.celeba import read_celeba
from visagist.data.pack_builder import ensure_pack
from visagist.data.pack_format import PackForm
from visagist.errors import VisagistError
from visagist.files import sha256_of_json

LOAD = """
import sys
from visagist.data import load_data
faces = load_data(sys.argv[1], image_size=64, verify=True)
print(len(faces), faces.manifest["hash"])
"""


def _start(source: str, cache: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", LOAD, source],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"VISAGIST_CACHE": str(cache), "PYTHONPATH": os.pathsep.join(sys.path)},
    )


def test_a_pack_is_memory_mapped_and_used_again(celeba: Path, cache: Path) -> None:
    first = load_data(f"celeba:{celeba}", image_size=32)
    (folder,) = cache.iterdir()
    built = (folder / "images.bin").stat()
    again = load_data(f"celeba:{celeba}", image_size=32)
    assert isinstance(again.images, np.memmap)
    assert (folder / "images.bin").stat() == built
    assert again.manifest == first.manifest
    with pytest.raises(ValueError, match="read-only"):
        again.images[0] = 0


def test_a_pack_that_names_no_crop_is_read(celeba: Path, cache: Path) -> None:
    load_data(f"celeba:{celeba}", image_size=32)
    (folder,) = cache.iterdir()
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest["crop"], manifest["checksum"]
    (folder / "manifest.json").write_text(json.dumps({**manifest, "checksum": sha256_of_json(manifest)}))
    assert len(load_data(f"pack:{folder}", image_size=32)) == manifest["count"]
    with pytest.raises(VisagistError, match="holds the crop unknown, not head"):
        load_data(f"pack:{folder}", image_size=32, crop="head")


def test_a_split_of_a_pack_is_a_view_of_the_file(celeba: Path) -> None:
    faces = load_data(f"celeba:{celeba}", image_size=32)
    train = load_data(f"celeba:{celeba}", image_size=32, split="train", attributes=["Male", "Smiling"])
    rows = faces.indices("train")
    assert isinstance(train.images, np.memmap)
    np.testing.assert_array_equal(train.images, faces.images[rows])
    np.testing.assert_array_equal(train.labels, faces.labels[rows][:, [2, 0]])
    assert train.files == tuple(faces.files[i] for i in rows)


def test_each_size_and_crop_has_a_pack_of_its_own(celeba: Path, cache: Path) -> None:
    for options in ({"image_size": 32}, {"image_size": 64}, {"image_size": 32, "crop": "centre178"}):
        load_data(f"celeba:{celeba}", **options)
    assert len(list(cache.iterdir())) == 3


@pytest.mark.parametrize("change", ["picture", "label", "new file", "removed file"])
def test_a_changed_source_is_packed_again_in_place(
    celeba: Path, cache: Path, jpeg: Callable[..., bytes], change: str
) -> None:
    before = load_data(f"celeba:{celeba}", image_size=32)
    old_pixels = np.array(before.images)
    picture, attributes = celeba / "img_align_celeba" / "000010.jpg", celeba / "list_attr_celeba.txt"
    if change == "picture":
        picture.write_bytes(jpeg(99))
    elif change == "label":
        attributes.write_text(attributes.read_text().replace("000010.jpg  1", "000010.jpg -1"))
    elif change == "new file":
        (celeba / "img_align_celeba" / "000099.jpg").write_bytes(jpeg(99))
    else:
        picture.unlink()
    after = load_data(f"celeba:{celeba}", image_size=32)
    assert len(list(cache.iterdir())) == 1
    assert (after.manifest["hash"], after.manifest["skipped"]) != (before.manifest["hash"], before.manifest["skipped"])
    # Whoever has the old pack open still sees the old faces.
    np.testing.assert_array_equal(before.images, old_pixels)


def _flip(path: Path, place: int) -> None:
    with open(path, "r+b") as file:
        file.seek(place)
        byte = file.read(1)[0]
        file.seek(place)
        file.write(bytes([byte ^ 1]))


@pytest.mark.parametrize("part", ["labels.npz", "manifest.json", "images.bin"])
def test_a_flipped_byte_is_found_and_a_cached_pack_built_again(
    celeba: Path, cache: Path, caplog: pytest.LogCaptureFixture, part: str
) -> None:
    good = load_data(f"celeba:{celeba}", image_size=32)
    expected = np.array(good.images)
    (folder,) = cache.iterdir()
    _flip(folder / part, 40)
    faces = load_data(f"celeba:{celeba}", image_size=32, verify=True)
    assert "is damaged" in caplog.text
    assert faces.manifest == good.manifest
    np.testing.assert_array_equal(faces.images, expected)
    np.testing.assert_array_equal(faces.labels, good.labels)


def test_a_shortened_or_missing_part_is_found_without_reading_every_byte(celeba: Path, cache: Path) -> None:
    good = load_data(f"celeba:{celeba}", image_size=32)
    (folder,) = cache.iterdir()
    os.truncate(folder / "images.bin", 1000)
    assert load_data(f"celeba:{celeba}", image_size=32).manifest == good.manifest
    (folder / "labels.npz").unlink()
    assert load_data(f"celeba:{celeba}", image_size=32).manifest == good.manifest


def test_a_damaged_pack_of_ones_own_is_refused_by_name(celeba: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    pack(f"celeba:{celeba}", out, image_size=32)
    _flip(out / "images.bin", 5000)
    load_data(f"pack:{out}", image_size=32, verify=False)
    with pytest.raises(VisagistError, match=r"pack .*out is damaged: images\.bin is not what was written; pack the source"):
        load_data(f"pack:{out}", image_size=32)
    pack(f"celeba:{celeba}", out, image_size=32)
    load_data(f"pack:{out}", image_size=32)
    (out / "skipped.json").write_text('[["a"]]')
    with pytest.raises(VisagistError, match=r"is damaged: skipped\.json is no list of files and reasons; pack the source"):
        load_data(f"pack:{out}", image_size=32)
    _flip(out / "labels.npz", 50)
    with pytest.raises(VisagistError, match=r"is damaged: labels\.npz"):
        load_data(f"pack:{out}", image_size=32)
    (out / "manifest.json").write_text("{")
    with pytest.raises(VisagistError, match=r"cannot read manifest\.json"):
        load_data(f"pack:{out}", image_size=32)


def test_a_pack_of_another_format_is_refused_by_number(celeba: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    pack(f"celeba:{celeba}", out, image_size=32)
    manifest = json.loads((out / "manifest.json").read_text())
    (out / "manifest.json").write_text(json.dumps(manifest | {"format_version": 99}))
    with pytest.raises(VisagistError, match="has format 99, not 1"):
        load_data(f"pack:{out}", image_size=32)


@pytest.mark.parametrize("encoding", ["webp", "jpeg"])
def test_an_encoded_pack_is_smaller_close_and_says_its_quality(celeba: Path, tmp_path: Path, encoding: str) -> None:
    raw = pack(f"celeba:{celeba}", tmp_path / "raw", image_size=64)
    coded = pack(f"celeba:{celeba}", tmp_path / "coded", image_size=64, encoding=encoding, quality=90)
    assert coded.manifest["encoding"] == encoding
    assert coded.manifest["quality"] == 90
    assert coded.manifest["images"]["bytes"] < raw.manifest["images"]["bytes"] / 4
    assert np.abs(coded.images.astype(int) - raw.images.astype(int)).mean() < 5
    again = load_data(f"pack:{tmp_path / 'coded'}", split="test")
    np.testing.assert_array_equal(again.images, coded.images[coded.indices("test")])
    assert again.identity is not None


def test_a_pack_holds_the_asked_split_and_attributes_and_moves_anywhere(celeba: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    pack(f"celeba:{celeba}", out, image_size=32, split="train", attributes=["Smiling"])
    out.rename(tmp_path / "moved")
    faces = load_data(f"pack:{tmp_path / 'moved'}", image_size=32)
    expected = load_data(f"celeba:{celeba}", image_size=32, split="train", attributes=["Smiling"])
    assert faces.names == ("Smiling",)
    np.testing.assert_array_equal(faces.images, expected.images)
    np.testing.assert_array_equal(faces.labels, expected.labels)
    assert str(tmp_path) not in (tmp_path / "moved" / "manifest.json").read_text()


def test_packing_again_keeps_what_matches_and_replaces_what_does_not(celeba: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    pack(f"celeba:{celeba}", out, image_size=32)
    built = (out / "images.bin").stat()
    pack(f"celeba:{celeba}", out, image_size=32)
    assert (out / "images.bin").stat() == built
    assert len(pack(f"celeba:{celeba}", out, image_size=32, split="val")) == 2
    repacked = pack(f"pack:{out}", tmp_path / "copy", image_size=32, encoding="webp", quality=95)
    assert len(repacked) == 2
    assert repacked.manifest["crop"] == "centre148"


def test_a_folder_that_is_no_pack_is_never_replaced(celeba: Path, tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "thesis.txt").write_text("years of work")
    with pytest.raises(VisagistError, match="is there already and is no pack"):
        pack(f"celeba:{celeba}", tmp_path / "precious", image_size=32)
    assert (tmp_path / "precious" / "thesis.txt").read_text() == "years of work"


def test_a_pack_is_asked_for_what_it_holds(celeba: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    pack(f"celeba:{celeba}", out, image_size=32)
    with pytest.raises(VisagistError, match="holds faces of 32 pixels, not 64: ask for image_size=32"):
        load_data(f"pack:{out}")
    with pytest.raises(VisagistError, match="holds the crop centre148, not square"):
        load_data(f"pack:{out}", image_size=32, crop="square")
    with pytest.raises(VisagistError, match="no attribute 'Smile' in the pack"):
        load_data(f"pack:{out}", image_size=32, attributes=["Smile"])
    with pytest.raises(VisagistError, match="is no pack"):
        load_data(f"pack:{celeba}", image_size=32)


def test_two_processes_that_build_at_once_leave_one_good_pack(
    tmp_path: Path, cache: Path, make_celeba: Callable[..., Path]
) -> None:
    folder = make_celeba(tmp_path / "celeba", 400)
    both = [_start(f"celeba:{folder}", cache) for _ in range(2)]
    outputs = [process.communicate(timeout=100) for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    assert outputs[0][0] == outputs[1][0]
    assert len(list(cache.iterdir())) == 1
    faces = load_data(f"celeba:{folder}", verify=True)
    assert outputs[0][0].split() == ["400", faces.manifest["hash"]]


def test_a_kill_half_way_leaves_a_state_from_which_the_next_call_succeeds(
    tmp_path: Path, cache: Path, make_celeba: Callable[..., Path]
) -> None:
    folder = make_celeba(tmp_path / "celeba", 1000)
    process = _start(f"celeba:{folder}", cache)
    deadline = time.monotonic() + 60
    while not any(file.stat().st_size for file in cache.glob(".*building*/new/images.bin")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert all(file.name.startswith(".") for file in cache.iterdir())
    assert len(load_data(f"celeba:{folder}", verify=True)) == 1000
    assert [file.name.startswith(".") for file in sorted(cache.iterdir())] == [False]


@contextlib.contextmanager
def _disk_that_is_full_after(num_bytes: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_is_one_clear_line_and_leaves_nothing(celeba: Path, cache: Path, tmp_path: Path) -> None:
    with _disk_that_is_full_after(20_000):
        with pytest.raises(VisagistError, match=r"cannot write the pack .*: File too large; make room there"):
            load_data(f"celeba:{celeba}", image_size=32)
        with pytest.raises(VisagistError, match="cannot write the pack"):
            pack(f"celeba:{celeba}", tmp_path / "new" / "out", image_size=32)
    assert not list(cache.iterdir())
    assert not list((tmp_path / "new").iterdir())
    assert len(load_data(f"celeba:{celeba}", image_size=32)) == 20


def test_a_pack_that_will_not_fit_is_refused_before_anything_is_decoded(celeba: Path, tmp_path: Path) -> None:
    number = 10**6
    catalogue = replace(
        read_celeba(celeba),
        files=("a",) * number,
        labels=np.zeros((number, 3), dtype=np.uint8),
        split=np.zeros(number, dtype=np.uint8),
    )
    with pytest.raises(VisagistError, match=r"No space left on device \(it needs 3000000 MiB and"):
        ensure_pack(tmp_path / "out", catalogue, PackForm(1024, "centre148"), on_bad="skip", progress=False)
    assert [file.name for file in tmp_path.iterdir()] == ["celeba"]


@pytest.fixture
def nobody() -> Iterator[Path]:
    """A folder that this process may read but not write, whoever runs it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "closed").mkdir()
        folder.chmod(0o755)
        (folder / "closed").chmod(0o555)
        user = os.geteuid()
        if user == 0:
            os.seteuid(65534)
        try:
            yield folder / "closed"
        finally:
            if user == 0:
                os.seteuid(0)
            (folder / "closed").chmod(0o755)


def test_a_read_only_place_is_one_clear_line(nobody: Path) -> None:
    faces = Faces(
        images=np.zeros((2, 16, 16, 3), dtype=np.uint8),
        labels=np.array([[0], [1]], dtype=np.uint8),
        names=("Smiling",),
        split=np.zeros(2, dtype=np.uint8),
        files=("a", "b"),
    )
    with pytest.raises(VisagistError, match=r"cannot write the pack .*: Permission denied"):
        ensure_pack(nobody / "out", catalogue_of_faces(faces), PackForm(16, "square"), on_bad="skip", progress=False)
    assert not list(nobody.iterdir())


def test_a_place_below_a_file_is_one_clear_line(celeba: Path) -> None:
    with pytest.raises(VisagistError, match=r"cannot write the pack .*: File exists"):
        load_data(f"celeba:{celeba}", image_size=32, cache=celeba / "list_attr_celeba.txt")


@pytest.mark.data
@pytest.mark.slow
def test_a_webp_pack_of_the_real_training_split_fits_into_64_mib(
    real_celeba: Path, real_cache: Path, tmp_path: Path
) -> None:
    load_data(f"celeba:{real_celeba}", image_size=64, cache=real_cache)
    (raw,) = real_cache.glob("celeba-64-*")
    out = tmp_path / "train"
    faces = pack(f"pack:{raw}", out, image_size=64, encoding="webp", quality=90, split="train")
    assert len(faces) == 20229
    assert sum(file.stat().st_size for file in out.iterdir()) < 64 * 2**20
