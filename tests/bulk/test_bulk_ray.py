"""Shards on a Ray cluster of this machine: actors that are killed, and what is there in the end."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from bulk_runs import run
from shards import face_shards

from visagist.bulk import job
from visagist.bulk.cluster import Cluster, Resources, check_places, open_cluster
from visagist.bulk.editing import BulkConfig
from visagist.bulk.ledger import Ledger
from visagist.bulk.shards import Shard, find_shards
from visagist.bulk.summary import settings_of
from visagist.bulk.workers import Work
from visagist.editing.editor import Editor
from visagist.editing.request import EditRequest
from visagist.errors import VisagistError
from visagist.progress import Progress

TRAP = "import sys\nsys.stderr.write('TRAPPED')\nraise SystemExit('from the working folder')\n"


class Killer:
    """Ends the actor that has just finished a shard: at first by its process, then by Ray, for good."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster, self.ends, self.pictures = cluster, list[tuple[str, job.End]](), 0

    def report(self, shard: str, pictures: int) -> None:
        self.pictures = max(self.pictures, pictures)

    def ended(self, shard: Shard, result: job.Attempt) -> None:
        self.ends.append((shard.name, result.end))
        if len(self.ends) == 1:
            os.kill(int(result.account["process"].rpartition(":")[2]), signal.SIGKILL)
        elif len(self.ends) == 3:
            for actor, _ in self.cluster.busy.values():
                self.cluster.ray.kill(actor)


class Said(Progress):
    def __init__(self) -> None:
        self.lines = list[str]()

    def message(self, line: str) -> None:
        self.lines.append(line)


@pytest.mark.slow
def test_actors_that_are_killed_are_replaced_and_every_key_is_there_once(
    model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ray")
    face_shards(tmp_path / "in", 8, 60)
    editor = Editor.from_pretrained(str(model_folder), "cpu")
    run(tmp_path / "in", tmp_path / "whole", editor, batch=2)
    (tmp_path / "in" / "dlib.py").write_text(TRAP)
    monkeypatch.chdir(tmp_path / "in")  # an actor must find its shards, and no module
    config, ledger = BulkConfig(EditRequest({"Smiling": 1.0}), "webdataset", batch=2), Ledger(Path("../out"), "webdataset")
    shards = find_shards(["."])
    ledger.open(settings_of(editor, config), shards)
    said = Said()
    with open_cluster(Work(str(model_folder), "cpu", config, ledger), "local", Resources(most=2, cpus=0.5)) as cluster:
        killer = Killer(cluster)
        job.edit_shards(cluster, shards, ledger, said, killer)
    assert any("its actor is gone" in line and line.endswith("it is begun anew") for line in said.lines)
    made, whole = ({path.name: path.read_bytes() for path in (tmp_path / out).glob("*.tar")} for out in ("out", "whole"))
    assert made == whole
    assert [account["pictures"] for account in ledger.finished()] == [60] * 8
    assert sorted(killer.ends) == [(shard.name, job.End.FINISHED) for shard in shards]
    assert not list((tmp_path / "out").rglob("*.writing"))


def test_what_is_no_cluster_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    work = Work(None, "cpu", BulkConfig(EditRequest({"Smiling": 1.0}), ""), Ledger(tmp_path, ""))
    with pytest.raises(VisagistError, match="--ray photos is no cluster"), open_cluster(work, "photos", Resources()):
        pass
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(VisagistError, match=r"pip install 'visagist\[ray\]'"), open_cluster(work, "local", Resources()):
        pass


def test_actors_that_find_no_place_on_this_machine_are_refused_before_they_are_waited_for() -> None:
    check_places(Resources(cpus=2), {"CPU": 2.0})
    for resources, words in ((Resources(cpus=4), "--ray-cpus 4 is more"), (Resources(gpus=0.5), "--ray-gpus 0.5 is more")):
        with pytest.raises(VisagistError, match=words):
            check_places(resources, {"CPU": 2.0})
