"""Bulk jobs on a Ray cluster of two nodes on this machine: killed at random, in a bucket, watched for memory, and timed.

    python benchmarks/bulk_campaign.py kills  [--pictures 5000] [--shards 50] [--kills 10] [--seed 0]
    python benchmarks/bulk_campaign.py s3     [--pictures 500] [--shards 10] [--kills 3] [--faults 0.1] [--seed 0]
    python benchmarks/bulk_campaign.py memory [--pictures 20000]
    python benchmarks/bulk_campaign.py speed  [--pictures 5000] [--shards 50] [--rounds 3]

`kills` ends worker processes, actors and once a whole node while they edit, and checks that each key of the input is in the
output once and that all bytes are those of one process. `s3` does the same in a bucket of moto's server, behind a proxy that
answers some requests by 503, late, or with half of the data. `memory` says what a worker of `--devices 1` holds as pictures
go by. `speed` edits by one actor and by two of one thread each, in turns, loading left out, with the ratio of each round.
Pictures are drawn faces of 64 pixels, edited as aligned by a shipped model; with --photos photographs of `--side` pixels,
of which 200 are enough. Each prints one line of JSON, and ends with 1 where something is wrong.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import random
import signal
import statistics
import sys
import tarfile
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
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
from visagist.bulk.workers import Work, open_pool
from visagist.data.drawn.synthetic import SyntheticFaces
from visagist.editing.request import EditRequest
from visagist.progress import Messages, Progress

SIDE, TWO = 64, Resources(cpus=1, least=2, most=2)
USUAL = {"kills": (5000, 50, 10), "s3": (500, 10, 3), "memory": (20000, 8, 0), "speed": (5000, 50, 0)}


def drawn_faces(number: int) -> Iterator[bytes]:
    """Drawn faces, each in many brightnesses."""
    faces = SyntheticFaces(64, image_size=SIDE)
    pictures = [Image.fromarray(faces.image(index)) for index in range(64)]
    for place in range(number):
        yield jpeg(pictures[place % 64].point(lambda value, more=place // 64 % 32: min(value + more, 255)))


def write_input(folder: Path, options: argparse.Namespace) -> str:
    pictures = photographs(options.pictures, options.side) if options.photos else drawn_faces(options.pictures)
    write_shards(folder / "in", pictures, options.shards)
    return str(folder / "in")


def job_of(out: Path | str, given: str, options: argparse.Namespace) -> tuple[Work, list[Any]]:
    """The work of a job and its shards, begun."""
    request = EditRequest({"Smiling": -1.0}, aligned=not options.photos)
    config, ledger = BulkConfig(request, "webdataset"), Ledger(out, "webdataset")
    shards = find_shards([given])
    work = Work(MODEL, "cpu", config, ledger, threads=1)
    ledger.open(settings_of(work.load_editor(), config), shards)
    return work, shards


def edit_here(given: str, out: Path, options: argparse.Namespace) -> float:
    """Edit by this process alone; the seconds that it took."""
    work, shards = job_of(out, given, options)
    engine, started = job.ThisProcess(work.load_editor(), work.config, work.ledger), time.monotonic()
    job.edit_shards(engine, shards, work.ledger, Messages())
    return time.monotonic() - started


def hashes(out: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(out.glob("*.tar"))}


def keys_in(folder: Path) -> Counter[str]:
    keys: Counter[str] = Counter()
    for path in folder.glob("*.tar"):
        with tarfile.open(path) as tar:
            keys.update(name for name in tar.getnames() if name.endswith(".jpg"))
    return keys


@contextlib.contextmanager
def two_nodes() -> Iterator[Any]:
    """A cluster with a head that edits nothing and two nodes of one CPU."""
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


class Killer:
    """Ends something at random again and again while a job goes on in another thread; once, in the middle, a whole node."""

    def __init__(self, nodes: Any, cluster: Cluster, options: argparse.Namespace) -> None:
        self.nodes, self.cluster, self.every, self.draw = nodes, cluster, options.every, random.Random(options.seed)
        self.plan = [self.draw.choice([self.end_process, self.end_actor]) for _ in range(options.kills)]
        if self.plan:
            self.plan[options.kills // 2] = self.end_node
        self.done: list[str] = []

    def kill_while(self, is_at_work: Callable[[], bool]) -> None:
        for act in self.plan:
            while is_at_work() and not self.cluster.busy:
                time.sleep(0.02)
            time.sleep(self.every * self.draw.random())
            while is_at_work() and not act():
                time.sleep(0.02)
            if not is_at_work():
                return
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
        """A node goes at once and another comes, as in a cluster that adds nodes."""
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


class Said(Progress):
    """Keeps what is said of attempts that are begun anew."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def message(self, line: str) -> None:
        self.lines.append(line)
        print(line, file=sys.stderr)


def edit_and_kill(work: Work, shards: list[Any], options: argparse.Namespace) -> dict[str, Any]:
    """Edit on two nodes, of which parts are ended; what was ended, and how many attempts were begun anew.

    Nodes are started in the first thread, which Ray asks for, so that the job has another.
    """
    said, started = Said(), time.monotonic()
    with two_nodes() as nodes, open_cluster(work, nodes.address, TWO) as cluster, ThreadPoolExecutor(1) as pool:
        killer = Killer(nodes, cluster, options)
        edited = pool.submit(job.edit_shards, cluster, shards, work.ledger, said)
        killer.kill_while(lambda: not edited.done())
        edited.result()
    outcomes = sum((Counter(account["outcomes"]) for account in work.ledger.finished()), Counter[str]())
    return {
        "pictures": options.pictures, "shards": options.shards, "kills": Counter(killer.done),
        "killed_as_often_as_asked": len(killer.done) == options.kills,
        "begun_anew": sum(line.endswith("begun anew") for line in said.lines),
        "seconds": round(time.monotonic() - started, 1),
        "all_edited": outcomes == {"edited": options.pictures}, "accounts": len(work.ledger.finished()),
    }  # fmt: skip


def judged(result: dict[str, Any], **checks: bool) -> dict[str, Any]:
    right = all([*checks.values(), result["killed_as_often_as_asked"], result["all_edited"]])
    return {**result, **checks, "right": right and result["accounts"] == result["shards"]}


def kills(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    given = write_input(folder, options)
    alone = edit_here(given, folder / "whole", options)
    result = edit_and_kill(*job_of(folder / "out", given, options), options)
    return judged(
        {**result, "seconds_of_one_process": round(alone, 1)},
        each_once=keys_in(folder / "out") == keys_in(folder / "in") == Counter(set(keys_in(folder / "in"))),
        bytes_equal=hashes(folder / "out") == hashes(folder / "whole"),
        nothing_left=not list((folder / "out").rglob("*.writing")),
    )


def s3(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))
    from faulty_s3 import faulty_s3, some_faults

    from visagist.bulk.addresses import file_system

    given = write_input(folder, options)
    edit_here(given, folder / "whole", options)
    with faulty_s3() as proxy:
        os.environ |= {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y", "AWS_DEFAULT_REGION": "us-east-1",
                       "AWS_ENDPOINT_URL": proxy.address}  # fmt: skip
        system = file_system("s3")
        system.mkdir("campaign")
        system.put(f"{given}/", "campaign/in/", recursive=True)
        proxy.fault = some_faults(options.seed, options.faults)
        result = edit_and_kill(*job_of("s3://campaign/out", "s3://campaign/in", options), options)
        proxy.fault = lambda method, path: ""
        made = {Path(name).name: hashlib.sha256(system.cat_file(name)).hexdigest()
                for name in system.glob("campaign/out/*.tar")}  # fmt: skip
        left = [name for name in system.find("campaign/out") if "/.bulk/" not in name and not name.endswith(".tar")]
    faults = {kind or "none": number for kind, number in proxy.counts.items()}
    return judged(
        {**result, "requests_by_fault": faults},
        bytes_equal=made == hashes(folder / "whole"), nothing_left=not left,
        every_fault_seen=not options.faults or {"503", "slow", "cut"} <= faults.keys(),
    )  # fmt: skip


class Watch:
    """Reads what the process of a pool holds whenever it says how far it is."""

    def __init__(self, pid: int) -> None:
        self.pid, self.before, self.held = pid, 0, dict[int, float]()

    def report(self, shard: str, pictures: int) -> None:
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        self.held[self.before + pictures] = round(pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20), 1)

    def ended(self, shard: Any, result: job.Attempt) -> None:
        self.before += result.account["pictures"]


def memory(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    work, shards = job_of(folder / "out", write_input(folder, options), options)
    with open_pool(work, 1) as pool:
        watch = Watch(pool.workers[0].process.pid or 0)
        job.edit_shards(pool, shards, work.ledger, Messages(), watch)
    held, places = watch.held, sorted(watch.held)
    early, late = ([held[n] for n in places if low <= n / options.pictures <= high] for low, high in ((0.2, 0.4), (0.8, 1)))
    growth = statistics.fmean(late) - statistics.fmean(early)
    shown = {place: held[place] for place in places[:: max(1, len(places) // 20)]}
    return {"mebibytes": shown, "growth": round(growth, 1), "most": max(held.values()), "right": growth < 10}


def speed(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    given = write_input(folder, options)
    rates: dict[int, list[float]] = {1: [], 2: []}
    with two_nodes() as nodes:
        for turn in range(options.rounds):
            for number, of_number in rates.items():
                work, shards = job_of(folder / f"out-{turn}-{number}", given, options)
                with open_cluster(work, nodes.address, Resources(cpus=1, least=number, most=number)) as cluster:
                    job.edit_shards(cluster, shards[: 2 * number], work.ledger, Progress())
                    cluster.ray.get(list(cluster.starting))  # all have loaded
                    started = time.monotonic()
                    job.edit_shards(cluster, shards[2 * number :], work.ledger, Progress())
                    seconds = time.monotonic() - started
                pictures = {account["shard"]: account["pictures"] for account in work.ledger.finished()}
                of_number.append(sum(pictures[shard.name] for shard in shards[2 * number :]) / seconds)
    gains = sorted(two / one for one, two in zip(rates[1], rates[2], strict=True))
    shown = {str(number): [round(rate, 2) for rate in of_number] for number, of_number in rates.items()}
    return {
        "pictures": options.pictures, "photographs": options.photos, "pictures_per_second_by_actors": shown,
        "from_one_to_two": [round(gain, 2) for gain in gains], "right": statistics.median(gains) >= 1.8,
    }  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=tuple(USUAL))
    parser.add_argument("--pictures", type=int)
    parser.add_argument("--shards", type=int)
    parser.add_argument("--kills", type=int)
    parser.add_argument("--every", type=float, default=1.0, help="seconds of editing before a kill, at most")
    parser.add_argument("--faults", type=float, default=0.1, help="the share of requests to the bucket that go wrong")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--photos", action="store_true", help="photographs in place of aligned faces")
    parser.add_argument("--side", type=int, default=1024, help="of the photographs")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    for name, usual in zip(("pictures", "shards", "kills"), USUAL[options.what]):
        setattr(options, name, usual if getattr(options, name) is None else getattr(options, name))
    torch.set_num_threads(1)
    os.environ["OMP_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory() as name:
        result = globals()[options.what](options, Path(name))
    print(json.dumps(result))
    return 0 if result["right"] else 1


if __name__ == "__main__":
    sys.exit(main())
