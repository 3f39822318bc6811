"""What is no regular file, or a huge one, is refused in one line wherever a file is expected, and nothing waits for it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cli_runs import Command
from shards import encoded, face, face_shards
from tiny_models import tiny_model
from tiny_zoo import saved

from visagist import load_data, methods
from visagist.boundary.untrusted import list_files, open_regular, read_regular
from visagist.checkpoints.checkpoint import load_model, read_description
from visagist.data.inspection import inspect_data
from visagist.editing.direction_editor import load_directions
from visagist.editing.inputs import take_apart
from visagist.errors import VisagistError
from visagist.evaluation.extractors.onnx import OnnxEmbedder
from visagist.evaluation.extractors.squeezenet import load_features
from visagist.files import sha256_of
from visagist.networks.pretrained.onet import read_onet
from visagist.networks.pretrained.vgg19 import load_vgg19
from visagist.photos.content_credentials import signing
from visagist.photos.photo import read_photo
from visagist.photos.provenance_reading import read_provenance

pytestmark = [
    pytest.mark.usefixtures("own_cache"), pytest.mark.skipif(os.name != "posix", reason="has no pipes of this kind")
]  # fmt: skip
SMILE = ("--set", "Smiling=1", "--device", "cpu")


@pytest.fixture(autouse=True)
def _no_waiting() -> Iterator[None]:
    """Whoever opens a pipe that nobody writes to waits for ever: half a minute is enough to know."""

    def ended(number: int, frame: object) -> None:
        raise TimeoutError("it waits for a pipe")

    before = signal.signal(signal.SIGALRM, ended)
    signal.alarm(30)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def pipe(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    os.mkfifo(path)
    return path


def huge(path: Path) -> Path:
    """A file of a terabyte that takes no room."""
    with path.open("wb") as file:
        file.truncate(1 << 40)
    return path


def test_only_regular_files_of_a_bounded_size_are_opened(tmp_path: Path) -> None:
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(tmp_path / "socket"))
    strange = {
        pipe(tmp_path / "pipe"): "a pipe", Path("/dev/zero"): "a device", tmp_path: "a folder",
        tmp_path / "socket": "a socket", huge(tmp_path / "huge"): "1,024.0 GiB",
    }  # fmt: skip
    for path, what in strange.items():
        with pytest.raises(VisagistError, match=what):
            read_regular(path, 1000)
    listening.close()
    (tmp_path / "file").write_bytes(b"content")
    assert read_regular(tmp_path / "file", 7) == b"content"
    with pytest.raises(VisagistError, match="check the path"):
        read_regular(tmp_path / "file", 6)
    with pytest.raises(FileNotFoundError), open_regular(tmp_path / "nothing"):
        pass


def test_a_file_that_says_nothing_of_its_size_is_read_whole() -> None:
    assert read_regular("/proc/self/status", 1 << 20).startswith(b"Name:")


READERS: dict[str, Callable[[Path], object]] = {
    "photo.jpg": read_photo,
    "shown.jpg": read_provenance,
    "clip.mp4": read_provenance,
    "clip.mkv": read_provenance,
    "aligned.png": lambda path: take_apart(path, None)[0][0].load(),
    "hashed": sha256_of,
    "config.json": lambda path: read_description(path.parent),
    "directions.safetensors": lambda path: load_directions(path, None),
    "vgg19.safetensors": lambda path: load_vgg19(str(path)),
    "onet.pt": read_onet,
    "squeezenet.h5": lambda path: load_features(f"squeezenet11:{path}"),
    "embedder.onnx": OnnxEmbedder,
    "cert.pem": lambda path: signing(path, path),
    "labels.csv": lambda path: load_data(f"folder:{path}"),
    "manifest.json": lambda path: load_data(f"pack:{path.parent}"),
    "faces.parquet": lambda path: load_data(f"parquet:{path}"),
}


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("make", [pipe, huge])
def test_a_pipe_or_a_huge_file_in_place_of_a_file_is_refused(
    name: str, make: Callable[[Path], Path], tmp_path: Path
) -> None:
    if make is huge and name in ("hashed", "clip.mp4", "clip.mkv", "faces.parquet"):
        pytest.skip("is read piece by piece, at any size")
    with pytest.raises(VisagistError, match=r"is a pipe|is no file|no file|has more|larger than|more than|matches|is empty"):
        READERS[name](make(tmp_path / name))


def test_weights_that_are_a_pipe_are_refused(tmp_path: Path) -> None:
    model = saved(tmp_path / "tiny", tiny_model(methods.get("ifcvae-gan")).eval())
    (model / "model.safetensors").unlink()
    pipe(model / "model.safetensors")
    with pytest.raises(VisagistError, match=r"model\.safetensors is a pipe"):
        load_model(model)


def test_a_pipe_among_pictures_is_one_bad_picture(tmp_path: Path) -> None:
    for number in range(6):
        folder = tmp_path / "data" / ("Smiling" if number % 2 else "not_Smiling")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number}.png").write_bytes(encoded(face(number)))
    pipe(tmp_path / "data" / "Smiling" / "pipe.png")
    (tmp_path / "data" / "Smiling" / "gone.png").symlink_to(tmp_path / "nowhere.png")
    report = inspect_data(f"folder:{tmp_path / 'data'}", image_size=16)
    assert report.count == 6
    assert dict(report.bad) == {
        "Smiling/gone.png": "missing", "Smiling/pipe.png": "unreadable: is a pipe, not a file: give a file on disk"
    }  # fmt: skip


def test_a_batch_goes_on_after_a_pipe_and_a_dangling_link(command: Command, tmp_path: Path) -> None:
    model = saved(tmp_path / "tiny", tiny_model(methods.get("ifcvae-gan")).eval())
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "b.png").write_bytes(encoded(face(1)))
    pipe(tmp_path / "in" / "a.png")
    (tmp_path / "in" / "c.png").symlink_to(tmp_path / "nowhere.png")
    done = command("edit", model, tmp_path / "in", *SMILE, "--out", tmp_path / "out", "--json")
    assert done.status == 4
    errors = [file.get("error", "") for file in json.loads(done.out)["files"]]
    assert ["is a pipe" in errors[0], errors[1], "there is no picture" in errors[2]] == [True, "", True]


def test_a_pipe_or_device_as_a_shard_is_refused(command: Command, tmp_path: Path) -> None:
    given = pipe(tmp_path / "faces.tar")
    for shard in (given, "/dev/zero"):
        assert "not a file" in command("bulk", shard, *SMILE, "--out", tmp_path / "out").error


def test_a_pipe_among_shards_is_one_failed_shard(command: Command, tmp_path: Path) -> None:
    model = saved(tmp_path / "tiny", tiny_model(methods.get("ifcvae-gan")).eval())
    face_shards(tmp_path / "in", 1, 2)
    pipe(tmp_path / "in" / "pipe.tar")
    done = command("bulk", tmp_path / "in", *SMILE, "--model", model, "--out", tmp_path / "out", "--json")
    assert done.status == 4
    summary = json.loads(done.out)
    assert summary["pictures"]["edited"] == 2
    assert [failed["shard"] for failed in summary["failed_shards"]] == ["pipe"]


@pytest.mark.parametrize("given", ["-", "https://example.org/me.jpg", "https://example.org/me"])
def test_addresses_and_standard_input_are_said_not_to_be_read(command: Command, given: str, tmp_path: Path) -> None:
    bulk = [["bulk", given, *SMILE, "--out", tmp_path / "o"]] if given == "-" else []  # which reads addresses
    for words in (["edit", given, *SMILE, "--out", tmp_path / "o.png"], ["inspect", given], *bulk):
        error = command(*words).error
        assert "save it to a file and give its path" in error
        assert given in error


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every folder")
def test_a_folder_that_cannot_be_read_is_left_out_and_told_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "in" / "closed").mkdir(parents=True)
    (tmp_path / "in" / "a.png").write_bytes(b"")
    (tmp_path / "in" / "closed").chmod(0)
    assert list_files(tmp_path / "in") == [tmp_path / "in" / "a.png"]
    assert "closed is left out" in caplog.text
    with pytest.raises(VisagistError, match="check its rights"):
        list_files(tmp_path / "in" / "closed")
    shutil.rmtree(tmp_path / "in", ignore_errors=True)
