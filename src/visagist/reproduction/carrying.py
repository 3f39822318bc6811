"""A reproduction in a folder that is carried to another machine, run there in slices, and brought back in small files."""

from __future__ import annotations

import argparse
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import visagist
from visagist import recipes
from visagist.boundary.schema import json_text, read_json
from visagist.checkpoints import checkpoint
from visagist.data.sources import pack
from visagist.errors import VisagistError
from visagist.files import sha256_of, write_file
from visagist.judges import SCORING_JUDGE, judges_of_strength
from visagist.networks.pretrained.vgg19 import VARIABLE
from visagist.progress import ProgressLike, StageBars
from visagist.reproduction.reproduce import reproduce
from visagist.reproduction.scales import SCALES, at_scale
from visagist.reproduction.spec import get

MOST_BYTES, LARGEST_FILE = 64 * 2**20, 16 * 2**20
QUALITIES = (90, 80, 70, 60, 50)  # of WebP, the first that fits
FACES, CODE, PLAN, WORK, FEATURES = "faces", "code", "plan.json", "work", "features.pth"
PART = ".part-"
REMEDY = "carry it anew"
RUN = '''"""Go on with what this folder holds: `python run.py --minutes 8 --out results`; status 3 while work is left."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "code"))
from visagist.reproduction.carrying import main

sys.exit(0 if main(HERE, print) else 3)
'''


def carry(
    name: str, data: str | None, out: Path, *, scale: str = "paper", seeds: int = 1, most_bytes: int = MOST_BYTES,
    progress: ProgressLike = None,
) -> dict[str, Any]:  # fmt: skip
    """Write into the new folder `out` all that runs the rows of a name elsewhere: code, judges, faces, `run.py`.

    Faces are WebP at the recipes' size, at the best of `QUALITIES` with which the folder has at most `most_bytes`; without
    `data` they are drawn there, at the scale smoke. `$VISAGIST_VGG19` is taken along for rows that learn from it. Returns
    the content of `plan.json`. Raises VisagistError for a folder that is there, and where the faces do not fit.
    """
    if out.exists():
        raise VisagistError(f"{out} is there already: name a new folder")
    reproduction, chosen = get(name), SCALES[scale]
    rows = [at_scale(row, chosen, reproduction) for row in reproduction.rows]
    forms = {(row.image_size, row.crop) for row in rows}
    if len(forms) > 1:
        raise VisagistError(f"{name} has rows of several sizes, and one pack holds one: carry another name")
    _copy_code(out / CODE)
    features = os.environ.get(VARIABLE)
    if features and any(hasattr(row.config, "feature_weights") for row in rows) and scale != "smoke":
        shutil.copyfile(Path(features).expanduser(), out / FEATURES)
    plan = {"name": name, "scale": scale, "seeds": seeds, "data": data is not None, "quality": None}
    if data is not None:
        ((image_size, crop),) = forms
        plan["quality"] = _pack_faces(data, out, image_size, crop, most_bytes - _size(out), progress)
    write_file(out / PLAN, json_text(plan, 1) + "\n")
    write_file(out / "run.py", RUN)
    if _size(out) > most_bytes:
        raise VisagistError(f"{out} has {_size(out) / 2**20:.0f} MiB, more than {most_bytes / 2**20:.0f}: allow for more")
    return plan


def _copy_code(code: Path) -> None:
    """This package without the models of the zoo, but for the judges that measure and fit strength."""
    source = Path(visagist.__file__).parent
    kept = {SCORING_JUDGE, *judges_of_strength()}
    there = {path.name for path in (source / "zoo").iterdir() if path.is_dir()} - kept

    def left_out(folder: str, names: list[str]) -> set[str]:
        return {n for n in names if n == "__pycache__" or (Path(folder) == source / "zoo" and n in there)}

    shutil.copytree(source, code / "visagist", ignore=left_out)


def _pack_faces(data: str, out: Path, size: int, crop: str | None, room: int, progress: ProgressLike) -> int:
    for quality in QUALITIES:
        pack(data, out / FACES, image_size=size, crop=crop, encoding="webp", quality=quality, progress=progress)
        if _size(out / FACES) <= room:
            return quality
    raise VisagistError(
        f"the faces of {data} have {_size(out / FACES) / 2**20:.0f} MiB as WebP of quality {QUALITIES[-1]}, and "
        f"{room / 2**20:.0f} are left for them: allow for more, or pack a part of the source and carry that"
    )


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def go_on(
    folder: Path, out: Path, minutes: float, *, device: str = "auto", state: bool = False, progress: ProgressLike = None
) -> bool:
    """Run a carried folder for so many minutes and bring what there is into `out`; returns whether all is finished.

    `state` brings along what goes on elsewhere: hand that folder to `resume_from` on a fresh machine.
    """
    plan: dict[str, Any] = read_json(folder / PLAN, dict[str, Any], REMEDY)
    chosen = SCALES[plan["scale"]]
    if (folder / FEATURES).exists():
        os.environ.setdefault(VARIABLE, str(folder / FEATURES))
    entry = reproduce(
        plan["name"], scale=plan["scale"], data=f"pack:{folder / FACES}" if plan["data"] else None, out=folder / WORK,
        minutes=minutes if chosen.planned else None, seeds=plan["seeds"], device=device, progress=progress,
    )  # fmt: skip
    bring(folder / WORK, out, state)
    return not entry["unfinished"]


def bring(work: Path, out: Path, state: bool = False) -> list[Path]:
    """Copy figures, page, reports' metrics and best weights of a reproduction into `out`, no file above 16 MiB.

    Larger files are cut into parts, which `join` puts together. With `state` all of the runs is copied. What was brought
    before and is not there any more is left.
    """
    wanted = ["verdicts.json", "index.html", "pictures/*", "runs/*/reports/*/metrics.json", "runs/*/best/*"]
    wanted += ["runs/*/last/*", "runs/*/*.json*"] if state else []
    brought = []
    for path in sorted({path for pattern in wanted for path in work.glob(pattern) if path.is_file()}):
        target = out / path.relative_to(work)
        target.parent.mkdir(parents=True, exist_ok=True)
        for old in target.parent.glob(f"{target.name}{PART}*"):
            old.unlink()
        if path.stat().st_size <= LARGEST_FILE:
            shutil.copyfile(path, target)
            brought.append(target)
            continue
        for number, part in enumerate(_parts(path)):
            brought.append(target.with_name(f"{target.name}{PART}{number:03d}"))
            brought[-1].write_bytes(part)
    return brought


def _parts(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while part := file.read(LARGEST_FILE):
            yield part


def join(brought: Path, out: Path) -> Path:
    """Copy what `bring` brought into the folder `out`, with parts put together; it is one of `reproduce` then."""
    for path in sorted(path for path in brought.rglob("*") if path.is_file()):
        name, cut, number = path.name.partition(PART)
        target = out / path.relative_to(brought).with_name(name)
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("ab" if cut and int(number) else "wb") as file:
            file.write(path.read_bytes())
    for folder in out.glob("runs/*/best"):
        recorded = checkpoint.read_description(folder).get("weights_sha256")
        if recorded != sha256_of(folder / "model.safetensors"):
            raise VisagistError(f"{folder} is damaged: a part is missing; bring it again")
    return out


def resume_from(brought: Path, folder: Path) -> None:
    """Put a brought state into a carried folder, so that `go_on` goes on with it."""
    join(brought, folder / WORK)


def main(folder: Path, say: Callable[[str], None], arguments: list[str] | None = None) -> bool:
    """The command `run.py` of a carried folder; returns whether all is finished."""
    parser = argparse.ArgumentParser(description="Run what this folder holds for some minutes; run it again to go on.")
    parser.add_argument("--minutes", type=float, default=8.0, help="of training; the last row is measured beyond them")
    parser.add_argument("--out", type=Path, required=True, help="figures and weights, no file above 16 MiB")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--state", action="store_true", help="bring along what goes on on a fresh machine")
    parser.add_argument("--from", dest="brought", type=Path, help="go on with a state that was brought from elsewhere")
    given = parser.parse_args(arguments)
    if given.brought is not None and not (folder / WORK).exists():
        resume_from(given.brought, folder)
    with StageBars(say, show=False) as shown:
        finished = go_on(folder, given.out, given.minutes, device=given.device, state=given.state, progress=shown)
    say("finished" if finished else "work is left: run it again")
    return finished


def cost_rows(name: str) -> list[tuple[str, recipes.Recipe]]:
    """Label and published recipe of every row of a name, for `visagist.reproduction.flops.cost_lines`."""
    return [(row.label, recipes.get(row.recipe)) for row in get(name).rows]
