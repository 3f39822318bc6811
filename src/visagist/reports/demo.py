"""`visagist demo`: a page that shows what the shipped model does to a portrait and to drawn faces, without a network."""

from __future__ import annotations

import base64
import html
import io
import time
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from visagist.attributes import attribute_column, with_derived
from visagist.boundary.ownership import take_folder
from visagist.boundary.schema import json_text
from visagist.data.drawn.synthetic import SyntheticFaces
from visagist.editing.contact_sheets import residual_picture
from visagist.editing.editor import Editor
from visagist.editing.photo_edit import edit_photo
from visagist.files import write_file
from visagist.judges import SCORING_JUDGE, load_judge
from visagist.pretrained import default_model, shipped_folder, zoo

# `skimage.data.astronaut()`, turned, scaled and cut to 148×148 by the similarity (bicubic, least squares) that takes eyes,
# nose and mouth corners, at (203.3, 100.8) (247.2, 103.0) (223.5, 126.8) (203.0, 139.4) (243.8, 141.5), toward where
# CelebA's faces have them on average in centre148: (54.4, 76.2) (92.6, 76.1) (73, 101) (57, 117) (91, 117).
PORTRAIT = "demo_face.png"
ATTRIBUTE = "Smiling"
STRENGTHS = tuple(np.linspace(-1, 1, 9).tolist())
DRAWN = 8
OWN_TERMS = "This model is not one of those that ship with visagist: its terms are its maker's."
ZOO_TERMS = (
    "The shipped weights were trained on CelebA: non-commercial research and education only, never to deceive or to "
    "identify people. The terms are in visagist/zoo/LICENSE."
)

Pixels = NDArray[np.uint8]


class Frame(NamedTuple):
    """The portrait at one strength: uint8 [S, S, 3] by the model, the photo with the change, the residual, the score."""

    strength: float
    render: Pixels
    detail: Image.Image
    residual: Image.Image
    score: float | None


def make_page(out: Path, *, model: str | None = None, seed: int = 0, say: Callable[[str], None] = lambda line: None) -> Path:
    """Write `out/index.html` and return its path; the model is a zoo name, a folder or hub:owner/name."""
    started, page_path = time.perf_counter(), out / "index.html"
    take_folder(out, (page_path.name,))
    editor = Editor.from_pretrained(model or default_model(ATTRIBUTE))
    attribute = ATTRIBUTE if ATTRIBUTE in editor.attributes else editor.attributes[0]
    say(f"model: {editor.name}, {attribute}")
    score = _scorer(attribute)
    photo = Image.open(io.BytesIO(files("visagist").joinpath(PORTRAIT).read_bytes())).convert("RGB")
    frames = _frames(editor, photo, attribute, score)
    drawn = SyntheticFaces(DRAWN, image_size=editor.image_size, seed=seed).render()
    seen, reconstruction = editor.see(photo), editor.reconstruct(editor.see(photo))
    found, whole = _whole_photograph(editor, photo, attribute)
    start = frames[0]
    page = Template(files("visagist.reports").joinpath("templates/demo.html").read_text(encoding="utf-8")).substitute(
        title=f"{_spoken(attribute)}, by degrees",
        attribute=html.escape(_spoken(attribute)),
        model=html.escape(editor.name),
        judge_line=_judge_line(score is not None),
        photo=_uri(photo),
        photo_score=_percent(score and score(seen)[0]),
        reconstruction=_uri(reconstruction[0]),
        reconstruction_score=_percent(score and score(reconstruction)[0]),
        last_render=_uri(start.render),
        last_detail=_uri(start.detail),
        last_residual=_uri(start.residual),
        last_score=_percent(start.score),
        last=len(frames) - 1,
        start=0,
        start_strength=_signed(start.strength),
        strengths=len(frames),
        drawn=DRAWN,
        found=found,
        whole=whole,
        row="".join(_tile(frame) for frame in frames),
        sheet=_sheet(editor, drawn, attribute, score),
        frames=json_text([_javascript(frame) for frame in frames]),
        terms=ZOO_TERMS if editor.name in zoo() else OWN_TERMS,
        seconds=f"{time.perf_counter() - started:.0f}",
    )
    write_file(page_path, page)
    return page_path


def _whole_photograph(editor: Editor, portrait: Image.Image, attribute: str) -> tuple[str, str]:
    """What was found in a photograph of two prints on a table, and it before and after its faces were edited, as HTML."""
    table = _prints_on_a_table(portrait)
    shown = [("photograph", table)]
    for strength in (-1.0, 1.0):
        result = edit_photo(editor, table, _setting(attribute, strength), face="all")
        shown.append((f"all faces, {_signed(strength)}", result.image))
    noun = "face was" if len(result.faces) == 1 else "faces were"
    cells = [f'<figure><img src="{_uri(p)}" alt="{t}"><figcaption><span>{t}</span></figcaption></figure>' for t, p in shown]
    return f"Here {len(result.faces)} {noun} found.", "".join(cells)


def _prints_on_a_table(portrait: Image.Image) -> Image.Image:
    """The portrait as two prints, one smaller and mirrored, tilted on a table: RGB, 600 by 400."""
    whole = Image.linear_gradient("L").resize((600, 400)).point(lambda v: 90 + v // 4)
    whole = Image.merge("RGB", [whole.point(lambda v, f=f: int(v * f)) for f in (0.95, 0.8, 0.65)])  # type: ignore[misc]
    prints = ((portrait, 270, 8, (40, 50)), (ImageOps.mirror(portrait), 190, -11, (343, 130)))
    for face, side, tilt, place in prints:
        paper = ImageOps.expand(face.resize((side, side), Image.Resampling.LANCZOS), 12, "white")
        turned = paper.convert("RGBA").rotate(tilt, Image.Resampling.BICUBIC, expand=True)
        whole.paste(turned, place, turned)
    return whole


def _scorer(attribute: str) -> Callable[[Pixels], NDArray[np.float32]] | None:
    """The scoring judge's probabilities [N] of the attribute; None where there is no judge, or it does not know it."""
    if shipped_folder(SCORING_JUDGE) is None:
        return None
    judge = load_judge(SCORING_JUDGE)
    if attribute not in with_derived(judge.attributes):
        return None
    return lambda images: attribute_column(judge.score(images), judge.attributes, attribute)


def _frames(editor: Editor, photo: Image.Image, attribute: str, score: Any) -> list[Frame]:
    seen = editor.see(photo)
    residuals = [editor.residual(photo, **_setting(attribute, s))[0] for s in STRENGTHS]
    span = max(float(np.abs(r).max()) for r in residuals)  # one scale, so that a stronger edit looks stronger
    frames = []
    for strength, residual in zip(STRENGTHS, residuals):
        setting = _setting(attribute, strength)
        render = editor.edit(seen, **setting)
        detail = editor.edit(photo, mode="detail", **setting)
        sure = float(score(render)[0]) if score else None
        frames.append(Frame(strength, render[0], detail, residual_picture(residual, max(span, 1 / 255)), sure))
    return frames


def _setting(attribute: str, strength: float) -> dict[str, Any]:
    return {attribute: strength}


def _sheet(editor: Editor, drawn: Pixels, attribute: str, score: Any) -> str:
    rows = [
        ("input", drawn),
        ("reconstruction", editor.reconstruct(drawn)),
        ("at −1", editor.edit(drawn, **_setting(attribute, -1.0))),
        ("at +1", editor.edit(drawn, **_setting(attribute, 1.0))),
    ]
    cells = []
    for label, images in rows:
        mean = f"<br><b>{_percent(float(np.mean(score(images))))}</b>" if score else ""
        cells.append(f"<span>{label}{mean}</span>")
        cells += [f'<img src="{_uri(image)}" alt="drawn face {i + 1}, {label}">' for i, image in enumerate(images)]
    return "".join(cells)


def _tile(frame: Frame) -> str:
    bar = "" if frame.score is None else f'<div class="bar"><i style="width:{100 * frame.score:.1f}%"></i></div>'
    caption = f"<figcaption><span>{_signed(frame.strength)}</span><b>{_percent(frame.score)}</b></figcaption>"
    return f'<figure><img src="{_uri(frame.render)}" alt="strength {frame.strength:+.2g}">{caption}{bar}</figure>'


def _javascript(frame: Frame) -> dict[str, str]:
    return {
        "strength": _signed(frame.strength),
        "render": _uri(frame.render),
        "detail": _uri(frame.detail),
        "residual": _uri(frame.residual),
        "score": _percent(frame.score),
    }


def _judge_line(judged: bool) -> str:
    if judged:
        return f"The percentages are those of <code>{SCORING_JUDGE}</code>, a network that trained none of this."
    return f"No judge knows this attribute or is installed ({SCORING_JUDGE}), so nothing here is scored."


def _spoken(attribute: str) -> str:
    return attribute.replace("_", " ").capitalize()


def _signed(strength: float) -> str:
    return "0" if strength == 0 else f"{strength:+.2f}".replace("-", "−")


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.0f} %"


def _uri(picture: Pixels | Image.Image) -> str:
    """A picture as a data address: lossless, so that the page shows what was computed."""
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
