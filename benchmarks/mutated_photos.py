"""Thousands of broken photographs, read in a process that is watched: no crash, no hang, no memory without bound.

    python benchmarks/mutated_photos.py [--number 10000] [--first 0] [--seconds 10] [--megabytes 4000] [--megapixels 200]

Each mutation of the tests' seeds (`tests/support/photo_mutations.py`) is read, shown and, if it is a photo, written
again. A child process does it under a limit of its memory; its parent starts another where it dies or works too long,
and says of what.
Seconds are those of the processor, so that a busy machine does not look like a hang.
Prints one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import select
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

RIGHT = ("read", "refused", "refused for memory")
SUPPORT = Path(__file__).resolve().parents[1] / "tests" / "support"


def child(first: int, end: int, megabytes: int) -> None:
    """Read mutations one after the other, and tell of each before and after."""
    sys.path.insert(0, str(SUPPORT))
    from photo_mutations import mutated

    from visagist.errors import VisagistError
    from visagist.photos.encode import encode_photo
    from visagist.photos.photo import read_photo
    from visagist.photos.provenance import Step

    mutated(0)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    limit = used + megabytes * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    for number in range(first, end):
        name, data = mutated(number)
        print("begin", number, name, flush=True)
        try:
            photo = read_photo(data, "it")
            photo.view()
            encode_photo(photo, ".png", Step("edited"))
            outcome = "read"
        except VisagistError as error:
            outcome = "more than one line" if "\n" in str(error) else "refused"
            outcome = "refused for memory" if "more memory" in str(error) else outcome
        except Exception as error:
            outcome = f"raised {type(error).__name__}: {error}"
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        print("end", peak, outcome, flush=True)


def cpu_seconds(process: int) -> float:
    """How long a process has had a processor."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def watched(first: int, end: int, seconds: float, arguments: list[str]) -> tuple[Counter[str], list[str], int, float]:
    """Outcomes of all mutations, what went wrong, the peak of memory in MiB, and the slowest in seconds."""
    outcomes: Counter[str] = Counter()
    wrong: list[str] = []
    peak, slowest = 0, 0.0
    while first < end:
        command = [sys.executable, __file__, "--child", "--first", str(first), "--number", str(end - first), *arguments]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
            assert process.stdout is not None
            current, begun, used, alive = "", time.perf_counter(), 0.0, True
            while alive:
                patience = seconds if current else 120
                if not select.select([process.stdout], [], [], patience)[0]:
                    if cpu_seconds(process.pid) - used < seconds and time.perf_counter() - begun < 12 * patience:
                        continue  # it waits for a processor that others have
                    process.kill()
                    outcomes["hung"] += 1
                    wrong.append(f"hung: {current}")
                    first, alive = first + 1, False
                    continue
                line = process.stdout.readline().decode(errors="replace").rstrip("\n")
                if line.startswith("begin"):
                    current, begun, used = line, time.perf_counter(), cpu_seconds(process.pid)
                elif line.startswith("end"):
                    _, memory, outcome = line.split(" ", 2)
                    peak, slowest = max(peak, int(memory)), max(slowest, cpu_seconds(process.pid) - used)
                    outcomes[outcome if outcome in RIGHT else "wrong"] += 1
                    if outcome not in RIGHT:
                        wrong.append(f"{outcome}: {current}")
                    first, current = first + 1, ""
                elif not line:
                    if process.wait() != 0 or first < end:
                        outcomes["crashed"] += 1
                        wrong.append(f"crashed with {process.returncode}: {current}")
                        first += 1
                    alive = False
    return outcomes, wrong, peak, slowest


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--number", type=int, default=10000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--megabytes", type=int, default=4000)
    parser.add_argument("--megapixels", type=float, default=200)
    parser.add_argument("--child", action="store_true")
    given = parser.parse_args()
    if given.child:
        child(given.first, given.first + given.number, given.megabytes)
        return
    os.environ["VISAGIST_MAX_MEGAPIXELS"] = str(given.megapixels)
    started = time.perf_counter()
    limits = ["--megabytes", str(given.megabytes)]
    outcomes, wrong, peak, slowest = watched(given.first, given.first + given.number, given.seconds, limits)
    took = time.perf_counter() - started
    facts = {"number": given.number, **outcomes, "peak MiB": peak, "slowest s": round(slowest, 2), "seconds": round(took)}
    print(json.dumps({**facts, "wrong": wrong}, ensure_ascii=False))
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
