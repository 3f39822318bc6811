"""What a running server answers: edits, faces, what is read of them, and the studio's own addresses."""

from __future__ import annotations

import base64
import io
import json
import struct
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from portraits import photograph, portrait, portrait_photo
from servers import MODEL, Server, decoded, encoded, error_of, running

from visagist.editing.editor import Editor
from visagist.photos.photo import read_photo
from visagist.photos.provenance import EDITED, GENERATED, read_xmp

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def temporary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("temporary")


@pytest.fixture(scope="module")
def server(temporary: Path) -> Iterator[Server]:
    with running("--studio", "--max-megapixels", "4", "--max-faces", "2", TMPDIR=str(temporary)) as started:
        yield started


@pytest.fixture(scope="module")
def editor() -> Editor:
    return Editor.from_pretrained(MODEL, "cpu")


@pytest.fixture(scope="module")
def photo() -> NDArray[np.uint8]:
    return portrait_photo()[0]


def test_an_edit_over_http_is_that_of_the_package(server: Server, editor: Editor, photo: NDArray[np.uint8]) -> None:
    response = server.post("/v1/edit", files={"picture": encoded(photo)}, data={"set": ["Smiling=-1", "No_Beard=-0.5"]})
    assert (response.status_code, response.headers["Content-Type"]) == (200, "image/png")
    assert (response.headers["X-Visagist-Model"], response.headers["X-Visagist-Faces"]) == (MODEL, "1")
    expected = editor.edit_photo(Image.fromarray(photo), mode="photo", Smiling=-1.0, No_Beard=-0.5)
    difference = np.abs(decoded(response.content).astype(int) - np.asarray(expected.image))
    assert difference.max() <= 1  # sums in another order, where faces pass the network together
    (step,) = read_xmp(read_photo(response.content).metadata.xmp).steps
    assert (step.model, step.settings, step.mode) == (MODEL, "Smiling=-1, No_Beard=-0.5", "photo")


def test_an_edit_as_json_holds_its_record_and_the_picture(server: Server, photo: NDArray[np.uint8]) -> None:
    body = {"picture": base64.b64encode(encoded(photo)).decode(), "set": {"Smiling": -1}, "format": "webp"}
    answer = server.post("/v1/edit", json=body, headers={"Accept": "application/json"}).json()
    assert (answer["model"], answer["outcome"], answer["faces"], answer["by"]) == (MODEL, "edited", 1, "judge-64-b")
    assert answer["after"]["Smiling"][0] < answer["before"]["Smiling"][0]
    read = read_photo(base64.b64decode(answer["picture"]))
    assert (read.format, read.size, read_xmp(read.metadata.xmp).source_type) == ("WEBP", photo.shape[1::-1], EDITED)


def test_faces_that_come_together_are_each_edited_as_asked(server: Server, editor: Editor) -> None:
    face = np.asarray(Image.fromarray(portrait()).resize((64, 64)))
    strengths = [round(-1 + i / 8, 3) for i in range(17)]
    data = encoded(face)

    def edit(strength: float) -> NDArray[np.uint8]:
        response = server.post("/v1/edit", files={"picture": data}, data={"set": f"Smiling={strength}"})
        assert response.status_code == 200, response.text
        return decoded(response.content)

    with ThreadPoolExecutor(8) as threads:
        results = list(threads.map(edit, strengths))
    for strength, result in zip(strengths, results):
        assert np.abs(result.astype(int) - editor.edit(face, Smiling=strength)).max() <= 1


def test_faces_and_what_is_read_of_them(server: Server, photo: NDArray[np.uint8]) -> None:
    found = server.post("/v1/faces", files={"picture": encoded(photo)}).json()
    (face,) = found["faces"]
    assert found["size"] == [360, 300]
    assert face["box"][0] < 180 < face["box"][2]
    read = server.post("/v1/classify", files={"picture": encoded(photo)}).json()
    assert (read["by"], len(read["faces"])) == ("judge-64-b", 1)
    assert 0 <= read["faces"][0]["scores"]["Smiling"] <= 1
    own = server.post("/v1/classify", files={"picture": encoded(photo)}, data={"model": MODEL}).json()
    assert (own["by"], set(own["faces"][0]["scores"])) == (MODEL, {"Smiling", "Eyeglasses", "No_Beard"})


def test_the_models_say_what_they_edit(server: Server) -> None:
    answer = server.get("/v1/models").json()
    (model,) = answer["models"]
    assert (model["name"], model["shipped"], answer["best"]["Smiling"]) == (MODEL, True, MODEL)
    assert {"name": "detail", "keeps_pixels": True} in answer["modes"]
    assert server.get("/readyz").status_code == 200


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ({"set": "Smling=1"}, "did you mean Smiling?"),
        ({"set": "Smiling=1", "mode": "detial"}, "did you mean detail?"),
        ({"set": "Smiling=1", "model": "/etc/passwd"}, "is served"),
        ({"set": "Smiling=1", "model": "hub:owner/name"}, "is served"),
        ({"set": "Smiling=1", "format": "exe"}, "written as .exe"),
        ({"set": "Smiling=1", "format": "../../x.png"}, "8 characters"),
        ({"set": "Smiling=1", "face": "3"}, "there is no face 3"),
    ],
)
def test_what_cannot_be_done_is_said(server: Server, photo: NDArray[np.uint8], values: dict[str, str], word: str) -> None:
    response = server.post("/v1/edit", files={"picture": encoded(photo)}, data=values)
    assert response.status_code == 422
    assert word in error_of(response)["message"]


def test_no_answer_waits_for_the_client_to_acknowledge_its_head(server: Server) -> None:
    times = []
    for _ in range(20):
        started = time.perf_counter()
        assert server.get("/healthz").status_code == 200
        times.append(time.perf_counter() - started)
    assert min(times[1:]) < 0.03  # 40 ms where the body is held back


def test_a_picture_without_a_face_is_told_apart(server: Server) -> None:
    response = server.post("/v1/edit", files={"picture": encoded(photograph((200, 150)))}, data={"set": "Smiling=1"})
    assert (response.status_code, error_of(response)["kind"]) == (422, "no_face")


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int) -> bytes:
    """A PNG of so many pixels, all black, in a few bytes."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(b"\0" * 100_000)), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def moving(frames: int) -> bytes:
    file = io.BytesIO()
    pictures = [Image.new("RGB", (40, 40), (i, 0, 0)) for i in range(frames)]
    pictures[0].save(file, "GIF", save_all=True, append_images=pictures[1:])
    return file.getvalue()


@pytest.mark.parametrize("path", ["/v1/edit", "/studio/photographs"])
@pytest.mark.parametrize(
    ("picture", "word"),
    [
        (png(60_000, 60_000), "megapixels"),
        (png(3000, 3000), "megapixels"),
        (png(1500, 1500), "truncated"),
        (encoded(portrait(), "JPEG")[:-400], "truncated"),
        (moving(3), "frames"),
    ],
    ids=["60000x60000", "9 megapixels", "bomb", "cut JPEG", "animation"],
)
def test_hostile_pictures_are_refused_at_once(server: Server, path: str, picture: bytes, word: str) -> None:
    values = {"set": "Smiling=1"} if path == "/v1/edit" else {}
    response = server.post(path, files={"picture": picture}, data=values)
    assert response.status_code == 422, response.text
    assert word in error_of(response)["message"]
    assert response.elapsed.total_seconds() < 2  # 0.05 on a machine with nothing else to do: benchmarks/serving.py


def open_in_studio(server: Server, picture: bytes) -> dict:
    response = server.post("/studio/photographs", files={"picture": picture})
    assert response.status_code == 200, response.text
    return response.json()


def picture_of(address: str) -> NDArray[np.uint8]:
    return decoded(base64.b64decode(address.partition(",")[2]))


def test_what_the_studio_shows_is_what_it_exports(server: Server, photo: NDArray[np.uint8]) -> None:
    opened = open_in_studio(server, encoded(photo))
    assert (opened["size"], opened["preview"], len(opened["faces"])) == ([360, 300], [360, 300], 1)
    steps = [{"face": 0, "set": {"Smiling": -1.0}}, {"face": "all", "set": {"Eyeglasses": 1.0}, "model": MODEL}]
    address = f"/studio/photographs/{opened['id']}"
    (part,) = server.post(f"{address}/preview", json={"steps": steps}).json()["parts"]
    left, top, right, bottom = part["box"]
    shown = photo.copy()
    shown[top:bottom, left:right] = picture_of(part["picture"])
    exported = server.post(f"{address}/export", json={"steps": steps, "format": "png"})
    assert exported.headers["X-Visagist-Suffix"] == ".png"
    edited = decoded(exported.content).astype(int)
    assert np.abs(edited - shown).mean() < 1.5  # the preview is a JPEG
    assert np.abs(edited - photo).max() > 20
    steps_said = read_xmp(read_photo(exported.content).metadata.xmp).steps
    assert [step.settings for step in steps_said] == ["Smiling=-1", "Eyeglasses=1"]
    read = server.post(f"{address}/judge", json={"steps": steps}).json()
    (face,) = read["faces"]
    assert (read["by"], face["number"]) == ("judge-64-b", 0)
    assert face["after"]["Eyeglasses"] > face["before"]["Eyeglasses"]
    assert server.client.delete(address).status_code == 200
    gone = server.post(f"{address}/preview", json={"steps": steps})
    assert (gone.status_code, error_of(gone)["kind"]) == (410, "gone")


@pytest.mark.parametrize("view", ["residual", "heat"])
def test_the_studio_shows_what_an_edit_changes(server: Server, photo: NDArray[np.uint8], view: str) -> None:
    opened = open_in_studio(server, encoded(photo))
    steps = [{"face": 0, "set": {"Smiling": -1.0}}]
    answer = server.post(f"/studio/photographs/{opened['id']}/preview", json={"steps": steps, "view": view}).json()
    shown = picture_of(answer["parts"][0]["picture"])
    assert abs(int(shown[0, 0].mean()) - (127 if view == "residual" else 0)) < 3  # nothing changes in the corner
    assert shown.max() > 200
    for kind in ("strip", "grid", view):
        drawn = server.post(f"/studio/photographs/{opened['id']}/export", json={"steps": steps, "kind": kind})
        assert (drawn.status_code, drawn.headers["Content-Type"]) == (200, "image/png")


def test_the_studio_opens_what_is_one_aligned_face(server: Server) -> None:
    face = np.full((64, 64, 3), 90, np.uint8)  # no finder finds one in it
    assert len(open_in_studio(server, encoded(face))["faces"]) == 1
    assert len(open_in_studio(server, encoded(photograph((200, 150))))["faces"]) == 0


def test_new_faces_faces_like_one_and_faces_between_two(server: Server) -> None:
    asked = {"model": MODEL, "number": 3, "seed": 5}
    first = server.post("/studio/sample", json={**asked, "set": {"Smiling": 1}}).json()["faces"]
    assert first == server.post("/studio/sample", json={**asked, "set": {"Smiling": 1}}).json()["faces"]
    files = [address.partition(",")[2] for address in first]
    assert read_xmp(read_photo(base64.b64decode(files[0])).metadata.xmp).source_type == GENERATED
    alike = server.post("/studio/alike", json={**asked, "picture": files[0]}).json()["faces"]
    ways = server.post("/studio/between", json={"model": MODEL, "number": 5, "pictures": files[:2]}).json()["faces"]
    assert (len(alike), len(ways)) == (3, 5)
    distance = [np.abs(picture_of(face).astype(float) - picture_of(first[0])).mean() for face in (alike[0], first[1])]
    assert distance[0] < distance[1]


def test_the_page_loads_nothing_from_elsewhere(server: Server) -> None:
    page = server.get("/")
    assert (page.status_code, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert "http://" not in page.text.replace("http://www.w3.org/", "")
    assert "https://" not in page.text
    assert server.get("/static/..%2f__init__.py").status_code == 404
    assert server.get("/static/index.html", headers={"If-None-Match": page.headers["ETag"]}).status_code == 304


def test_nothing_is_stored_and_no_picture_is_logged(server: Server, temporary: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (1100, 1100, 3), dtype=np.uint8)
    data = encoded(noise)
    assert len(data) > 3 << 20
    server.post("/v1/faces", files={"picture": ("secret-name.png", data)}, headers={"X-Request-Id": "large"})
    assert list(temporary.iterdir()) == []
    line = json.loads(server.wait_for('"request": "large"'))
    assert set(line) == {"time", "level", "event", "request", "method", "route", "status", "bytes", "ms"}
    assert not any("secret-name" in line for line in server.lines)


def test_metrics_count_what_was_answered(server: Server) -> None:
    assert server.metric("visagist_requests_total") > 0
    assert server.metric("visagist_jobs_waiting") == 0
    assert server.metric("visagist_worker_restarts_total") == 0
