"""The studio in a real browser: Chromium opens a photograph, drags, compares, downloads, and is told what is wrong."""

from __future__ import annotations

import base64
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from portraits import photograph, portrait_photo
from servers import Server, decoded, encoded, running

from visagist.photos.photo import read_photo
from visagist.photos.provenance import GENERATED, read_xmp

pytestmark = pytest.mark.slow
MODELS = ("ifcvae-gan-factored-64", "introvac-eyefacial-64")
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
PATIENCE = 60_000


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running("--studio", models=MODELS) as started:
        yield started


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("photos") / "portrait.png"
    path.write_bytes(encoded(portrait_photo()[0]))
    return path


@pytest.fixture
def page_at(server: Server, browser) -> Iterator[Callable]:
    """A page of the studio; it fails where the browser reports an error, or asks anybody else."""
    contexts, errors = [], []

    def open_page(address: str = "/", **options):
        context = browser.new_context(reduced_motion="reduce", accept_downloads=True, **options)
        contexts.append(context)
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("request", lambda request: errors.extend([] if is_own(request.url) else [request.url]))
        page.goto(server.address + address)
        page.wait_for_selector("body[data-ready]")
        return page

    def is_own(url: str) -> bool:
        return url.startswith((server.address, "data:", "blob:"))

    yield open_page
    for context in contexts:
        context.close()
    assert errors == []


def choose(page, path: Path) -> None:
    page.set_input_files("#file", path)
    until(page, "document.getElementById('status').textContent.includes('found')")


def until(page, expression: str) -> None:
    """Wait until this is so; the page's own policy forbids it to evaluate text, as Playwright's waiting does."""
    end = time.monotonic() + PATIENCE / 1000
    while not page.evaluate(expression):
        assert time.monotonic() < end, expression
        page.wait_for_timeout(50)


def shown(page) -> int:
    return int(page.evaluate("document.getElementById('stage').dataset.shown ?? '0'"))


def pixels(page) -> np.ndarray:
    """What the canvas of the edited photograph holds."""
    page.wait_for_timeout(150)
    address = page.evaluate("document.getElementById('canvas').toDataURL()")
    return decoded(base64.b64decode(address.partition(",")[2])).astype(int)


def press(page, slider: str, key: str) -> None:
    """Move a slider by the keyboard, and wait until the picture and what is read of it have followed."""
    before = shown(page)
    page.focus(f"#slider-{slider}")
    page.keyboard.press(key)
    until(page, f"Number(document.getElementById('stage').dataset.shown) > {before}")
    page.wait_for_selector("#reads .also")


def saved(download: AbstractContextManager, page, click: str, folder: Path) -> Path:
    with download as info:
        page.click(click)
    path = folder / info.value.suggested_filename
    info.value.save_as(path)
    return path


def test_a_photograph_is_opened_edited_compared_and_downloaded(page_at: Callable, photo: Path, tmp_path: Path) -> None:
    page = page_at()
    assert page.is_visible("text=Use pictures of yourself, or of people who have agreed.")
    choose(page, photo)
    assert page.locator(".face").count() == 1
    before = pixels(page)
    assert page.is_disabled("#download")
    press(page, "Eyeglasses", "End")
    after = pixels(page)
    assert np.abs(after - before).max() > 20
    assert "Eyeglasses" in page.url
    assert "judge-64-b" in page.inner_text("#reads-by")
    assert "Glasses" in page.inner_text("#reads .read")

    page.keyboard.down("c")
    assert np.abs(pixels(page) - before).mean() < 0.5
    page.keyboard.up("c")
    page.click("#wipe")
    page.keyboard.press("End")
    assert page.get_attribute("#wiper", "aria-valuenow") == "100"
    assert np.abs(pixels(page) - before).mean() < 0.5
    page.click("#wipe")
    assert page.evaluate("document.getElementById('stage').classList.contains('quiet')")  # no outline over the edit

    file = saved(page.expect_download(), page, "#download", tmp_path)
    assert file.name == "portrait-edited.png"
    assert read_xmp(read_photo(file.read_bytes()).metadata.xmp).steps[0].settings == "Eyeglasses=1"
    difference = decoded(file.read_bytes()).astype(int) - decoded(photo.read_bytes())
    assert np.abs(difference).max() > 20
    page.click("#save-menu summary")
    strip = saved(page.expect_download(), page, '[data-export="strip"]', tmp_path)
    height, width = decoded(strip.read_bytes()).shape[:2]
    assert width > 3 * height

    page.keyboard.press("Control+z")
    page.wait_for_selector("#download:disabled")
    assert np.abs(pixels(page) - before).mean() < 0.5
    page.keyboard.press("Control+Shift+Z")
    page.wait_for_selector("#download:enabled")


def test_a_slider_that_is_dragged_edits_while_it_moves(page_at: Callable, photo: Path) -> None:
    page = page_at()
    choose(page, photo)
    box = page.locator("#slider-Smiling").bounding_box()
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] / 2, middle)
    page.mouse.down()
    start = shown(page)
    for share in (0.4, 0.3, 0.2, 0.05):
        page.mouse.move(box["x"] + box["width"] * share, middle, steps=3)
        page.wait_for_timeout(120)
    until(page, f"Number(document.getElementById('stage').dataset.shown) > {start}")
    assert page.is_hidden("#reads .read")  # nothing is judged before the slider rests
    page.mouse.up()
    page.wait_for_selector("#reads .read")
    assert page.locator("#undo").is_enabled()
    page.click("#undo")  # the whole movement is one step back
    assert page.input_value("#slider-Smiling") == "0"


def test_views_zoom_and_settings_in_the_address(page_at: Callable, photo: Path) -> None:
    page = page_at("/#mode=render&all=Smiling%3D-1")
    choose(page, photo)
    page.wait_for_selector("#reads .read")
    assert page.input_value("#slider-Smiling") == "-1"
    assert page.is_checked('input[name="mode"][value="render"]')
    picture = pixels(page)
    for view in ("residual", "heat"):
        before = shown(page)
        page.click(f'[data-view="{view}"]')
        until(page, f"Number(document.getElementById('stage').dataset.shown) > {before}")
        assert np.abs(pixels(page) - picture).mean() > 10
    page.focus("#stage")
    page.keyboard.press("+")
    until(page, "document.getElementById('zoom-level').textContent === '150 %'")
    page.keyboard.press("0")
    until(page, "document.getElementById('zoom-level').textContent === '100 %'")


def test_what_is_wrong_is_said_where_it_happens(page_at: Callable, server: Server, photo: Path, tmp_path: Path) -> None:
    page = page_at()
    wrong = tmp_path / "notes.png"
    wrong.write_bytes(b"no picture at all")
    page.set_input_files("#file", wrong)
    page.wait_for_selector("#welcome-notice:has-text('no picture')")
    empty = tmp_path / "sky.png"
    empty.write_bytes(encoded(photograph((300, 200))))
    page.set_input_files("#file", empty)
    page.wait_for_selector("#notice:has-text('No face was found')")
    assert page.is_disabled("#slider-Smiling")
    choose(page, photo)
    assert page.is_hidden("#notice")
    opened = next(line for line in reversed(server.lines) if "/studio/photographs" in line)
    assert "portrait.png" not in opened
    page.evaluate("performance.clearResourceTimings()")
    press(page, "Smiling", "Home")
    name = page.evaluate("performance.getEntriesByType('resource').at(-1).name")
    server.client.delete(name.rsplit("/", 1)[0])  # as if the server had let the photograph go
    press(page, "Eyeglasses", "End")
    assert page.is_hidden("#notice")


def test_many_files_and_faces_of_nobody(page_at: Callable, photo: Path, tmp_path: Path) -> None:
    page = page_at("/#all=Eyeglasses%3D1")
    page.click("#tab-many")
    other = tmp_path / "sky.png"
    other.write_bytes(encoded(photograph((300, 200))))
    page.set_input_files("#files", [photo, other])
    page.wait_for_selector("#many-download:enabled")
    assert "1 of 2 edited" in page.inner_text("#many-count")
    assert "not edited" in page.inner_text("#many-list")
    assert "No face" in page.inner_text("#many-list")
    archive = saved(page.expect_download(), page, "#many-download", tmp_path)
    shutil.unpack_archive(archive, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["portrait-edited.png"]

    page.click("#tab-new")
    page.wait_for_selector(".new-grid button")
    assert page.input_value("#new-model") == MODELS[1]  # its random faces are the clearest
    page.locator(".new-grid button").nth(0).click()
    page.click("#new-alike")
    page.wait_for_selector("#new-actions", state="hidden")
    page.locator(".new-grid button").nth(1).click()
    page.locator(".new-grid button").nth(2).click()
    page.click("#new-between")
    until(page, "document.querySelectorAll('.new-grid button').length === 12")
    page.locator(".new-grid button").nth(5).click()
    page.click("#new-edit")
    until(page, "document.getElementById('status').textContent.includes('found')")
    page.wait_for_selector("#download:enabled")
    painted = saved(page.expect_download(), page, "#download", tmp_path)
    assert read_xmp(read_photo(painted.read_bytes()).metadata.xmp).source_type == GENERATED


@pytest.mark.parametrize(
    "options", [{"viewport": {"width": 1280, "height": 800}, "color_scheme": "light"}, {**PHONE, "color_scheme": "dark"}],
    ids=["desktop, light", "phone, dark"],
)  # fmt: skip
def test_the_page_fits_and_has_no_violations_of_accessibility(page_at: Callable, photo: Path, options: dict) -> None:
    source = resources.files("axe_playwright_python").joinpath("axe.min.js").read_text()
    page = page_at("/#all=Smiling%3D-1", bypass_csp=True, **options)
    page.evaluate(source)

    def check() -> None:
        found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        assert [(v["id"], [node["html"] for node in v["nodes"]]) for v in found["violations"]] == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")

    assert page.get_attribute("html", "data-theme") == options["color_scheme"]
    check()
    choose(page, photo)
    page.wait_for_selector("#reads .read")
    page.click("#options summary")
    page.click("#wipe")
    check()
    page.click("#theme")
    check()
    page.click("#help")
    check()
    page.click("#help-close")
    page.click("#tab-many")
    check()
