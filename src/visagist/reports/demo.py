"""`visagist demo`: a page that shows what the shipped model does to a portrait and to drawn faces, without a network."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from visagist.attributes import attribute_column, with_derived
from visagist.boundary.ownership import take_folder
from visagist.data.drawn.synthetic import SyntheticFaces
from visagist.editing.contact_sheets import residual_picture
from visagist.editing.editor import Editor
from visagist.editing.modes import usual_mode
from visagist.editing.photo_edit import edit_photo
from visagist.files import write_file
from visagist.judges import SCORING_JUDGE, load_judge
from visagist.pretrained import OWN_TERMS, ZOO_TERMS, default_model, shipped_folder, zoo
from visagist.progress import Progress
from visagist.reports.html import data_uri, render, words

# `skimage.data.astronaut()`, turned, scaled and cut to 148×148 by the similarity (bicubic, least squares) that takes eyes,
# nose and mouth corners, at (203.3, 100.8) (247.2, 103.0) (223.5, 126.8) (203.0, 139.4) (243.8, 141.5), toward where
# CelebA's faces have them on average in centre148: (54.4, 76.2) (92.6, 76.1) (73, 101) (57, 117) (91, 117).
PORTRAIT = "demo_face.png"
ATTRIBUTE = "Smiling"
STRENGTHS = tuple(np.linspace(-1, 1, 9).tolist())
DRAWN = 8

Pixels = NDArray[np.uint8]


class Frame(NamedTuple):
    """The portrait at one strength.

    render, detail, residual    uint8 [S, S, 3] by the model, the photo edited as photographs are, and what the edit changes
    change      the largest change of a pixel's channel, as a share of its range
    score       the judge's probability
    """

    strength: float
    render: Pixels
    detail: Image.Image
    residual: Image.Image
    change: float
    score: float | None

    def to_json(self) -> dict[str, Any]:
        """What the page shows of it."""
        pictures = {name: data_uri(getattr(self, name)) for name in ("render", "detail", "residual")}
        share = None if self.score is None else round(100 * self.score, 1)
        words = {"strength": _signed(self.strength), "score": _percent(self.score), "change": _percent(self.change)}
        return {**words, "share": share, **pictures}


def make_page(out: Path, *, model: str | None = None, seed: int = 0, progress: Progress | None = None) -> Path:
    """Write `out/index.html` and return its path; the model is a zoo name, a folder or hub:owner/name."""
    started, page_path = time.perf_counter(), out / "index.html"
    take_folder(out, (page_path.name,))
    editor = Editor.from_pretrained(model or default_model(ATTRIBUTE))
    attribute = ATTRIBUTE if ATTRIBUTE in editor.attributes else editor.attributes[0]
    (progress or Progress()).message(f"model: {editor.name}, {attribute}")
    score = _scorer(attribute)
    photo = Image.open(io.BytesIO(files("visagist").joinpath(PORTRAIT).read_bytes())).convert("RGB")
    drawn = SyntheticFaces(DRAWN, image_size=editor.image_size, seed=seed).render()
    seen = editor.see(photo)
    reconstruction = editor.reconstruct(seen)
    faces, photographs = _whole_photograph(editor, photo, attribute)
    page = render(
        "demo.html",
        attribute=words(attribute).capitalize(),
        model=editor.name,
        judge=SCORING_JUDGE if score else None,
        scoring_judge=SCORING_JUDGE,
        photo=photo,
        photo_score=_percent(score and score(seen)[0]),
        reconstruction=reconstruction[0],
        reconstruction_score=_percent(score and score(reconstruction)[0]),
        drawn=DRAWN,
        faces=faces,
        photographs=photographs,
        sheet=_sheet(editor, drawn, attribute, score),
        frames=[frame.to_json() for frame in _frames(editor, photo, attribute, score)],
        terms=ZOO_TERMS if editor.name in zoo() else OWN_TERMS,
        seconds=f"{time.perf_counter() - started:.0f}",
    )
    write_file(page_path, page)
    return page_path


def _whole_photograph(editor: Editor, portrait: Image.Image, attribute: str) -> tuple[int, list[tuple[str, Image.Image]]]:
    """The number of faces in a photograph of two prints on a table, and its pictures by title: as it is, and edited."""
    photograph, faces = _prints_on_a_table(portrait), 0
    pictures = [("photograph", photograph)]
    for strength in (-1.0, 1.0):
        result = edit_photo(editor, photograph, {attribute: strength}, usual_mode(editor, [attribute]), face="all")
        pictures.append((f"all faces, {_signed(strength)}", result.image))
        faces = len(result.faces)
    return faces, pictures


def _prints_on_a_table(portrait: Image.Image) -> Image.Image:
    """The portrait as two prints, one smaller and mirrored, tilted on a table: RGB, 600 by 400."""
    whole = Image.linear_gradient("L").resize((600, 400)).point(lambda v: 90 + v // 4)
    whole = Image.merge("RGB", [whole.point(lambda v, f=f: int(v * f)) for f in (0.95, 0.8, 0.65)])  # type: ignore[misc]
    prints = ((portrait, 270, 8, (40, 50)), (ImageOps.mirror(portrait), 190, -11, (343, 130)))
    for face, side, tilt, corner in prints:
        paper = ImageOps.expand(face.resize((side, side), Image.Resampling.LANCZOS), 12, "white")
        turned = paper.convert("RGBA").rotate(tilt, Image.Resampling.BICUBIC, expand=True)
        whole.paste(turned, corner, turned)
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
    residuals = [editor.residual(photo, **{attribute: s})[0] for s in STRENGTHS]
    span = max(float(np.abs(r).max()) for r in residuals)  # one scale, so that a stronger edit looks stronger
    frames = []
    for strength, residual in zip(STRENGTHS, residuals):
        setting: dict[str, Any] = {attribute: strength}
        edited = editor.edit(seen, **setting)
        detail = editor.edit(photo, mode=usual_mode(editor, [attribute]), **setting)
        probability = float(score(edited)[0]) if score else None
        picture, change = residual_picture(residual, max(span, 1 / 255)), float(np.abs(residual).max())
        frames.append(Frame(strength, edited[0], detail, picture, change, probability))
    return frames


def _sheet(editor: Editor, drawn: Pixels, attribute: str, score: Any) -> list[tuple[str, str, Pixels]]:
    """Label, the mean score in words and images [N, S, S, 3] of every line of drawn faces."""
    settings: list[dict[str, Any]] = [{attribute: -1.0}, {attribute: 1.0}]
    less, more = (editor.edit(drawn, **setting) for setting in settings)
    lines = [("input", drawn), ("reconstruction", editor.reconstruct(drawn)), ("at −1", less), ("at +1", more)]
    return [(label, _percent(score and float(np.mean(score(images)))), images) for label, images in lines]


def _signed(strength: float) -> str:
    return "0" if strength == 0 else f"{strength:+.2f}".replace("-", "−")


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.0f} %"
