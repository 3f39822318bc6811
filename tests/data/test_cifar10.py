from __future__ import annotations

import os
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_runs import TINY, Command
from PIL import Image

import visagist
from visagist.checkpoints.checkpoint import read_description
from visagist.data import load_data, pack
from visagist.data.inspection import inspect_data
from visagist.errors import VisagistError

BATCHES = (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch")
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
NAMES = tuple(name.capitalize() for name in CLASSES)
A_BATCH = 20
RECORD = 3073

Write = Callable[..., Path]


def drawn(batch: int) -> tuple[list[int], np.ndarray]:
    """Labels, each class twice in an order of the batch's own, and pictures [20, 32, 32, 3]: a tone, a bar a class."""
    draw = np.random.default_rng(batch)
    labels = np.append(draw.permutation(10), draw.permutation(10))
    images = np.empty((A_BATCH, 32, 32, 3), np.uint8)
    for image, label in zip(images, labels):
        image[:] = draw.integers(0, 100, 3)
        image[3 * label : 3 * label + 3, 4:] = draw.integers(150, 256, 3)
    return labels.tolist(), images


def rows(images: np.ndarray) -> np.ndarray:
    """The pictures as CIFAR-10 has them: [N, 3072], all of red, then green, then blue."""
    return images.transpose(0, 3, 1, 2).reshape(len(images), -1)


def write_binary(folder: Path) -> Path:
    folder.mkdir(parents=True)
    for number, name in enumerate(BATCHES):
        labels, images = drawn(number)
        records = np.concatenate([np.array(labels, np.uint8)[:, None], rows(images)], axis=1)
        (folder / f"{name}.bin").write_bytes(records.tobytes())
    (folder / "batches.meta.txt").write_text("\n".join(CLASSES) + "\n\n")
    return folder


def write_python(folder: Path) -> Path:
    folder.mkdir(parents=True)
    for number, name in enumerate(BATCHES):
        labels, images = drawn(number)
        files = [b"picture_%06d.png" % row for row in range(A_BATCH)]
        content = {b"batch_label": name.encode(), b"labels": labels, b"data": rows(images), b"filenames": files}
        (folder / name).write_bytes(pickle.dumps(content, protocol=2))
    names = {b"num_cases_per_batch": A_BATCH, b"label_names": [name.encode() for name in CLASSES], b"num_vis": 3072}
    (folder / "batches.meta").write_bytes(pickle.dumps(names, protocol=2))
    return folder


def python2(labels: list[int], images: np.ndarray, module: str = "numpy.core.multiarray", columns: bool = False) -> bytes:
    """A batch as the pickler of Python 2 wrote it, operation by operation: text is bytes, and nothing is encoded."""

    def text(value: bytes) -> bytes:
        return b"U" + bytes([len(value)]) + value

    data = rows(images)
    raw = data.tobytes(order="F" if columns else "C")
    array = f"c{module}\n_reconstruct\ncnumpy\nndarray\n".encode() + b"K\x00\x85" + text(b"b") + b"\x87R(K\x01"
    array += b"K" + bytes([len(data)]) + b"M" + struct.pack("<H", data.shape[1]) + b"\x86"
    array += b"cnumpy\ndtype\n" + text(b"u1") + b"K\x00K\x01\x87R(K\x03" + text(b"|") + b"NNN" + b"J\xff\xff\xff\xff" * 2
    array += b"K\x00tb" + (b"\x88" if columns else b"\x89") + b"T" + struct.pack("<I", len(raw)) + raw + b"tb"
    listed = b"](" + b"".join(b"K" + bytes([label]) for label in labels) + b"e"
    return b"\x80\x02}(" + text(b"labels") + listed + text(b"data") + array + b"u."


@pytest.fixture(params=[write_binary, write_python])
def write(request: pytest.FixtureRequest) -> Write:
    return request.param


@pytest.fixture
def binary(tmp_path: Path) -> Path:
    return write_binary(tmp_path / "cifar-10-batches-bin")


@pytest.fixture
def python(tmp_path: Path) -> Path:
    return write_python(tmp_path / "cifar-10-batches-py")


def error(folder: Path, **options: Any) -> str:
    with pytest.raises(VisagistError) as refused:
        load_data(f"cifar10:{folder}", image_size=32, **options)
    return str(refused.value)


def test_both_versions_give_the_pictures_to_the_pixel_and_one_class_each(write: Write, tmp_path: Path) -> None:
    faces = load_data(f"cifar10:{write(tmp_path / 'cifar')}", image_size=32)
    labels, images = zip(*map(drawn, range(6)))
    np.testing.assert_array_equal(faces.images, np.concatenate(images))
    assert faces.names == NAMES
    assert faces.labels.sum(axis=1).tolist() == [1] * 120
    assert faces.labels.argmax(axis=1).tolist() == np.concatenate(labels).tolist()
    assert faces.identity is None
    assert faces.manifest["source"] == "cifar10:cifar"
    assert faces.manifest["crop"] == "square"


def test_the_planes_of_a_record_are_red_green_and_blue_row_by_row(binary: Path) -> None:
    record = np.zeros(RECORD, np.uint8)
    record[1 + 5], record[1 + 1024 + 32], record[1 + 2048 + 1023] = 10, 20, 30
    batch = binary / "data_batch_1.bin"
    batch.write_bytes(record.tobytes() + batch.read_bytes()[RECORD:])
    image = load_data(f"cifar10:{binary}", image_size=32).images[0]
    assert [tuple(point) for point in np.argwhere(image)] == [(0, 5, 0), (1, 0, 1), (31, 31, 2)]
    assert [image[0, 5, 0], image[1, 0, 1], image[31, 31, 2]] == [10, 20, 30]


def test_the_test_batch_tests_and_the_last_tenth_of_the_others_validates(write: Write, tmp_path: Path) -> None:
    folder = write(tmp_path / "cifar")
    faces = load_data(f"cifar10:{folder}", image_size=32)
    assert faces.split.tolist() == [0] * 90 + [1] * 10 + [2] * 20
    suffix = ".bin" if write is write_binary else ""
    assert load_data(f"cifar10:{folder}", image_size=32, split="val").files[0] == f"data_batch_5{suffix}#10"
    assert load_data(f"cifar10:{folder}", image_size=32, split="test").files[-1] == f"test_batch{suffix}#19"


@pytest.mark.parametrize("module", ["numpy.core.multiarray", "numpy._core.multiarray"])
@pytest.mark.parametrize("columns", [False, True])
def test_a_pickle_of_python_2_is_read(python: Path, module: str, columns: bool) -> None:
    labels, images = drawn(9)
    written = python2(labels, images, module, columns)
    np.testing.assert_array_equal(pickle.loads(python2(labels, images), encoding="bytes")[b"data"], rows(images))
    (python / "data_batch_2").write_bytes(written)
    faces = load_data(f"cifar10:{python}", image_size=32)
    np.testing.assert_array_equal(faces.images[20:40], images)
    assert faces.labels[20:40].argmax(axis=1).tolist() == labels


def test_the_folder_above_will_do_and_of_two_versions_the_binary_one_is_read(tmp_path: Path) -> None:
    write_python(tmp_path / "cifar-10-batches-py")
    assert load_data(f"cifar10:{tmp_path}", image_size=32).manifest["source"] == "cifar10:cifar-10-batches-py"
    write_binary(tmp_path / "cifar-10-batches-bin")
    assert load_data(f"cifar10:{tmp_path}", image_size=32).manifest["source"] == "cifar10:cifar-10-batches-bin"


def test_the_names_come_from_the_meta_file_or_are_known_without(write: Write, tmp_path: Path) -> None:
    folder = write(tmp_path / "cifar")
    meta = next(folder.glob("batches.meta*"))
    meta.write_bytes(meta.read_bytes().replace(b"truck", b"tramp"))
    assert load_data(f"cifar10:{folder}", image_size=32).names == (*NAMES[:9], "Tramp")
    meta.write_bytes(meta.read_bytes().replace(b"tramp", b"horse"))
    assert f"{meta} names 10 classes, not 10 different ones" in error(folder)
    meta.write_bytes(b"\x80\x02]." if meta.suffix == ".meta" else b"cat\ndog\n")
    assert "classes, not 10 different ones: copy it again" in error(folder)
    meta.unlink()
    assert load_data(f"cifar10:{folder}", image_size=32).names == NAMES


def test_another_size_is_resized_and_a_crop_must_fit(binary: Path) -> None:
    faces = load_data(f"cifar10:{binary}", image_size=16)
    small = Image.fromarray(drawn(0)[1][7]).resize((16, 16), Image.Resampling.LANCZOS)
    np.testing.assert_array_equal(faces.images[7], np.asarray(small))
    assert "data_batch_1.bin#0 (32×32 pixels, smaller than the crop of 108×108)" in error(binary, crop="centre108")


def test_a_pack_is_used_again_until_a_batch_changes(binary: Path, cache: Path) -> None:
    first = load_data(f"cifar10:{binary}", image_size=32)
    (folder,) = cache.iterdir()
    built = (folder / "manifest.json").stat().st_mtime_ns
    load_data(f"cifar10:{binary}", image_size=32, attributes=["Cat"])
    assert (folder / "manifest.json").stat().st_mtime_ns == built
    batch = binary / "test_batch.bin"
    batch.write_bytes(batch.read_bytes()[RECORD:] + batch.read_bytes()[:RECORD])
    os.utime(batch, ns=(1, 1))
    np.testing.assert_array_equal(load_data(f"cifar10:{binary}", image_size=32).images[100], first.images[101])


def test_a_source_can_be_packed_and_inspected(write: Write, tmp_path: Path) -> None:
    source = f"cifar10:{write(tmp_path / 'cifar')}"
    packed = pack(source, tmp_path / "pack", image_size=32, attributes=["Ship", "Cat"], split="test")
    assert packed.labels.sum(axis=0).tolist() == [2, 2]
    report = inspect_data(source, image_size=32, sheet=tmp_path / "sheet.png")
    assert report.counts == {"train": 90, "val": 10, "test": 20}
    assert [(row.attribute, row.positive) for row in report.balance] == [(name, 12) for name in NAMES]
    assert report.identities is None


def test_a_missing_place_is_one_clear_line(binary: Path, tmp_path: Path) -> None:
    assert "no folder" in error(tmp_path / "nowhere")
    assert "is a file: unpack the archive" in error(binary / "test_batch.bin")
    (tmp_path / "empty").mkdir()
    assert "holds no batch of CIFAR-10" in error(tmp_path / "empty")
    (binary / "data_batch_3.bin").unlink()
    assert error(binary).startswith(f"{binary} has no data_batch_3.bin: unpack the whole archive")


def test_a_damaged_binary_batch_is_named_with_what_it_holds(binary: Path) -> None:
    batch = binary / "data_batch_4.bin"
    whole = batch.read_bytes()
    batch.write_bytes(whole[:-1])
    assert error(binary).startswith(f"{batch} is damaged: its {20 * RECORD - 1} bytes are no whole records of 3073")
    batch.write_bytes(b"")
    assert f"{batch} is damaged: its 0 bytes" in error(binary)
    batch.write_bytes(whole[:-RECORD])
    assert f"{batch} holds 19 pictures, not 20 as the largest batch beside it" in error(binary)
    batch.write_bytes(whole[:RECORD] + b"\x63" + whole[RECORD + 1 :])
    assert f"{batch} is damaged: the label of picture 1 is 99, not 0 to 9" in error(binary)


def test_a_damaged_pickle_is_named_with_what_it_holds(python: Path) -> None:
    batch, (labels, images) = python / "data_batch_4", drawn(3)
    whole = batch.read_bytes()
    data = rows(images)
    for content, message in (
        (whole[:-100], f"{batch} is damaged: its {len(whole) - 100} bytes are no whole pickle"),
        (b"", f"{batch} is damaged: its 0 bytes are no whole pickle"),
        (b"<html>not found</html>", "bytes are no whole pickle"),
        ([1, 2], f"{batch} is no batch of CIFAR-10: it holds a list"),
        ({b"fine_labels": labels, b"data": data}, "it holds a dict of [b'fine_labels', b'data']"),
        ({b"labels": labels, b"data": data.astype(np.int16)}, "is no batch of CIFAR-10"),
        ({b"labels": labels, b"data": data[:, :3000]}, "data [20, 3000] of 60000 bytes and 20 labels, not [N, 3072]"),
        ({b"labels": labels[1:], b"data": data}, "data [20, 3072] of 61440 bytes and 19 labels"),
        ({b"labels": [*labels[:19], 10], b"data": data}, "the label of picture 19 is 10, not 0 to 9"),
        ({b"labels": [*labels[:19], "cat"], b"data": data}, "the label of picture 19 is 'cat', not 0 to 9"),
        ({b"labels": labels[:19], b"data": data[:19]}, f"{batch} holds 19 pictures, not 20"),
    ):
        batch.write_bytes(content if isinstance(content, bytes) else pickle.dumps(content, protocol=2))
        assert message in error(python)


class _Payload:
    def __init__(self, call: Callable[..., Any], *given: object) -> None:
        self.call = call, given

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize("name", ["data_batch_1", "test_batch", "batches.meta"])
def test_a_pickle_that_asks_for_anything_else_is_refused_and_does_nothing(python: Path, tmp_path: Path, name: str) -> None:
    payload = _Payload(os.mkdir, str(tmp_path / "harm"))
    (python / name).write_bytes(pickle.dumps({b"data": payload, b"label_names": payload}, protocol=2))
    message = error(python)
    assert f"{python / name} is refused: it asks for '{os.mkdir.__module__}.mkdir'" in message
    assert "use the binary version" in message
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize("wanted", [open, eval, getattr, np.load, np.frombuffer])
def test_functions_of_python_and_of_numpy_are_refused_alike(python: Path, wanted: Callable[..., Any]) -> None:
    (python / "data_batch_1").write_bytes(pickle.dumps(_Payload(wanted, "1"), protocol=2))
    assert "is refused" in error(python)


def test_an_array_of_objects_is_refused(python: Path) -> None:
    labels, images = drawn(0)
    forged = python2(labels, images).replace(b"U\x02u1", b"U\x02O8")
    (python / "data_batch_1").write_bytes(forged)
    assert "is no batch of CIFAR-10" in error(python)


@pytest.mark.slow
def test_a_method_and_a_judge_train_on_it_and_are_measured(binary: Path, tmp_path: Path, command: Command) -> None:
    given = ("--data", f"cifar10:{binary}", "--attributes", "Cat", "--images", 16, "--device", "cpu")
    trained = command("train", "cvae-gan", *given, "--out", tmp_path / "run", *TINY)
    assert trained.status == 0, trained.err
    assert "strength is not calibrated: judge-64-b does not know Cat" in " ".join(trained.err.split())
    written = read_description(tmp_path / "run" / "best")
    assert (written["attributes"], written["crop"]) == (["Cat"], "square")
    judge = command("train", "judge", *given, "--out", tmp_path / "judge", *TINY[:2], *TINY[4:6])
    assert judge.status == 0, judge.err
    metrics = visagist.evaluate(tmp_path / "run", f"cifar10:{binary}", judge=tmp_path / "judge" / "best", device="cpu")
    assert "edit.Cat.success_1" in metrics.values
