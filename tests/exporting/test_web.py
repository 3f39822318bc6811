"""`visagist export --format web`: the page edits a photograph in Chromium to Python's pixels, offline, and asks nobody."""

from __future__ import annotations

import functools
import json
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from portraits import POINTS, portrait_photo

from visagist.editing.editor import Editor
from visagist.editing.photo_edit import apply_changes, compute_changes
from visagist.errors import VisagistError
from visagist.exporting.web import export_web
from visagist.exporting.web_runtime import find_runtime
from visagist.faces.detection import detect, face_at
from visagist.photos.photo import read_photo
from visagist.photos.provenance import EDITED, read_xmp
from visagist.progress import Messages

MODEL = "vae-wgan-celeba-64"  # the refiner knows some of its attributes
PATIENCE = 120_000


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    try:
        find_runtime(None, Messages())
    except VisagistError as error:
        pytest.skip(f"needs onnxruntime-web, which scripts/install dev gets where npm is: {error}")
    folder = tmp_path_factory.mktemp("web") / "site"
    written = export_web(MODEL, folder, compared=2)
    assert written.download <= 20e6
    return folder


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(site)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def page(address: str, browser: Any) -> Iterator:
    """The page, loaded; it fails where the browser reports an error, or anybody else is asked."""
    faults: list[str] = []
    context = browser.new_context(reduced_motion="reduce", accept_downloads=True)
    context.set_default_timeout(PATIENCE)
    opened = context.new_page()
    opened.on("pageerror", lambda error: faults.append(str(error)))
    context.on("request", lambda asked: faults.extend([] if asked.url.startswith((address, "blob:")) else [asked.url]))
    opened.goto(address + "?threads=1")
    opened.wait_for_selector("body[data-ready=wasm]")
    yield opened
    context.close()
    assert faults == []


def open_photo(page, path: Path, box: tuple[int, ...]) -> None:
    """Open a photograph; where no finder is in the site, draw a box around its face."""
    before = page.evaluate("Number(document.body.dataset.opened ?? 0)")
    page.set_input_files("#file", path)
    page.wait_for_function("before => Number(document.body.dataset.opened) > before", arg=before)
    if page.locator(".face").count():
        return
    left, top, right, bottom = box
    with Image.open(path) as picture:
        width, height = picture.size
    stage = page.locator("#stage").bounding_box()
    zoom = min(stage["width"] / width, stage["height"] / height)
    x, y = stage["x"] + (stage["width"] - width * zoom) / 2, stage["y"] + (stage["height"] - height * zoom) / 2
    page.mouse.move(x + left * zoom, y + top * zoom)
    page.mouse.down()
    page.mouse.move(x + right * zoom, y + bottom * zoom)
    page.mouse.up()
    page.wait_for_selector(".face")


def move(page, name: str, value: float) -> None:
    before = page.evaluate("Number(document.getElementById('stage').dataset.shown ?? 0)")
    script = "([id, to]) => { const s = document.getElementById(id); s.value = to; s.dispatchEvent(new Event('input')); }"
    page.evaluate(script, [f"slider-{name}", value])
    page.wait_for_function("n => Number(document.getElementById('stage').dataset.shown) > n", arg=before)


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray]:
    pixels = portrait_photo((420, 360), 1.5, 10)[0]
    path = tmp_path_factory.mktemp("photos") / "portrait.png"
    Image.fromarray(pixels).save(path)
    return path, pixels


@pytest.mark.slow
def test_a_photograph_is_edited_to_the_pixels_of_python_and_says_so(page, photo, tmp_path: Path) -> None:
    path, pixels = photo
    known = detect(pixels)[0]
    open_photo(page, path, known.box)
    points = np.array(json.loads(page.locator(".face").first.get_attribute("data-points")), np.float32)
    assert np.abs(points - known.landmarks).max() < 0.1 * known.inter_ocular
    move(page, "Smiling", -1)
    move(page, "Blond_Hair", 0.8)
    with page.expect_download() as started:
        page.click("#download")
    started.value.save_as(tmp_path / "edited.png")
    editor = Editor.from_pretrained(MODEL, "cpu", backend="onnx")
    faces, expected = [face_at(points, 1.0, pixels.shape[1::-1])], pixels
    for strengths, mode in (({"Smiling": -1.0}, "photo"), ({"Blond_Hair": 0.8}, "detail")):
        expected = apply_changes(expected, compute_changes(editor, expected, faces, strengths, mode))
    with Image.open(tmp_path / "edited.png") as picture:
        edited = np.asarray(picture.convert("RGB"), int)
    assert np.abs(edited - pixels).max() > 40
    assert np.abs(edited - expected).max() <= 2
    said = read_xmp(read_photo(tmp_path / "edited.png").metadata.xmp)
    assert said.source_type == EDITED
    assert said.steps[-1].settings == "Smiling=-1, Blond_Hair=0.8"
    assert said.steps[-1].backend == "onnxruntime-web, wasm"


DESCRIBE = """async ([faces, width, height]) => {
  const { Finding } = await import("./finding.js");
  const finding = new Finding((await (await fetch("site.json")).json()).finding, null, null);
  return faces.map((face) => finding.describe(face, { width, height })).map(({ warnings, unfit }) => [warnings, unfit]);
}"""


def test_what_is_doubted_and_refused_of_a_face_is_said_in_the_words_of_python(page) -> None:
    generator, width, height = np.random.default_rng(0), 300, 200
    faces = []
    for degrees in (0, 60, 150, -170):
        for scale in (0.2, 1.0, 2.5):
            turned = POINTS * [generator.uniform(0.05, 1), 1] + generator.normal(0, 6, POINTS.shape)
            place = 140 + 90j + scale * np.exp(1j * np.radians(degrees)) * ((turned - turned.mean(0)) @ [1, 1j])
            points = np.stack([place.real, place.imag], 1).astype(np.float32)
            hidden, score = generator.uniform(0, 0.7), generator.uniform(0.5, 1)
            faces.append({"points": points.tolist(), "hidden": hidden, "score": score})
    known = [face_at(np.array(f["points"], np.float32), f["score"], (width, height), f["hidden"]) for f in faces]
    expected = [[list(face.warnings), list(face.unfit)] for face in known]
    assert sum(bool(unfit) for _, unfit in expected) > 4
    assert page.evaluate(DESCRIBE, [faces, width, height]) == expected


PROFILES_ALONE = """async () => {
  const [name] = await caches.keys(), cache = await caches.open(name), address = new URL("site.json", location).href;
  const facts = await (await cache.match(address)).json();
  facts.finding.in_profile = -1;
  await cache.put(address, new Response(JSON.stringify(facts)));
}"""


def check_page(page) -> None:
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    assert [(v["id"], [node["html"] for node in v["nodes"]]) for v in found["violations"]] == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.slow
def test_offline_on_a_phone_a_face_that_an_edit_fails_on_is_left_alone_until_it_is_asked_for(page, photo) -> None:
    axe = resources.files("axe_playwright_python").joinpath("axe.min.js").read_text()
    page.evaluate(axe)
    check_page(page)  # at the width of a desk, with a photograph that is edited
    page.evaluate(PROFILES_ALONE)  # every face is taken for one in profile
    page.context.set_offline(True)
    page.set_viewport_size({"width": 390, "height": 844})
    page.emulate_media(color_scheme="dark")
    page.reload()
    page.wait_for_selector("body[data-ready=wasm]")
    assert page.get_attribute("html", "data-theme") == "dark"
    page.evaluate(axe)
    check_page(page)
    open_photo(page, photo[0], detect(photo[1])[0].box)
    assert "Face 1 is in profile: turned by" in page.inner_text("#notice")
    assert page.is_disabled("#slider-Eyeglasses")
    check_page(page)
    page.click("#notice button")
    move(page, "Eyeglasses", 1)
    assert page.is_enabled("#download")
    check_page(page)
    page.context.set_offline(False)


def test_what_is_there_is_left_alone_and_a_runtime_is_checked(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(VisagistError, match="did not write it"):
        export_web(MODEL, tmp_path)
    with pytest.raises(VisagistError, match=r"does not hold onnxruntime-web: --runtime npm"):
        export_web(MODEL, tmp_path / "site", runtime=tmp_path)
    (tmp_path / "ort.wasm.min.mjs").write_text("another")
    with pytest.raises(VisagistError, match=r"is not that of onnxruntime-web 1\.22\.0"):
        export_web(MODEL, tmp_path / "site", runtime=tmp_path)
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["notes.txt", "ort.wasm.min.mjs"]


def test_an_earlier_page_is_replaced_unless_somebody_changed_it(site: Path) -> None:
    (site / "style.css").write_text("/* mine */")
    with pytest.raises(VisagistError, match="did not write it"):
        export_web(MODEL, site)
