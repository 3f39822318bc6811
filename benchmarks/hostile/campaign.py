"""Hostile input for every reader and command, made from a number, each case in a forked child of a warm process.

    python benchmarks/hostile                            100 cases of each grammar
    python benchmarks/hostile --grammar png gif --cases 5000 --seed 3
    python benchmarks/hostile --seconds 3600 --out found    all grammars by turns for an hour
    python benchmarks/hostile --grammar png --case 17    that case again, with its traceback

A case is right if the reader or command takes it, or refuses it in one line, within the limits. What is wrong: a crash (a
traceback, a signal, another exit status), a hang, more memory than allowed, code that was run or a connection that was made,
a file outside --out that changed, a stranger's file inside --out that changed, a file of the person's that was read because
the input named it, and raw control characters on the terminal. Each such case is saved in --out with its seed.
The table goes to stderr, JSON to stdout; the exit status is 1 where something was wrong.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shutil
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from hostile import films, forks, models, options, pictures, readers, tables, trees
from hostile.ground import CANARY, Grammar, Ground, make_work_folder

GRAMMARS = {one.name: one for module in (pictures, tables, models, films, options) for one in module.GRAMMARS}
LIMITS = forks.Limits(seconds=10, wall_seconds=30, megabytes=2048, file_megabytes=512)
MEGAPIXELS = "20"
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_SAVED_BYTES = 32 << 20


@dataclass
class Finding:
    """A case that went wrong: its kinds of fault, and what is said of them."""

    grammar: str
    case: int
    kinds: list[str]
    said: str
    details: str = field(repr=False, default="")

    @property
    def signature(self) -> str:
        """Alike for cases with, as it seems, one cause."""
        return f"{self.kinds} {re.sub(r'[0-9]+|/[^ :]*', '#', self.said)[:120]}"


@dataclass
class Row:
    """What came of the cases of a grammar."""

    grammar: str
    cases: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    peak: float = 0.0
    slowest: float = 0.0
    seconds: float = 0.0
    core_seconds: float = 0.0
    findings: list[Finding] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        numbers = {name: self.counts[name] for name in KINDS}
        return {"grammar": self.grammar, "cases": self.cases, **numbers, "peak_mib": round(self.peak),
                "slowest_s": round(self.slowest, 2), "per_s": rate(self.cases, self.seconds),
                "per_core_s": rate(self.cases, self.core_seconds)}  # fmt: skip


def rate(cases: int, seconds: float) -> float:
    return round(cases / max(1e-9, seconds), 1)


def core_seconds() -> float:
    """What this process and its ended children have had of processors."""
    return sum(os.times()[:4])


FAULTS = (forks.CRASH, forks.HANG, forks.MEMORY, "files lost", "opened", "ran", "control characters")
KINDS = (forks.OK, forks.REFUSED, *FAULTS)


def main(arguments: list[str] | None = None) -> int:
    given = _parse(arguments)
    work = make_work_folder()
    try:
        os.environ.update(VISAGIST_CACHE=str(work / "cache"), VISAGIST_MAX_MEGAPIXELS=MEGAPIXELS, TMPDIR=str(work))
        forks.warm(lambda: readers.warm_everything(work / "templates"))
        readers.prepare_parent()
        for megabytes in (64, 100):
            pictures.packed_zeros(megabytes)
        baseline = forks.run_forked(lambda _: None, LIMITS).megabytes
        names = given.grammar or list(GRAMMARS)
        if given.case is not None:
            return _replay(names[0], given, work)
        began = time.monotonic()
        rows = run_campaign(names, given, work, baseline)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    found = [finding for row in rows for finding in row.findings]
    facts = {"seed": given.seed, "seconds": round(time.monotonic() - began, 1), "grammars": [row.as_json() for row in rows]}
    facts["findings"] = [{"grammar": f.grammar, "case": f.case, "kinds": f.kinds, "said": f.said} for f in found]
    print(json.dumps(facts, indent=1))
    print("\n".join(draw_table(rows)), file=sys.stderr)
    return 1 if found else 0


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--grammar", nargs="+", choices=GRAMMARS, metavar="NAME", help=f"some of {', '.join(GRAMMARS)}")
    parser.add_argument("--cases", type=int, default=100, help="of each grammar")
    parser.add_argument("--first", type=int, default=0, help="the number of the first case")
    parser.add_argument("--seconds", type=float, help="go on with further cases for so long, whatever --cases says")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="folder for the cases that went wrong")
    parser.add_argument("--case", type=int, help="run this case of --grammar alone and say all")
    given = parser.parse_args(arguments)
    if given.case is not None and len(given.grammar or ()) != 1:
        parser.error("--case needs one --grammar")
    return given


def run_campaign(names: list[str], given: argparse.Namespace, work: Path, baseline: float) -> list[Row]:
    """The cases of these grammars by turns, so that an end by --seconds has some of each."""
    rows = {name: Row(name) for name in names}
    deadline = None if given.seconds is None else time.monotonic() + given.seconds
    number = given.first
    while number < given.first + given.cases if deadline is None else time.monotonic() < deadline:
        for name in names:
            began, used = time.monotonic(), core_seconds()
            ended, finding, ground = run_case(GRAMMARS[name], number, given.seed, work)
            _count(rows[name], ended, finding, baseline)
            if finding and given.out:
                _save(given, finding, ground, rows[name])
            _remove(ground.folder)
            rows[name].seconds += time.monotonic() - began
            rows[name].core_seconds += core_seconds() - used
        number += 1
    return list(rows.values())


def run_case(grammar: Grammar, number: int, seed: int, work: Path) -> tuple[forks.Ended, Finding | None, Ground]:
    """One case, a function of the grammar's name, the seed and the number."""
    draw, ground = Random(f"{grammar.name} {seed} {number}"), Ground(work / "case", work / "templates")
    _remove(ground.folder)

    def prepare() -> dict[str, Any]:
        ground.lay()
        payload = grammar.build(draw, ground)
        before = {"tree": trees.describe_tree(ground.folder, frozenset({"out"})), "kept": _kept(grammar, ground)}
        trees.mark_unread(ground.secret)
        return {"payload": payload, **before}

    def use(prepared: dict[str, Any]) -> None:
        os.chdir(ground.given)
        grammar.use(ground, prepared["payload"])

    ended = forks.run_forked(use, LIMITS, prepare, refusals=readers.REFUSALS)
    kinds, said = [ended.verdict] if ended.verdict in FAULTS else [], [ended.said] if ended.verdict in FAULTS else []
    if ended.prepared is None:
        kinds, said = [forks.CRASH], [f"the case could not be made: {ended.said} {ended.details[-300:]}"]
    else:
        for kind, lines in _violations(grammar, ground, ended):
            kinds.append(kind)
            said += lines[:2]
    finding = Finding(grammar.name, number, kinds, "; ".join(said), ended.details) if kinds else None
    return ended, finding, ground


def _kept(grammar: Grammar, ground: Ground) -> dict[str, str]:
    """The stranger's files among the results."""
    if not grammar.kept:
        return {}
    there = trees.describe_tree(ground.out)
    return {name: told for name, told in there.items() if grammar.kept in name}


def _violations(grammar: Grammar, ground: Ground, ended: forks.Ended) -> list[tuple[str, list[str]]]:
    found = []
    opened = trees.list_read(ground.secret) if grammar.secrets else []
    if opened or (grammar.secrets and CANARY in ended.output):
        found.append(("opened", [f"read secret/{name}" for name in opened] or ["printed a secret file"]))
    lost = trees.list_changes(ended.prepared["tree"], trees.describe_tree(ground.folder, frozenset({"out"})))
    if grammar.adds:
        lost = [line for line in lost if not line.endswith(" appeared")]
    before, after = ended.prepared["kept"], _kept(grammar, ground)
    lost += [f"out/{name} is gone or changed" for name in before if after.get(name) != before[name]]
    if lost:
        found.append(("files lost", lost))
    if ended.events:
        found.append(("ran", ended.events))
    if ended.status is not None and _CONTROL.search(_without_progress(ended.output)):
        (line, *_) = [line for line in _without_progress(ended.output).split("\n") if _CONTROL.search(line)]
        found.append(("control characters", [repr(line)[:150]]))
    return found


def _without_progress(output: str) -> str:
    """What was printed, with the carriage returns of Windows line ends taken as line ends."""
    return output.replace("\r\n", "\n")


def _count(row: Row, ended: forks.Ended, finding: Finding | None, baseline: float) -> None:
    row.cases += 1
    row.peak = max(row.peak, ended.megabytes - baseline)
    row.slowest = max(row.slowest, ended.seconds)
    for kind in finding.kinds if finding else [ended.verdict]:
        row.counts[kind] += 1
    if finding:
        row.findings.append(finding)


def _save(given: argparse.Namespace, finding: Finding, ground: Ground, row: Row) -> None:
    """Keep the input of a case and how to run it again; of many with one cause only the first."""
    if any(other.signature == finding.signature for other in row.findings[:-1]):
        return
    folder = given.out / f"{finding.grammar}-{given.seed}-{finding.case}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    again = f"python benchmarks/hostile --grammar {finding.grammar} --seed {given.seed} --case {finding.case}"
    told = {"again": again, "kinds": finding.kinds, "said": finding.said, "details": finding.details}
    (folder / "case.json").write_text(json.dumps(told, indent=1))
    files = [path for path in ground.given.rglob("*") if path.is_file() and not path.is_symlink()]
    for path in files:
        if path.stat().st_size < _SAVED_BYTES:
            place = folder / path.relative_to(ground.folder)
            place.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(OSError):  # names that this file system cannot hold
                shutil.copyfile(path, place)


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)


def _replay(name: str, given: argparse.Namespace, work: Path) -> int:
    ended, finding, ground = run_case(GRAMMARS[name], given.case, given.seed, work)
    print(f"{name} {given.seed} {given.case}: {ended.verdict} {ended.said}\n{ended.details}\n{ended.output}".rstrip())
    if finding:
        print(f"wrong: {', '.join(finding.kinds)}: {finding.said}")
    if given.out:
        shutil.copytree(ground.folder, given.out / f"{name}-{given.seed}-{given.case}", symlinks=True, dirs_exist_ok=True)
    return 1 if finding else 0


def draw_table(rows: list[Row]) -> list[str]:
    """The table for a person, and below it each finding once."""
    records = [row.as_json() for row in rows]
    total: dict[str, Any] = {"grammar": "all", **{k: sum(r[k] for r in records) for k in ("cases", *KINDS)}}
    total |= {k: max((r[k] for r in records), default=0) for k in ("peak_mib", "slowest_s")}
    total["per_s"] = rate(total["cases"], sum(row.seconds for row in rows))
    total["per_core_s"] = rate(total["cases"], sum(row.core_seconds for row in rows))
    records.append(total)
    widths = {key: max(len(key), *(len(str(record[key])) for record in records)) for key in total}
    lines = ["  ".join(key.ljust(width) for key, width in widths.items())]
    lines += ["  ".join(str(record[key]).ljust(width) for key, width in widths.items()) for record in records]
    for row in rows:
        causes: dict[str, list[Finding]] = {}
        for finding in row.findings:
            causes.setdefault(finding.signature, []).append(finding)
        for alike in causes.values():
            first = alike[0]
            lines.append(f"{first.grammar} case {first.case} ({len(alike)}×): {', '.join(first.kinds)}: {first.said[:300]}")
    return lines
