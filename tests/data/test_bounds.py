"""Small files that stand for gigabytes, and names that lead out of a folder."""

from __future__ import annotations

import io
import json
import pickle
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from memory_peaks import peak

from visagist.bulk.samples import DamagedShardError, tar_samples
from visagist.data import load_data, pack
from visagist.errors import VisagistError
from visagist.files import sha256_of, sha256_of_json

Jpeg = Callable[..., bytes]
LOAD = ("from visagist.data import load_data", "load_data(sys.argv[1], image_size=32)")
BATCHES = (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch")


@pytest.mark.parametrize(
    "content",
    [
        b"\x80\x02Nr\xff\xff\xff\x1f.",  # a place in the memo
        b"\x80\x05\x96\x00\x00\x00\x40\x00\x00\x00\x00.",  # a bytearray of 1 GB
        pickle.dumps({b"labels": [10**5000] * 2, b"data": 1}, protocol=2),
    ],
)
def test_a_small_pickle_takes_little_memory(content: bytes, tmp_path: Path) -> None:
    for name in BATCHES:
        (tmp_path / name).write_bytes(content)
    mebibytes, said = peak(*LOAD, f"cifar10:{tmp_path}")
    assert mebibytes < 100
    assert "data_batch_1 is " in said


def test_labels_that_hold_one_another_are_refused_at_once(tmp_path: Path) -> None:
    nested: list[object] = ["x"]
    for _ in range(60):
        nested = [nested, nested]
    pixels = np.zeros((1, 3072), np.uint8)
    for name in BATCHES:
        (tmp_path / name).write_bytes(pickle.dumps({b"labels": [nested], b"data": pixels}, protocol=2))
    _, said = peak(*LOAD, f"cifar10:{tmp_path}")
    assert "the label of picture 0 is a list, not 0 to 9" in said


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    pack("synthetic:10", tmp_path / "pack", image_size=32)
    return tmp_path / "pack"


def forge(folder: Path, array: np.ndarray | bytes, name: str = "labels", compression: int = zipfile.ZIP_STORED) -> None:
    """Put another array into a pack, whose checksums agree as whoever forges one makes them."""
    with zipfile.ZipFile(folder / "labels.npz") as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    stream = io.BytesIO()
    if isinstance(array, np.ndarray):
        np.lib.format.write_array(stream, array)
        array = stream.getvalue()
    with zipfile.ZipFile(folder / "labels.npz", "w", compression) as archive:
        for member, data in {**members, f"{name}.npy": array}.items():
            archive.writestr(member, data)
    sign(folder, {"labels": {"sha256": sha256_of(folder / "labels.npz")}})


def sign(folder: Path, changed: dict[str, object]) -> None:
    manifest = json.loads((folder / "manifest.json").read_bytes()) | changed
    del manifest["checksum"]
    (folder / "manifest.json").write_text(json.dumps({**manifest, "checksum": sha256_of_json(manifest)}))


def header(shape: tuple[int, ...]) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "|u1", "fortran_order": False, "shape": shape})
    return stream.getvalue()


@pytest.mark.parametrize("case", ["compressed zeros", "a shape without its bytes", "objects", "a stranger"])
def test_a_forged_table_of_a_pack_is_refused_before_it_is_unpacked(case: str, packed: Path) -> None:
    if case == "compressed zeros":
        forge(packed, bytes(500 << 20), "files", zipfile.ZIP_DEFLATED)
    elif case == "a shape without its bytes":
        forge(packed, header((1 << 33,)), "files")
    elif case == "objects":
        forge(packed, np.array([[None] * 3] * 10, dtype=object))
    else:
        forge(packed, np.zeros(3, np.uint8), "more")
    mebibytes, said = peak(*LOAD, f"pack:{packed}")
    assert mebibytes < 100
    assert f"the pack {packed} is damaged: labels.npz" in said


@pytest.mark.parametrize("changed", [{"count": 1 << 40}, {"count": "10"}, {"image_size": 1 << 20}, {"attributes": ["a\0b"]}])
def test_a_manifest_that_contradicts_its_images_is_refused(changed: dict[str, object], packed: Path) -> None:
    sign(packed, changed)
    with pytest.raises(VisagistError, match=r"contradicts itself|manifest\.json is damaged"):
        load_data(f"pack:{packed}", image_size=int(changed.get("image_size", 32)))  # type: ignore[call-overload]


@pytest.mark.parametrize("pax", [True, False])
def test_a_sparse_member_of_a_tar_file_is_refused(pax: bool, tmp_path: Path) -> None:
    path, info = tmp_path / "x.tar", tarfile.TarInfo("a.png")
    if pax:
        info.pax_headers = {"GNU.sparse.major": "0", "GNU.sparse.minor": "1", "GNU.sparse.size": str(900 << 20),
                            "GNU.sparse.map": "0,1"}  # fmt: skip
        info.size = 1
    else:
        info.type = tarfile.GNUTYPE_SPARSE
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT if pax else tarfile.GNU_FORMAT) as tar:
        tar.addfile(info, io.BytesIO(b"x") if pax else None)
    with pytest.raises(DamagedShardError, match=r"'a\.png' as a sparse file"):
        list(tar_samples(path, None))


def test_links_in_a_tar_file_lead_nowhere(tmp_path: Path, jpeg: Jpeg) -> None:
    (tmp_path / "secret.jpg").write_bytes(jpeg(1))
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        for name, kind in (("a.jpg", tarfile.SYMTYPE), ("b.jpg", tarfile.LNKTYPE)):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, str(tmp_path / "secret.jpg")
            tar.addfile(info)
    assert list(tar_samples(tmp_path / "x.tar", None)) == []


def test_names_in_a_table_do_not_lead_out_of_its_folder(tmp_path: Path, jpeg: Jpeg) -> None:
    (tmp_path / "secret.jpg").write_bytes(jpeg(1))
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("a.jpg", "b.jpg"):
        (folder / name).write_bytes(jpeg(2))
    rows = ["file,Smiling", "a.jpg,1", "b.jpg,0", "../secret.jpg,1", f"{tmp_path / 'secret.jpg'},1"]
    (folder / "labels.csv").write_text("\n".join(rows))
    faces = load_data(f"folder:{folder}", image_size=32)
    assert sorted(faces.files) == ["a.jpg", "b.jpg"]
    assert faces.manifest["skipped"]["reasons"] == {"missing": 2}


def test_a_table_of_one_huge_line_is_refused(tmp_path: Path, jpeg: Jpeg) -> None:
    (tmp_path / "a.jpg").write_bytes(jpeg(1))
    (tmp_path / "labels.csv").write_bytes(b"a," * (20 << 20))
    mebibytes, said = peak(*LOAD, f"folder:{tmp_path}")
    assert mebibytes < 200
    assert "the first line of" in said
    (tmp_path / "labels.csv").write_bytes(b"file,Smi\0ling\na.jpg,1\n")
    with pytest.raises(VisagistError, match="a NUL byte"):
        load_data(f"folder:{tmp_path}", image_size=32)
