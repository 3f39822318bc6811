"""`visagist export --format web`: a static folder, a page that edits photographs in a browser without a server's help.

    index.html, *.js, *.css   the page; the stage and the sliders are the studio's
    site.json                 what the page needs to know: sides, templates, strength maps, numbers of the finder
    models/NAME/              graphs and weights in float16, of the model, its refiner, the landmark network and the finder
    runtime/                  onnxruntime-web
    offline.js                the service worker, which keeps all of it
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from visagist import pretrained
from visagist.boundary.ownership import holds_only, list_entries, probe_object, refuse_foreign, remove_folder
from visagist.boundary.schema import json_text
from visagist.checkpoints import checkpoint
from visagist.data.crops import template
from visagist.data.faces import Faces
from visagist.editing.changes import change, masks
from visagist.errors import VisagistError
from visagist.exporting.checks import compare_with_torch, judge_limit
from visagist.exporting.folder import Source, open_source, refuse_difference, write_graphs
from visagist.exporting.web_runtime import copy_runtime, find_runtime
from visagist.faces import detection, finder, finder_decoding, landmarks, points, pose
from visagist.files import sha256_of, sha256_of_json, sync_folder, waiting_path
from visagist.networks.finder_levels import LEVELS, STRIDE
from visagist.photos import colour
from visagist.photos.provenance import Step, add_step
from visagist.progress import Progress, ProgressLike, progress_of
from visagist.refining.load import shipped_refiner
from visagist.refining.painting import WHOLLY_PAINTED
from visagist.version import __version__

FACES = 200  # that torch and the graphs are compared on
OF_STUDIO = ("style.css", "stage.js", "store.js", "sliders.js", "checksum.js", "newest.js", "icon.svg", "example.jpg")
OF_PAGE = (
    "index.html", "site.css", "main.js", "worker.js", "runtime.js", "finding.js", "editing.js", "geometry.js", "pixels.js",
    "sign.js",
)  # fmt: skip
TERMS = "models/LICENSE.txt"
SHELL = ("./", *OF_PAGE, *OF_STUDIO, "site.json")  # what the service worker takes before the models


@dataclass(frozen=True)
class Site:
    """What was written: the folder, by graph the largest difference to torch, and the bytes of a first visit."""

    folder: Path
    differences: dict[str, float]
    download: int
    size: int


def export_web(
    name: str | Path, out: Path, faces: Faces | None = None, *, refiner: str | Path | None = "auto",
    finder_model: str | Path | None = None, runtime: str | Path | None = None, compared: int = FACES,
    progress: ProgressLike = None,
) -> Site:  # fmt: skip
    """Write the page of one model into a folder that holds nothing else, or an earlier page.

    `refiner` is auto, the shipped one of the model, or one's name or folder, or None. `finder_model` is the folder of a
    finder; without it the shipped one, and where none ships the person draws a box around a face. `runtime` is a folder of
    onnxruntime-web, or `npm`, which downloads it. Graphs and torch are compared on `compared` faces. VisagistError where
    they differ, and nothing is written then.
    """
    _refuse_foreign_site(out)
    with progress_of(progress) as bar, tempfile.TemporaryDirectory() as scratch:
        source = find_runtime(runtime, bar)
        model = open_source(name)
        if model.editor is None or not model.editor.can("edit"):
            raise VisagistError(f"{model.name} does not edit faces: a page takes a model that does")
        fresh = Path(scratch) / "site"
        fresh.mkdir()
        facts, differences = _write_models(model, fresh, (faces, compared), refiner, finder_model, bar)
        facts["runtime"] = copy_runtime(source, fresh)
        facts["runtime"]["bytes"] = sum(path.stat().st_size for path in (fresh / "models").glob("*/*"))
        _write_page(fresh, facts)
        size = sum(path.stat().st_size for path in fresh.rglob("*") if path.is_file())
        _put(fresh, out)
    unused = min(facts["runtime"][kind]["bytes"] for kind in ("wasm", "webgpu"))
    return Site(out, differences, size - unused, size)


def _write_models(
    model: Source, site: Path, faces: tuple[Faces | None, int], refiner: str | Path | None,
    finder_model: str | Path | None, bar: Progress,
) -> tuple[dict[str, Any], dict[str, float]]:
    """Write all graphs and weights; what the page needs to know of them, and the largest difference of each graph."""
    editor, description = model.editor, model.description
    assert editor is not None
    side, crop = editor.image_size, editor.crop
    painter = shipped_refiner(model.name) if refiner == "auto" else refiner
    shipped_finder = finder.FINDER_MODEL if (pretrained.ZOO / finder.FINDER_MODEL).is_dir() else None
    sources = {
        "model": model, "refiner": painter and open_source(painter), "landmarks": open_source(landmarks.LANDMARK_MODEL),
        "finder": (chosen := finder_model or shipped_finder) and open_source(chosen),
    }  # fmt: skip
    facts: dict[str, Any] = {"visagist": __version__}
    differences: dict[str, float] = {}
    for part, source in sources.items():
        facts[part] = None
        if isinstance(source, Source):
            bar.message(f"{part}: {source.name}")
            facts[part], worst = _write_model(source, site, faces)
            differences |= worst
    shutil.copyfile(pretrained.ZOO / "LICENSE", site / TERMS)  # of the landmark network in any case
    facts["model"] |= {
        "side": side, "template": template(crop, side).tolist(), "attributes": list(editor.attributes),
        "strength": {a: {way: curve.knots for way, curve in maps.items()} for a, maps in editor.strength_maps.items()},
        "falls_short": [
            f"{a}{way[0]}" for a, maps in editor.strength_maps.items() for way, curve in maps.items()
            if curve.reached is False
        ],
    }  # fmt: skip
    if facts["refiner"] is not None:
        described = sources["refiner"].description  # type: ignore[union-attr]
        own = int(described["image_size"])
        facts["refiner"] |= {
            "side": own, "template": template(crop, own).tolist(), "attributes": list(described["attributes"])
        }  # fmt: skip
    weights = str(description.get("weights_sha256") or "")
    step = Step("edited", model.name, weights, "{settings}", "{mode}", "{faces}", backend="{backend}")
    is_shipped = pretrained.shipped_folder(model.name) is not None
    side_of_points = int(sources["landmarks"].description["config"]["side"])  # type: ignore[union-attr]
    facts |= {
        "finding": _finding_facts(side_of_points), "xmp": add_step(b"", step).decode(),
        "mask": {"corners": masks.CORNERS, "feather": masks.FEATHER, "border": masks.BORDER},
        "repainted": change.REPAINTED, "wholly_painted": WHOLLY_PAINTED,
        "grey": {"tint": colour.TINT, "weights": colour.GREY.tolist()},
        "terms": pretrained.ZOO_TERMS.replace("visagist/zoo/LICENSE", TERMS) if is_shipped else pretrained.OWN_TERMS,
    }  # fmt: skip
    return facts, differences


def _write_model(source: Source, site: Path, faces: tuple[Faces | None, int]) -> tuple[dict[str, Any], dict[str, float]]:
    """Write the graphs that a page runs, and their weights in float16."""
    parts = {name: part for name, part in source.parts.items() if name not in ("edit", "decode", "classify")}
    if "prepare" not in parts and "encode" not in parts and source.editor is not None:
        raise VisagistError(f"{source.name} has no graph that reads a face: a page cannot run it")
    folder = site / "models" / source.name
    folder.mkdir(parents=True)
    weights = checkpoint.inference_weights(source.model, True)
    checkpoint.write_tensors(folder / "model.safetensors", weights)
    write_graphs(source._replace(parts=parts), folder, weights)
    differences = compare_with_torch(parts, folder, *faces, relative=True)
    refuse_difference(differences, judge_limit("fp16"))
    graphs = {("prepare" if name == "encode" else name): f"{name}.onnx" for name in parts}
    return {
        "name": source.name, "folder": f"models/{source.name}", "graphs": graphs, "weights": "model.safetensors"
    }, differences


def _finding_facts(side: int) -> dict[str, Any]:
    """The numbers by which faces and their points are found; `side` is that of the landmark network."""
    head = np.linalg.pinv(pose.HEAD - pose.HEAD.mean(0))
    return {
        "side": side, "passes": landmarks.PASSES, "crop_scale": points.CROP_SCALE, "box_width": landmarks.BOX_WIDTH,
        "mirrored": list(points.MIRRORED), "spread": points.SPREAD, "head": head.tolist(),
        "levels": [level._asdict() for level in LEVELS], "stride": STRIDE, "usual": finder_decoding.UPRIGHT.tolist(),
        "folded": finder_decoding.FOLDED, "agreeing": finder_decoding.AGREEING,
        "seen": finder.SEEN, "smallest": finder.SMALLEST, "reduction": finder.REDUCTION,
        "largest_seen": finder.LARGEST_SEEN, "tile": finder.TILE, "overlap": finder.OVERLAP,
        "max_enlargement": finder.MAX_ENLARGEMENT, "same": finder_decoding.SAME,
        "crowd": detection.CROWD, "small_in_face": detection.SMALL_IN_FACE, "apart": detection.APART,
        "network_threshold": detection.NETWORK_THRESHOLD,
        "face_threshold": detection.FACE_THRESHOLD, "finder_weight": detection.FINDER_WEIGHT,
        "overrated": detection.OVERRATED, "least_odds": detection.LEAST_ODDS, "sure": detection.SURE,
        "sure_proposal": detection.SURE_PROPOSAL,
        "taken_for_a_face": landmarks.TAKEN_FOR_A_FACE, "wider": landmarks.WIDER, "too_turned": detection.TOO_TURNED,
        "too_small": detection.TOO_SMALL, "too_hidden": detection.TOO_HIDDEN, "upside_down": detection.UPSIDE_DOWN,
        "too_tilted": detection.TOO_TILTED, "too_far_out": detection.TOO_FAR_OUT, "unsure": detection.UNSURE,
        "in_profile": detection.IN_PROFILE, "mostly_hidden": detection.MOSTLY_HIDDEN,
    }  # fmt: skip


def _write_page(site: Path, facts: dict[str, Any]) -> None:
    """Write the page, `site.json` with the hashes of all files, and the service worker, which is new when one of them is."""
    package = resources.files("visagist")
    for folder, names in (("server/page", OF_STUDIO), ("exporting/page", OF_PAGE)):
        for name in names:
            (site / name).write_bytes(package.joinpath(folder, name).read_bytes())
    worker = package.joinpath("exporting/page/offline.js").read_text(encoding="utf-8")
    files = {path.relative_to(site).as_posix(): sha256_of(path) for path in sorted(site.rglob("*")) if path.is_file()}
    shell = json_text(list(SHELL), None).strip()
    worker = worker.replace("VERSION", sha256_of_json([facts, files])[:16]).replace("FILES", shell)
    (site / "offline.js").write_text(worker, encoding="utf-8")
    files["offline.js"] = sha256_of(site / "offline.js")
    (site / "site.json").write_text(json_text({**facts, "files": files}, None), encoding="utf-8")


def _is_site(folder: Path) -> bool:
    """Whether a folder holds a page that visagist wrote, as it wrote it, and nothing else."""
    known = probe_object(folder / "site.json").get("files")
    if not isinstance(known, dict):
        return False

    def is_own(path: Path) -> bool:
        name = path.relative_to(folder).as_posix()
        return not path.is_symlink() and (name == "site.json" or known.get(name) == sha256_of(path))

    return holds_only(folder, is_own)


def _refuse_foreign_site(out: Path) -> None:
    if out.is_symlink() or list_entries(out):
        refuse_foreign(out, "move it away, or choose another --out", _is_site)


def _put(fresh: Path, out: Path) -> None:
    """Put a site in the place of an earlier one."""
    out = out.resolve()
    beside = waiting_path(out)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(fresh, beside)
        if out.exists():
            _refuse_foreign_site(out)
            remove_folder(out, lambda _: True)
        beside.rename(out)
        sync_folder(out.parent)
    except OSError as error:
        shutil.rmtree(beside, ignore_errors=True)
        raise VisagistError(f"cannot write {out}: {error.strerror or error}; choose another --out") from error
