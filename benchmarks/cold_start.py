"""How long a person waits for `visagist`: seconds of the processor, and by the clock, of commands that start cold.

python benchmarks/cold_start.py [--repeat 3] prints the least of some runs of each; the clock counts on an idle machine.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from importlib.resources import files
from pathlib import Path

COMMANDS = {
    "one photograph": ("edit", "ME", "--set", "Smiling=-1", "--out", "OUT", "--overwrite"),
    "a slip in edit": ("edit", "ME", "--set", "Smil=1", "--out", "OUT"),
    "a slip in train": ("train", "ifcvaegan", "--images", "1", "--out", "OUT"),
    "no such command": ("edti",),
    "--help": ("--help",),
    "edit --help": ("edit", "--help"),
    "attributes": ("attributes",),
    "a model": ("inspect", "ifcvae-gan-factored-64"),
}


def run(words: tuple[str, ...]) -> tuple[float, float]:
    """Seconds of the processor and by the clock of one command, with its children."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([sys.executable, "-m", "visagist", *words], capture_output=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=3)
    repeat = parser.parse_args().repeat
    with tempfile.TemporaryDirectory() as folder:
        me = Path(folder) / "me.png"
        me.write_bytes(files("visagist").joinpath("demo_face.png").read_bytes())
        paths = {"ME": str(me), "OUT": str(Path(folder) / "out.png")}
        print(f"{'command':<18}{'processor':>10}{'clock':>8}")
        for name, words in COMMANDS.items():
            runs = [run(tuple(paths.get(word, word) for word in words)) for _ in range(repeat)]
            print(f"{name:<18}{min(cpu for cpu, _ in runs):>9.2f}s{min(clock for _, clock in runs):>7.2f}s")


if __name__ == "__main__":
    main()
