"""How long an exported page takes in Chromium: to load, to find faces, for a step of a slider.

    python benchmarks/web.py SITE [PHOTO] [--by wasm|webgpu] [--threads 1]

SITE is what `visagist export --format web` wrote. The photograph should show one face; without one it is a shipped portrait.
Of a step the wall clock says what a person waits, and the processors' time of the whole browser what it costs.
"""

from __future__ import annotations

import argparse
import functools
import os
import shutil
import threading
import time
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

WARM, STEPS = 4, 20
MOVE = "([id, to]) => { const s = document.getElementById(id); s.value = to; s.dispatchEvent(new Event('input')); }"


class Quiet(SimpleHTTPRequestHandler):
    """A server of files that says nothing."""

    def log_message(self, *_: object) -> None:
        pass


def processor_seconds() -> float:
    """What this process and all below it have had of the processors."""
    parents, spent = {}, {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(folder.name)], spent[int(folder.name)] = int(fields[1]), int(fields[11]) + int(fields[12])
    own = {os.getpid()}
    while more := {child for child, parent in parents.items() if parent in own} - own:
        own |= more
    return sum(spent.get(process, 0) for process in own) / os.sysconf("SC_CLK_TCK")


def step(page: Page, slider: str, value: float) -> float:
    """Move a slider; the milliseconds of the edit in the page's worker."""
    before = page.evaluate("Number(document.getElementById('stage').dataset.shown ?? 0)")
    page.evaluate(MOVE, [slider, value])
    page.wait_for_function("n => Number(document.getElementById('stage').dataset.shown) > n", arg=before)
    return float(page.evaluate("document.getElementById('stage').dataset.milliseconds"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("site", type=Path)
    parser.add_argument("photo", type=Path, nargs="?")
    parser.add_argument("--by", default="wasm")
    parser.add_argument("--threads", type=int, default=0)
    given = parser.parse_args()
    photo = given.photo or Path(str(resources.files("visagist").joinpath("server/page/example.jpg")))
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(given.site)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page()
        page.set_default_timeout(300_000)
        started = time.perf_counter()
        page.goto(f"http://127.0.0.1:{server.server_port}/?by={given.by}&threads={given.threads}")
        page.wait_for_selector("body[data-ready]")
        print(f"{page.inner_text('#by')}; loaded after {time.perf_counter() - started:.1f} s")
        started = time.perf_counter()
        page.set_input_files("#file", photo)
        page.wait_for_selector("body[data-opened]")
        print(f"{page.locator('.face').count()} faces after {1000 * (time.perf_counter() - started):.0f} ms")
        slider = str(page.locator("input[type=range]").first.get_attribute("id"))
        for number in range(WARM):
            step(page, slider, 1 - 0.1 * number)
        before = processor_seconds()
        times = sorted(step(page, slider, -1 + 0.05 * number) for number in range(STEPS))
        spent = 1000 * (processor_seconds() - before) / STEPS
        wall = f"median {times[STEPS // 2]:.0f} ms, least {times[0]:.0f} ms"
        print(f"a step of {slider}: {wall}; {spent:.0f} ms of processors")
        browser.close()


if __name__ == "__main__":
    main()
