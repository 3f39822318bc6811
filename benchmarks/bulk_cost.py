"""What a million and a billion pictures cost, reckoned from measured rates; prints the table of docs/scaling.md.

    python benchmarks/bulk_cost.py --photographs 5.9 --aligned 208 [--price 0.04] [--cores 1000]

The rates are pictures a second of a core, as `python benchmarks/bulk.py` prints them. With N pictures of B bytes, n in a tar
file, at r a second and core:

    core hours    N / 3600 r
    bytes         2 N B, read once and written once
    requests      N / n · (n B / 8 MiB + n B / 50 MiB + 28): ranges read, parts put, and 28 by which a shard is looked up,
                  its name listed, its output verified and its account entered and summed, as counted behind a proxy
"""

from __future__ import annotations

import argparse
import math

PHOTOGRAPH, FACE = (300_000, 1_000), (20_000, 10_000)  # bytes of a JPEG, and how many lie in a tar file
RANGE, PART, OTHERS = 8 << 20, 50 << 20, 28


def requests(number: float, size: int, together: int) -> float:
    return number / together * (math.ceil(together * size / RANGE) + math.ceil(together * size / PART) + OTHERS)


def spelled(value: float) -> str:
    """Two figures."""
    for unit, word in ((1e9, " billion"), (1e6, " million")):
        if value >= unit:
            return f"{float(f'{value / unit:.2g}'):g}{word}"
    rounded = float(f"{value:.2g}")
    return f"{rounded:g}" if rounded < 100 else f"{rounded:,.0f}".replace(",", " ")


def duration(hours: float) -> str:
    return f"{spelled(hours)} hours" if hours >= 1 else f"{spelled(hours * 60)} minutes"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photographs", type=float, required=True, help="of 1 024×1 024 a second and core")
    parser.add_argument("--aligned", type=float, required=True, help="faces of 178×218 a second and core")
    parser.add_argument("--price", type=float, default=0.04, help="of a core hour")
    parser.add_argument("--cores", type=int, default=1000)
    options = parser.parse_args()
    columns = [("a million photographs", 1e6, options.photographs, PHOTOGRAPH),
               ("a billion photographs", 1e9, options.photographs, PHOTOGRAPH),
               ("a billion aligned faces", 1e9, options.aligned, FACE)]  # fmt: skip
    hours = [number / 3600 / rate for _, number, rate, _ in columns]
    rows = [
        ("core hours", [spelled(h) for h in hours]),
        (f"on {spelled(options.cores)} cores", [duration(h / options.cores) for h in hours]),
        (f"cores, at {options.price:g} an hour", [spelled(h * options.price) for h in hours]),
        ("read and written", [f"{spelled(2 * number * size / 1e12)} TB" for _, number, _, (size, _) in columns]),
        ("requests to a bucket", [spelled(requests(number, *form)) for _, number, _, form in columns]),
    ]
    print(f"| | {' | '.join(name for name, *_ in columns)} |\n|---|---|---|---|")
    for name, cells in rows:
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
