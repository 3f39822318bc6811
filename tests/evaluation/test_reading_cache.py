from __future__ import annotations

import multiprocessing
from pathlib import Path

import numpy as np
import pytest
from doubles import plain_faces

from visagist.cli.about import diagnose
from visagist.evaluation import reading_cache
from visagist.evaluation.context import CachedNetwork
from visagist.evaluation.reading_cache import ReadingCache, readings_folder

pytestmark = pytest.mark.usefixtures("own_cache")
IMAGES = plain_faces(30).images


class Network:
    """Reads a face by random weights, which its fingerprint names."""

    def __init__(self, seed: int = 0) -> None:
        self.fingerprint = f"network {seed}"
        self.weights = np.random.default_rng(seed).normal(size=(IMAGES[0].size, 5)).astype(np.float32)
        self.read = 0

    def __call__(self, images: np.ndarray) -> np.ndarray:
        self.read += len(images)
        return images.reshape(len(images), -1).astype(np.float32) @ self.weights


def test_photographs_that_were_read_before_give_the_same_numbers_bit_for_bit() -> None:
    first, second = Network(), Network()
    numbers = CachedNetwork(first).photographs(IMAGES)
    again = CachedNetwork(second)
    np.testing.assert_array_equal(again.photographs(IMAGES[::-1]), numbers[::-1])
    assert (first.read, second.read, again.found) == (30, 0, 30)


def test_other_weights_and_another_picture_are_read() -> None:
    CachedNetwork(Network()).photographs(IMAGES)
    other = Network(seed=1)
    np.testing.assert_array_equal(CachedNetwork(other).photographs(IMAGES), Network(seed=1)(IMAGES))
    assert other.read == 30
    changed, network = IMAGES.copy(), Network()
    changed[7, 3, 3, 0] ^= 1
    CachedNetwork(network).photographs(changed)
    assert network.read == 1


def test_what_a_model_made_is_not_kept() -> None:
    CachedNetwork(Network())(IMAGES)
    network = Network()
    CachedNetwork(network).photographs(IMAGES)
    assert network.read == 30


def test_a_network_that_nobody_can_name_keeps_nothing() -> None:
    CachedNetwork(lambda images: images.reshape(len(images), -1)[:, :3]).photographs(IMAGES)
    assert not readings_folder().exists()


@pytest.mark.parametrize("damage", [lambda b: b[:-5], lambda b: b"", lambda b: b[:40] + b"x" + b[41:]])
def test_a_damaged_file_is_made_anew(damage: object, caplog: pytest.LogCaptureFixture) -> None:
    numbers = CachedNetwork(Network()).photographs(IMAGES)
    path = ReadingCache(Network().fingerprint).path
    path.write_bytes(damage(path.read_bytes()))  # type: ignore[operator]
    network = Network()
    np.testing.assert_array_equal(CachedNetwork(network).photographs(IMAGES), numbers)
    assert network.read == 30
    assert "damaged" in caplog.text
    assert len(ReadingCache(network.fingerprint).read()) == 30


def _write(part: int) -> None:
    for start in range(0, 30, 5):
        CachedNetwork(Network()).photographs(IMAGES[(start + part) % 30 :][:5])


def test_processes_that_write_at_once_leave_a_whole_file() -> None:
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_write, args=(part,)) for part in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 4
    kept = ReadingCache(Network().fingerprint).read()
    assert len(kept) >= 5
    numbers = {reading_cache.key_of(image): row for image, row in zip(IMAGES, Network()(IMAGES))}
    assert all(key in numbers for key in kept)


def test_a_file_and_their_number_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    row = reading_cache.KEY_BYTES + 5 * 4
    monkeypatch.setattr(reading_cache, "MOST_BYTES", 10 * row)
    monkeypatch.setattr(reading_cache, "MOST_FILES", 2)
    for seed in range(4):
        CachedNetwork(Network(seed)).photographs(IMAGES)
    assert len(list(readings_folder().iterdir())) == 2
    kept = ReadingCache(Network(3).fingerprint).read()
    assert set(kept) == {reading_cache.key_of(image) for image in IMAGES[20:]}


def test_a_folder_that_cannot_be_written_is_no_reason_to_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("VISAGIST_CACHE", str(tmp_path / "file"))
    np.testing.assert_array_equal(CachedNetwork(Network()).photographs(IMAGES), Network()(IMAGES))
    assert "not kept" in caplog.text


def test_doctor_says_how_much_is_kept_and_how_to_clear_it() -> None:
    CachedNetwork(Network()).photographs(IMAGES)
    found = diagnose()["cache"]
    assert found["readings of photographs"].endswith("at most 1024 MiB")
    assert str(readings_folder()) in found["to clear them"]
