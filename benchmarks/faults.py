"""Tiny trainings and bulk jobs that are killed, or whose disk or clock fails; then the same command again, undisturbed.

    python benchmarks/faults.py                           10 of each
    python benchmarks/faults.py --kills 1000 --only kill kill-at-call term
    python benchmarks/faults.py --job train --only no-space --case 3       that case again

What must hold: the disturbed command ends as it should (a signal, done, or one line of error), and the next one comes to
the end that an undisturbed run has: for a training the same weights, optimizer state and log to the byte but for times; for
a bulk job each shard to the byte, each key once.

kill and term strike at a random instant, kill-at-call at the n-th write, fsync, open or rename. io-error and no-space let
such a call fail; slow-disk delays each; clock lets the wall clock jump by days. full-disk and read-only are a file system of
its own, which needs root. The calls are taken by `faults_shim.c` and need a C compiler. What cannot be done here is skipped
and says why. Each run is a forked child of one warm process. The table goes to stderr, JSON to stdout.
"""

from __future__ import annotations

import argparse
import ctypes
import errno
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"  # before torch is imported: children are forked, and threads do not come along

from hostile import forks, readers  # noqa: E402, I001
from hostile.ground import make_work_folder  # noqa: E402

SHIM, PRELOADED = Path(__file__).with_name("faults_shim.c"), "VISAGIST_FAULTS_SHIM"
WRITES, SYNCS, RENAMES, OPENS = 1, 2, 4, 8
ALL_CALLS = WRITES | SYNCS | RENAMES | OPENS
KILLS = ("kill", "kill-at-call", "term")
SHIMMED = ("kill-at-call", "io-error", "no-space", "slow-disk", "clock")
MOUNTED = ("full-disk", "read-only")
KINDS = (*KILLS, "io-error", "no-space", "slow-disk", "clock", *MOUNTED)
LIMITS = forks.Limits(seconds=60, wall_seconds=120, megabytes=4096, file_megabytes=512)
IMAGES, SHARDS, FACES = 48, 3, 3
TIMES = ("seconds", "images_per_second")


@dataclass(frozen=True)
class Job:
    """A command that may be given again after it was broken off, and what its end is compared by."""

    name: str
    arguments: Callable[[Path, Path], list[str]]
    end_state: Callable[[Path], dict[str, Any]]


@dataclass
class Reference:
    """An undisturbed run: its end, its seconds, and how many calls of each kind it makes."""

    state: dict[str, Any]
    seconds: float
    calls: dict[int, int]


@dataclass
class Row:
    """What came of the cases of a job and a kind of fault."""

    job: str
    kind: str
    cases: int = 0
    ends: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    core_seconds: float = 0.0
    wrong: list[str] = field(default_factory=list)


def train_again(out: Path, templates: Path) -> list[str]:
    return [*readers.train_arguments(out, IMAGES), "--resume"]


def bulk_again(out: Path, templates: Path) -> list[str]:
    shards = str(templates / "shards" / "*.tar")
    return ["bulk", shards, "--model", str(templates / "run"), "--aligned", "--set", "Smiling=1", "--out", str(out)]


def run_state(out: Path) -> dict[str, Any]:
    """The files of a run that are a function of its command, without times."""
    state: dict[str, Any] = {}
    for path in sorted(out.rglob("*")):
        name = str(path.relative_to(out))
        if path.is_dir() or name.startswith(("tensorboard", "samples")) or path.name == ".lock":
            continue
        if path.suffix == ".json":
            state[name] = without_times(json.loads(path.read_text()))
        elif path.suffix == ".jsonl":
            state[name] = [without_times(json.loads(line)) for line in path.read_text().splitlines()]
        else:
            state[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    state["samples"] = sorted(path.name for path in (out / "samples").iterdir())
    return state


def without_times(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_times(part) for key, part in value.items() if key not in TIMES}
    return [without_times(part) for part in value] if isinstance(value, list) else value


def bulk_state(out: Path) -> dict[str, Any]:
    """The bytes of each shard, how often each key is in one, and no file that was never finished."""
    state: dict[str, Any] = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(out.glob("*.tar"))}
    keys: Counter[str] = Counter()
    for path in out.glob("*.tar"):
        with tarfile.open(path) as tar:
            keys.update(name for name in tar.getnames() if name.endswith(".png"))
    state["keys"] = sorted(keys.items())
    state["unfinished"] = sorted(path.name for path in out.rglob("*.writing"))
    state["summary"] = json.loads((out / "summary.json").read_text())["pictures"]
    return state


JOBS = {
    "train": Job("train", train_again, run_state),
    "bulk": Job("bulk", bulk_again, bulk_state),
}


def main() -> int:
    given = _parse()
    _begin_again_with_shim()
    work, began = make_work_folder(), time.monotonic()
    try:
        os.environ.update(VISAGIST_CACHE=str(work / "cache"), TMPDIR=str(work))
        forks.warm(lambda: _make_templates(work / "templates"))
        readers.prepare_parent()
        rows, skipped = run_all(given, work)
    finally:
        shutil.rmtree(work, ignore_errors=True)
        if os.environ.get(PRELOADED):
            shutil.rmtree(os.environ[PRELOADED], ignore_errors=True)
    facts = [{"job": r.job, "kind": r.kind, "cases": r.cases, "ends": dict(r.ends), "wrong": r.wrong,
              "seconds_each": round(r.seconds / max(1, r.cases), 2),
              "core_seconds_each": round(r.core_seconds / max(1, r.cases), 2)} for r in rows]  # fmt: skip
    print(json.dumps({"seconds": round(time.monotonic() - began, 1), "rows": facts, "skipped": skipped}, indent=1))
    print("\n".join(draw_table(rows, skipped)), file=sys.stderr)
    return 1 if any(row.wrong for row in rows) else 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=60, help="cases of kill, kill-at-call and term together")
    parser.add_argument("--faults", type=int, default=10, help="cases of each other kind and job")
    parser.add_argument("--only", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--job", nargs="+", choices=JOBS, default=list(JOBS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--case", type=int, help="only the case of this number of each kind and job")
    return parser.parse_args()


def _begin_again_with_shim() -> None:
    """Start this program anew with the shim before the C library, where there is a compiler."""
    if os.environ.get(PRELOADED) is not None:
        return
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    folder = tempfile.mkdtemp(prefix="visagist-shim-") if compiler else ""
    given = {**os.environ, PRELOADED: folder}
    if compiler:
        library = Path(folder, "faults.so")
        made = subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(SHIM), "-ldl"], check=False)
        given = {**given, "LD_PRELOAD": str(library)} if made.returncode == 0 else {**given, PRELOADED: ""}
    os.execve(sys.executable, [sys.executable, *sys.argv], given)


def _make_templates(folder: Path) -> None:
    from shards import face_shards

    readers.make_templates(folder)
    face_shards(folder / "shards", SHARDS, FACES)
    for job in JOBS.values():
        readers.quietly(*job.arguments(folder / f"warm-{job.name}", folder))


def run_all(given: argparse.Namespace, work: Path) -> tuple[list[Row], dict[str, str]]:
    skipped = {kind: reason for kind in given.only if (reason := why_not(kind, work))}
    kinds = [kind for kind in given.only if kind not in skipped]
    kills = [kind for kind in kinds if kind in KILLS]
    rows = []
    for name in given.job:
        job = JOBS[name]
        reference = measure_reference(job, work)
        for kind in kinds:
            row = Row(name, kind)
            each = -(-given.kills // (len(kills) * len(given.job))) if kind in KILLS else given.faults
            for number in range(each) if given.case is None else (given.case,):
                began, used = time.monotonic(), sum(os.times()[:4])
                run_case(job, kind, number, given.seed, reference, work, row)
                row.seconds += time.monotonic() - began
                row.core_seconds += sum(os.times()[:4]) - used
                row.cases += 1
            rows.append(row)
    return rows, skipped


def why_not(kind: str, work: Path) -> str:
    """Why a kind of fault cannot be had here; empty where it can."""
    if kind in SHIMMED and not os.environ.get(PRELOADED):
        return "there is no C compiler for the shim"
    if kind in MOUNTED:
        try:
            with mounted(work / "probe"):
                return ""
        except (OSError, subprocess.CalledProcessError) as error:
            return f"a file system cannot be mounted: {error}"
    return ""


def arm(
    folder: Path, calls: int, error: int, nth: int = 0, *, microseconds: int = 0, jump: float = 0, seed: int = 0
) -> None:
    """Let calls below the folder fail from now on, in this process."""
    double = ctypes.c_double
    ctypes.CDLL(None).fault_arm(
        os.fsencode(folder), calls, error, nth, double(0), microseconds, double(jump), ctypes.c_uint(seed)
    )


def measure_reference(job: Job, work: Path) -> Reference:
    """An undisturbed run, the quicker of two, and one for each kind of call to count them."""
    calls = {}
    for kinds in (0, 0, WRITES, SYNCS, RENAMES, OPENS, ALL_CALLS) if os.environ.get(PRELOADED) else (0, 0):
        out = _fresh(work)

        def count(_: Any, kinds: int = kinds, out: Path = out) -> int:
            if kinds:
                arm(out, kinds, 0)
            readers.quietly(*job.arguments(out, work / "templates"))
            return ctypes.CDLL(None).fault_count() if kinds else 0

        began = time.monotonic()
        ended = forks.run_forked(count, LIMITS)
        seconds = time.monotonic() - began
        if ended.verdict != forks.OK:
            raise RuntimeError(f"{job.name}, undisturbed, ended with {ended.said}: {ended.details}\n{ended.output}")
        calls[kinds] = int(ended.facts)
    return Reference(job.end_state(out), seconds, calls)


def run_case(job: Job, kind: str, number: int, seed: int, reference: Reference, work: Path, row: Row) -> None:
    """Disturb the job once, then let it come to its end, and compare."""
    draw, out = Random(f"{job.name} {kind} {seed} {number}"), _fresh(work)
    if kind in MOUNTED:
        with mounted(out.parent):
            first, second = _disturb_mounted(job, kind, draw, out, work), _run(job, out, work)
            wrong = _judge(job, kind, first, second, out, reference)
    else:
        first = _disturb(job, kind, draw, out, work, reference)
        second = _run(job, out, work)
        wrong = _judge(job, kind, first, second, out, reference)
    row.ends[first.said.partition(":")[0] if first.verdict == forks.CRASH else first.verdict] += 1
    if wrong:
        row.wrong.append(f"{job.name} {kind} seed {seed} case {number}: {wrong}")


def _disturb(job: Job, kind: str, draw: Random, out: Path, work: Path, reference: Reference) -> forks.Ended:
    strike, prepare = None, (lambda: None)
    if kind in ("kill", "term"):
        number = signal.SIGKILL if kind == "kill" else signal.SIGTERM
        strike = (draw.uniform(0, reference.seconds * 1.05), number)
    elif kind == "slow-disk":
        prepare = lambda: arm(out.parent, ALL_CALLS, 0, microseconds=draw.choice((200, 1000)))  # noqa: E731
    elif kind == "clock":
        jump = draw.choice((10.0, 86400.0, 86400.0 * 400, -86400.0 * 400))
        prepare = lambda: arm(out.parent, 0, 0, jump=jump, seed=draw.randrange(2**31))  # noqa: E731
    else:
        calls = draw.choice((WRITES, SYNCS, RENAMES, OPENS, ALL_CALLS, ALL_CALLS))
        error = {"kill-at-call": -signal.SIGKILL, "io-error": errno.EIO, "no-space": errno.ENOSPC}[kind]
        nth = draw.randint(1, max(1, reference.calls[calls]))
        prepare = lambda: arm(out.parent, calls, error, nth)  # noqa: E731
    arguments = job.arguments(out, work / "templates")
    return forks.run_forked(lambda _: readers.run_command(*arguments), LIMITS, prepare, strike=strike)


def _disturb_mounted(job: Job, kind: str, draw: Random, out: Path, work: Path) -> forks.Ended:
    """On a file system of few kilobytes, or one that cannot be written, fresh or with a part of the work done."""
    half = draw.randrange(2)
    if half:
        _disturb_half(job, out, work)
    options = "ro" if kind == "read-only" else f"size={draw.randrange(4, 600)}k"
    small = _remount(out.parent, options)  # not where it holds more already
    ended = _run(job, out, work) if small else forks.Ended(forks.OK, "not disturbed")
    _remount(out.parent, "rw,size=64m")
    return ended


def _disturb_half(job: Job, out: Path, work: Path) -> None:
    forks.run_forked(
        lambda _: readers.run_command(*job.arguments(out, work / "templates")), LIMITS, strike=(0.2, signal.SIGKILL)
    )


def _run(job: Job, out: Path, work: Path) -> forks.Ended:
    return forks.run_forked(lambda _: readers.run_command(*job.arguments(out, work / "templates")), LIMITS)


def _judge(job: Job, kind: str, first: forks.Ended, second: forks.Ended, out: Path, reference: Reference) -> str:
    """What is wrong with a case; empty where all is as it should be."""
    allowed: tuple[int | None, ...] = {
        "kill": (-signal.SIGKILL,), "kill-at-call": (-signal.SIGKILL,), "term": (-signal.SIGTERM, 143),
    }.get(kind, ())  # fmt: skip
    refusable = kind in ("io-error", "no-space", *MOUNTED)
    right = first.verdict == forks.OK or first.status in allowed or (refusable and first.verdict == forks.REFUSED)
    if not right:
        return f"the disturbed command: {first.verdict} {first.said}: {first.output.strip()[-600:]}"
    if second.verdict != forks.OK:
        return f"the next command: {second.verdict} {second.said}: {second.output.strip()[-600:]}"
    state = job.end_state(out)
    differing = sorted(k for k in state.keys() | reference.state.keys() if state.get(k) != reference.state.get(k))
    if not differing:
        return ""
    ours, theirs = (repr(one.get(differing[0], "absent"))[-700:] for one in (state, reference.state))
    return f"the end differs in {', '.join(differing[:6])}: {ours}, undisturbed {theirs}"


def _fresh(work: Path) -> Path:
    place = work / "place"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    return place / "out"


@contextmanager
def mounted(folder: Path) -> Iterator[None]:
    """A file system in memory at this folder."""
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "visagist", str(folder)], check=True, capture_output=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True, capture_output=True)


def _remount(folder: Path, options: str) -> bool:
    command = ["mount", "-o", f"remount,{options}", str(folder)]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


def draw_table(rows: list[Row], skipped: dict[str, str]) -> list[str]:
    heads = f"{'job':<7}{'fault':<14}{'cases':>6}{'wrong':>7}{'s each':>8}{'of a core':>11}"
    lines = [f"{heads}  the disturbed command ended with"]
    for row in rows:
        ends = ", ".join(f"{name} {number}" for name, number in row.ends.most_common())
        each, of_core = (seconds / max(1, row.cases) for seconds in (row.seconds, row.core_seconds))
        counts = f"{row.cases:>6}{len(row.wrong):>7}{each:>8.2f}{of_core:>11.2f}"
        lines.append(f"{row.job:<7}{row.kind:<14}{counts}  {ends}")
    lines += [f"{kind} skipped: {reason}" for kind, reason in skipped.items()]
    return lines + [line for row in rows for line in row.wrong]


if __name__ == "__main__":
    sys.exit(main())
