"""All benchmarks of visagist, or some, with ratios of neighbours.

    python benchmarks/run.py                              everything: about 12 minutes on two idle cores
    python benchmarks/run.py --only step pythae           some parts
    python benchmarks/run.py --quick                      everything at tiny sizes: does it run? Its figures mean nothing
    python benchmarks/run.py --rounds 15 --threads 2 --json speed.json

Parts: step (the engine against hand-written loops and Lightning Fabric), pythae (VAE and VAE/GAN against pythae), data
(loading and packing), edit (one edit, and batches, by several runtimes), evaluate (seconds of each family of an evaluation),
drawn (drawn faces a second). What is not installed is skipped, with the reason: benchmarks/requirements.txt names it.

Contestants alternate in one process in an order that turns, so another load on the machine slows all alike; a ratio is that
of two neighbours in one round, its spread the quartiles over rounds. Seconds and images a second mean something on an idle
machine alone: the load average at the start and at the end says whether it was. The table goes to stderr, JSON to stdout.
The exit status is 1 where something wanted was not reached, never with --quick.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import json
import sys
import time
from pathlib import Path
from typing import Any

import torch
from suite import machine, table
from suite.timing import Given

from visagist.training.distributed import pick_device

PARTS = {
    "step": "suite.step",
    "pythae": "suite.pythae_library",
    "data": "suite.data",
    "edit": "suite.edit",
    "evaluate": "suite.evaluate",
    "drawn": "suite.drawn",
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=PARTS, metavar="NAME", help=f"some of {', '.join(PARTS)}")
    parser.add_argument("--quick", action="store_true", help="tiny networks, few rounds: only to see that all runs")
    parser.add_argument("--rounds", type=int, help="of every part; by default each part's own")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="of torch")
    parser.add_argument("--device", default="cpu", help="cpu or cuda, for step and pythae")
    parser.add_argument("--json", type=Path, metavar="OUT", help="also write the JSON to this file")
    given = parser.parse_args()
    if given.rounds is not None and given.rounds < 1:
        parser.error(f"--rounds is {given.rounds}: at least 1")
    torch.set_num_threads(given.threads)
    device = pick_device(given.device)
    found: dict[str, Any] = {
        "command": " ".join(["python", *sys.argv]),
        "quick": given.quick,
        "machine": machine.described(device),
        "load_average": {"start": machine.load_average()},
        "parts": {},
    }
    missed: list[str] = []
    for name in given.only or PARTS:
        part = measured(name, Given(given.quick, given.rounds, device))
        found["parts"][name] = part
        print("\n".join(table.lines(name, part)), file=sys.stderr, flush=True)
        missed += [f"{name}: {line}" for line in table.short(part)]
    found["load_average"]["end"] = machine.load_average()
    text = json.dumps(found, indent=1)
    print(text)
    if given.json:
        given.json.write_text(text + "\n")
    print(f"\nload average {found['load_average']}", file=sys.stderr)
    if missed:
        print("\n".join(["not reached:", *(f"  {line}" for line in missed)]), file=sys.stderr)
    return 1 if missed else 0


def measured(name: str, given: Given) -> dict[str, Any]:
    began = time.perf_counter()
    part = dataclasses.asdict(importlib.import_module(PARTS[name]).run(given))
    if given.quick:  # what is wanted is wanted of real sizes
        for row in (row for group in part["groups"] for row in [*group["ratios"], *group["figures"]]):
            for key in ("at_least", "at_most", "reached"):
                row.pop(key, None)
    return {**part, "seconds": time.perf_counter() - began}


if __name__ == "__main__":
    sys.exit(main())
