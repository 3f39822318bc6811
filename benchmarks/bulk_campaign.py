"""Bulk jobs on a Ray cluster of two nodes on this machine: killed at random, timed, watched for memory, and in a bucket.

    python benchmarks/bulk_campaign.py kills  [--pictures 5000] [--shards 50] [--kills 10] [--seed 0]
    python benchmarks/bulk_campaign.py speed  [--pictures 5000] [--shards 50] [--photos 200] [--side 1024]
    python benchmarks/bulk_campaign.py memory [--pictures 20000]
    python benchmarks/bulk_campaign.py s3     [--pictures 500] [--shards 10]     all but memory: [--local]

`kills` ends worker processes, actors and once a whole node while they edit, and checks that each key is in the output once
and that all bytes are those of one process. `speed` edits by one actor and by two of one thread each, loading left out.
`memory` says what a process holds as pictures go by. `s3` reads and writes by a server of moto's, and checks that the bytes
are those of a local run. Pictures are drawn faces of 64 pixels, edited by the shipped model. Each prints one line
of JSON, and ends with 1 where something is wrong.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from PIL import Image

from bulk import MODEL, jpeg, photographs, write_shards
from visagist.bulk import job
from visagist.bulk.cluster import Cluster, Resources, open_cluster
from visagist.bulk.editing import BulkConfig
from visagist.bulk.ledger import Ledger
from visagist.bulk.shards import find_shards
from visagist.bulk.summary import settings_of
from visagist.bulk.workers import Work
from visagist.data.drawn.synthetic import SyntheticFaces
from visagist.editing.request import EditRequest
from visagist.progress import Messages, Progress

SIDE, ONE = 64, Resources(cpus=1, least=1, most=1)


def drawn_faces(number: int) -> Iterator[bytes]:
    """Drawn faces, each in many brightnesses."""
    faces = SyntheticFaces(64, image_size=SIDE)
    pictures = [Image.fromarray(faces.image(index)) for index in range(64)]
    for place in range(number):
        yield jpeg(pictures[place % 64].point(lambda value, more=place // 64 % 32: min(value + more, 255)))


def job_of(out: Path | str, given: str, aligned: bool = True) -> tuple[Work, list[Any]]:
    """The work of a job and its shards, begun."""
    config, ledger = BulkConfig(EditRequest({"Smiling": -1.0}, aligned=aligned), "webdataset"), Ledger(out, "webdataset")
    shards = find_shards([given])
    work = Work(MODEL, "cpu", config, ledger, threads=1)
    ledger.open(settings_of(work.load_editor(), config), shards)
    return work, shards


def edit_here(work: Work, shards: list[Any], follower: Any = None) -> None:
    engine = job.ThisProcess(work.load_editor(), work.config, work.ledger)
    job.edit_shards(engine, shards, work.ledger, Messages(), follower)


def hashes(out: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(out.glob("*.tar"))}


def count_keys(out: Path) -> Counter[str]:
    keys: Counter[str] = Counter()
    for path in out.glob("*.tar"):
        with tarfile.open(path) as tar:
            keys.update(name for name in tar.getnames() if name.endswith(".jpg"))
    return keys


@contextlib.contextmanager
def two_nodes(local: bool = False) -> Iterator[Any]:
    """A cluster with a head that edits nothing and two nodes of one CPU; or what `local` means, which is one node."""
    if local:
        yield SimpleNamespace(address="local", members=[])
        return
    from ray.cluster_utils import Cluster as Nodes

    nodes = tried(lambda: Nodes(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False}))
    try:
        nodes.members = [tried(lambda: nodes.add_node(num_cpus=1)) for _ in range(2)]
        yield nodes
    finally:
        nodes.shutdown()


def tried(start: Callable[[], Any]) -> Any:
    """What is started, at the fifth time at the latest: a node has half a minute, which a busy machine may not give it."""
    for last in (False, False, False, False, True):
        try:
            return start()
        except Exception as error:
            if last:
                raise
            print(f"started anew: {error}", file=sys.stderr)
    raise AssertionError


class Killer(threading.Thread):
    """Ends something at random every few seconds while the job goes on; once, in the middle, a whole node."""

    def __init__(self, nodes: Any, cluster: Cluster, kills: int, every: float, seed: int) -> None:
        super().__init__(daemon=True)
        self.nodes, self.cluster, self.every, self.draw = nodes, cluster, every, random.Random(seed)
        self.plan = [self.draw.choice([self.end_process, self.end_actor]) for _ in range(kills)]
        if nodes.members:
            self.plan[kills // 2] = self.end_node
        self.done: list[str] = []
        self.over = threading.Event()

    def run(self) -> None:
        for act in self.plan:
            while not self.cluster.busy and not self.over.is_set():
                time.sleep(0.05)
            self.over.wait(self.every * self.draw.random())
            while not self.over.is_set() and not act():
                time.sleep(0.1)
            if not self.over.is_set():
                self.done.append(act.__name__)

    def end_process(self) -> bool:
        pids = [int(path.parent.name) for path in Path("/proc").glob("[0-9]*/cmdline") if _is_busy_actor(path)]
        if not pids:
            return False
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.draw.choice(pids), signal.SIGKILL)
        return True

    def end_actor(self) -> bool:
        actors = [actor for actor, _ in list(self.cluster.busy.values())]
        if actors:
            self.cluster.ray.kill(self.draw.choice(actors))
        return bool(actors)

    def end_node(self) -> bool:
        node = self.draw.choice(self.nodes.members)
        self.nodes.remove_node(node, allow_graceful=False)
        self.nodes.members.remove(node)
        self.nodes.members.append(tried(lambda: self.nodes.add_node(num_cpus=1)))
        return True


def _is_busy_actor(cmdline: Path) -> bool:
    try:
        return cmdline.read_bytes().startswith(b"ray::ShardEditor.edit")
    except OSError:
        return False


class Ends:
    """Counts how attempts ended."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def message(self, line: str) -> None:
        self.lines.append(line)
        print(line, file=sys.stderr)


def kills(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    write_shards(folder / "in", drawn_faces(options.pictures), options.shards)
    work, shards = job_of(folder / "whole", str(folder / "in"))
    started = time.monotonic()
    edit_here(work, shards)
    alone = time.monotonic() - started
    work, shards = job_of(folder / "out", str(folder / "in"))
    progress = Progress()
    ends = Ends()
    progress.message = ends.message  # type: ignore[method-assign]
    resources = Resources(cpus=1, least=2, most=2)
    with two_nodes(options.local) as nodes, open_cluster(work, nodes.address, resources) as cluster:
        killer = Killer(nodes, cluster, options.kills, options.every, options.seed)
        killer.start()
        job.edit_shards(cluster, shards, work.ledger, progress)
        killer.over.set()
        killer.join()
    keys = count_keys(folder / "out")
    return {
        "pictures": options.pictures, "shards": options.shards, "kills": Counter(killer.done),
        "begun_anew": sum("begun anew" in line for line in ends.lines), "seconds_of_one_process": round(alone, 1),
        "each_once": len(keys) == options.pictures and set(keys.values()) == {1},
        "bytes_equal": hashes(folder / "out") == hashes(folder / "whole"),
        "nothing_left": not list((folder / "out").rglob("*.writing")),
        "right": len(killer.done) == options.kills and hashes(folder / "out") == hashes(folder / "whole"),
    }  # fmt: skip


def speed(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    write_shards(folder / "faces", drawn_faces(options.pictures), options.shards)
    write_shards(folder / "photos", photographs(options.photos, options.side), min(options.shards, options.photos // 4))
    rates: dict[str, dict[int, float]] = {"faces": {}, "photos": {}}
    with two_nodes(options.local) as nodes:
        for kind, rate in rates.items():
            for number in (1, 2):
                work, shards = job_of(folder / f"{kind}-{number}", str(folder / kind), aligned=kind == "faces")
                resources = Resources(cpus=1, least=number, most=number)
                with open_cluster(work, nodes.address, resources) as cluster:
                    job.edit_shards(cluster, shards[: 2 * number], work.ledger, Progress())  # until all have loaded
                    started = time.monotonic()
                    job.edit_shards(cluster, shards[2 * number :], work.ledger, Progress())
                    seconds = time.monotonic() - started
                accounts = {account["shard"]: account["pictures"] for account in work.ledger.finished()}
                rate[number] = sum(accounts[shard.name] for shard in shards[2 * number :]) / seconds
    shown = {kind: {str(number): round(value, 2) for number, value in rate.items()} for kind, rate in rates.items()}
    gains = {kind: round(rate[2] / rate[1], 2) for kind, rate in rates.items()}
    return {"pictures_per_second_by_actors": shown, "from_one_to_two": gains, "right": min(gains.values()) >= 1.8}


def memory(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    write_shards(folder / "in", drawn_faces(options.pictures), max(1, options.pictures // 2500))
    work, shards = job_of(folder / "out", str(folder / "in"))
    held: dict[int, float] = {}

    class Watch:
        pictures = 0

        def report(self, shard: str, pictures: int) -> None:
            resident = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / (1 << 20)
            held[self.pictures + pictures] = round(resident, 1)

        def ended(self, shard: Any, result: job.Attempt) -> None:
            self.pictures += result.account["pictures"]

    edit_here(work, shards, Watch())
    places = sorted(held)
    early, late = ([held[n] for n in places if low <= n / options.pictures <= high] for low, high in ((0.2, 0.4), (0.8, 1)))
    growth = sum(late) / len(late) - sum(early) / len(early)
    shown = {place: held[place] for place in places[:: max(1, len(places) // 20)]}
    return {"mebibytes": shown, "growth": round(growth, 1), "right": growth < 10}


def s3(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    write_shards(folder / "in", drawn_faces(options.pictures), options.shards)
    work, shards = job_of(folder / "whole", str(folder / "in"))
    edit_here(work, shards)
    os.environ |= {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y", "AWS_DEFAULT_REGION": "us-east-1",
                   "AWS_ENDPOINT_URL": f"http://127.0.0.1:{options.port}"}  # fmt: skip
    server = subprocess.Popen([sys.executable, "-m", "moto.server", "-p", str(options.port)], stderr=subprocess.DEVNULL)
    try:
        from visagist.bulk.addresses import file_system

        system = file_system("s3")
        deadline = time.monotonic() + 120
        while True:
            try:
                system.mkdir("campaign")
                break
            except Exception:
                if time.monotonic() > deadline:
                    raise
                time.sleep(1)
        system.put(f"{folder}/in/", "campaign/in/", recursive=True)
        work, shards = job_of("s3://campaign/out", "s3://campaign/in")
        resources = Resources(cpus=1, least=2, most=2)
        with two_nodes(options.local) as nodes, open_cluster(work, nodes.address, resources) as cluster:
            job.edit_shards(cluster, shards, work.ledger, Messages())
        made = {Path(name).name: hashlib.sha256(system.cat_file(name)).hexdigest()
                for name in system.glob("campaign/out/*.tar")}  # fmt: skip
    finally:
        server.terminate()
        server.wait()
    return {"shards": len(made), "right": made == hashes(folder / "whole")}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("kills", "speed", "memory", "s3"))
    parser.add_argument("--pictures", type=int)
    parser.add_argument("--shards", type=int)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--every", type=float, default=6.0, help="seconds between two kills, at most")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--photos", type=int, default=200)
    parser.add_argument("--side", type=int, default=1024)
    parser.add_argument("--local", action="store_true", help="Ray of one node; none is ended")
    parser.add_argument("--port", type=int, default=5599)
    options = parser.parse_args()
    usual = {"kills": (5000, 50), "speed": (5000, 50), "memory": (20000, 8), "s3": (500, 10)}[options.what]
    options.pictures, options.shards = options.pictures or usual[0], options.shards or usual[1]
    torch.set_num_threads(1)
    os.environ["OMP_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory() as name:
        result = globals()[options.what](options, Path(name))
    print(json.dumps(result))
    return 0 if result["right"] else 1


if __name__ == "__main__":
    sys.exit(main())
