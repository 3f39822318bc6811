"""Shards and results in a bucket: a real S3 server behind a proxy that fails, and what is there in the end."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bulk_runs import PNG, run
from edited_toys import painter
from faulty_s3 import FaultyS3, faulty_s3, some_faults
from shards import encoded, face, face_shards, write_parquet

from visagist.bulk import addresses, job
from visagist.bulk.addresses import StorageError, file_system, list_remote, look_up
from visagist.bulk.editing import BulkConfig
from visagist.bulk.following import status_of
from visagist.bulk.ledger import Ledger
from visagist.bulk.shards import find_shards
from visagist.bulk.store import open_store
from visagist.bulk.summary import settings_of
from visagist.editing.request import EditRequest
from visagist.errors import VisagistError

pytest.importorskip("moto")
pytest.importorskip("s3fs")
pytest.importorskip("flask")


@pytest.fixture(scope="module")
def server() -> Iterator[FaultyS3]:
    with pytest.MonkeyPatch.context() as patch, faulty_s3() as proxy:
        for name, value in (("AWS_ACCESS_KEY_ID", "x"), ("AWS_SECRET_ACCESS_KEY", "y"), ("AWS_DEFAULT_REGION", "us-east-1"),
                            ("AWS_ENDPOINT_URL", proxy.address), ("AWS_MAX_ATTEMPTS", "1")):  # fmt: skip
            patch.setenv(name, value)
        patch.setattr(addresses, "PAUSES", [0.01, 0.02, 0.05, 0.1, 0.1, 0.1])
        file_system.cache_clear()
        yield proxy
        file_system.cache_clear()


@pytest.fixture
def bucket(server: FaultyS3, request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of an empty bucket, whose server makes no faults yet."""
    server.fault, server.counts = (lambda method, path: ""), {}
    name = f"test-{abs(hash(request.node.name)) % 10**10}"
    file_system("s3").mkdir(name)
    yield f"s3://{name}"
    server.fault = lambda method, path: ""


def put(folder: Path, address: str) -> str:
    """The files of a folder at an address."""
    for path in sorted(folder.rglob("*.*")):
        file_system("s3").pipe_file(f"{address}/{path.relative_to(folder)}", path.read_bytes())
    return address


def objects(address: str) -> dict[str, bytes]:
    """What lies under an address, by name, but for the account of the job."""
    system = file_system("s3")
    names = (name for name in system.find(address) if "/.bulk/" not in name and not name.endswith("summary.json"))
    return {name.partition(address.removeprefix("s3://"))[2].lstrip("/"): system.cat_file(name) for name in names}


def local_files(out: Path) -> dict[str, bytes]:
    files = (path for path in sorted(out.rglob("*.*")) if path.is_file() and ".bulk" not in path.parts)
    return {str(path.relative_to(out)): path.read_bytes() for path in files}


def test_a_run_in_a_bucket_that_fails_now_and_then_gives_the_bytes_of_a_local_one(
    bucket: str, server: FaultyS3, tmp_path: Path
) -> None:
    face_shards(tmp_path / "in", 3, 6)
    run(tmp_path / "in", tmp_path / "out")
    put(tmp_path / "in", f"{bucket}/in")
    server.fault = some_faults(1)
    summary = run(f"{bucket}/in/faces-*.tar", f"{bucket}/out")
    assert all(server.counts.get(kind) for kind in ("503", "slow", "cut")), server.counts
    server.fault = lambda method, path: ""
    assert summary["shards"] == {"all": 3, "finished": 3, "left": 0}
    assert summary["pictures"]["edited"] == 18
    assert objects(f"{bucket}/out") == local_files(tmp_path / "out")
    before = file_system("s3").find(f"{bucket}/out", detail=True)
    run(f"{bucket}/in", f"{bucket}/out")
    assert {k: v["LastModified"] for k, v in file_system("s3").find(f"{bucket}/out", detail=True).items()} == {
        k: v["LastModified"] for k, v in before.items()
    }
    status = status_of(Ledger(f"{bucket}/out", ""))
    assert (status["shards"], status["failed_shards"]) == ({"all": 3, "finished": 3, "left": 0}, [])


@pytest.mark.parametrize("to", ["folder", "parquet"])
def test_pictures_in_a_bucket_become_pictures_and_rows_there(to: str, bucket: str, tmp_path: Path) -> None:
    for number in range(5):
        (tmp_path / "in" / "sub").mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / "sub" / f"{number}.png").write_bytes(encoded(face(number)))
    (tmp_path / "in" / "a.png").write_bytes(PNG)
    run(tmp_path / "in", tmp_path / "out", to=to, shard_size=4)
    run(put(tmp_path / "in", f"{bucket}/in"), f"{bucket}/out", to=to, shard_size=4)
    assert objects(f"{bucket}/out") == local_files(tmp_path / "out")


def test_a_parquet_file_in_a_bucket_is_read_there_and_a_changed_one_done_anew(bucket: str, tmp_path: Path) -> None:
    for number in (3, 4):
        write_parquet(tmp_path / "in" / "a.parquet", [{"bytes": PNG, "path": "0.png"}] * number)
        summary = run(put(tmp_path / "in", f"{bucket}/in"), f"{bucket}/out")
        assert summary["pictures"]["edited"] == number


def test_nothing_of_somebodys_in_a_bucket_is_written_over(bucket: str, tmp_path: Path) -> None:
    face_shards(tmp_path / "in", 1, 2)
    shards = put(tmp_path / "in", f"{bucket}/in")
    file_system("s3").pipe_file(f"{bucket}/out/thesis.txt", b"mine")
    with pytest.raises(VisagistError, match=r"thesis\.txt is there already and not of an earlier run"):
        run(shards, f"{bucket}/out")
    run(shards, f"{bucket}/other")
    face_shards(tmp_path / "in", 2, 2)
    put(tmp_path / "in", f"{bucket}/in")
    file_system("s3").pipe_file(f"{bucket}/other/faces-000001.tar", b"mine")
    with pytest.raises(VisagistError, match=r"faces-000001\.tar is there already and visagist did not write it"):
        run(shards, f"{bucket}/other")
    assert file_system("s3").cat_file(f"{bucket}/other/faces-000001.tar") == b"mine"


def test_an_account_is_written_where_none_is_and_by_one_whose_answer_was_lost(bucket: str, server: FaultyS3) -> None:
    store = open_store(f"{bucket}/out")
    cut = iter(["cut"])
    server.fault = lambda method, path: next(cut, "") if method == "PUT" else ""
    assert store.create("a.json", b"{}")
    assert not store.create("a.json", b"{1}")
    assert store.read("a.json") == b"{}"


def test_a_shard_that_never_comes_whole_is_given_up_and_the_others_are_finished(
    bucket: str, server: FaultyS3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_system("s3"), "retries", 1)
    monkeypatch.setattr(addresses, "PAUSES", [0.01])
    face_shards(tmp_path / "in", 2, 3)
    shards = put(tmp_path / "in", f"{bucket}/in")
    server.fault = lambda method, path: "cut" if method == "GET" and "/in/faces-000000.tar" in path else ""
    summary = run(shards, f"{bucket}/out")
    assert [(failed["shard"], "cannot read s3://" in failed["reason"]) for failed in summary["failed_shards"]] == [
        ("faces-000000", True)
    ]
    assert summary["shards"]["finished"] == 1
    server.fault = lambda method, path: ""
    assert run(shards, f"{bucket}/out")["shards"]["finished"] == 2


def test_a_shard_that_changes_while_it_is_read_is_begun_anew(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job, "REPORT_SECONDS", 0.0)
    face_shards(tmp_path / "in", 1, 6)
    (shard,) = find_shards([put(tmp_path / "in", f"{bucket}/in")])
    config, ledger = BulkConfig(EditRequest({"Smiling": 1.0}), "webdataset", batch=2), Ledger(f"{bucket}/out", "webdataset")
    ledger.open(settings_of(painter(), config), [shard])

    changed = (tmp_path / "in" / "faces-000000.tar").read_bytes() + bytes(512)

    def change(name: str, pictures: int) -> None:
        file_system("s3").pipe_file(f"{bucket}/in/faces-000000.tar", changed)

    ended = job.attempt(painter(), shard, config, ledger, change)
    assert (ended.end, "changed while it was read" in ended.reason) == (job.End.INTERRUPTED, True)
    assert objects(f"{bucket}/out") == {}
    ended = job.attempt(painter(), shard, config, ledger, lambda name, pictures: None)
    assert ended.account["pictures"] == 6


def test_what_is_not_there_or_not_installed_is_one_line(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(VisagistError, match="there is no shard or picture s3://"):
        find_shards([f"{bucket}/none/*.tar"])
    with pytest.raises(StorageError, match="there is no s3://"):
        look_up(f"{bucket}/none.tar")
    monkeypatch.setitem(addresses.PACKAGES, "gs", "no_such_package")
    with pytest.raises(VisagistError, match="gs:// needs no_such_package: pip install no_such_package"):
        list_remote("gs://bucket/in")
    with pytest.raises(VisagistError, match="no storage sftp://"):
        find_shards(["sftp://host/in.tar"])
    with pytest.raises(VisagistError, match="can only be read"):
        open_store("https://host/out")


def test_an_address_with_a_secret_in_it_is_shown_without(monkeypatch: pytest.MonkeyPatch) -> None:
    class Site:
        def _strip_protocol(self, address: str) -> str:
            return address

        def info(self, address: str) -> dict[str, Any]:
            return {"size": 3, "ETag": "1"}

    monkeypatch.setattr(addresses, "file_system", lambda scheme: Site())
    (shard,) = find_shards(["https://me:word@host/faces.tar?signature=secret"])
    assert (shard.name, str(shard.path), shard.path.suffix) == ("faces", "https://host/faces.tar", ".tar")
    assert json.dumps([shard.name, shard.fingerprint()]).count("secret") == 0
