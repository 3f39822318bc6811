"""`visagist train`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from visagist.cli.console import print_line, say, split_names
from visagist.errors import VisagistError
from visagist.settings import parse_pairs


def train(
    method: Annotated[str, typer.Argument(help="A method of `visagist methods`, or judge.", show_default=False)],
    out: Annotated[Path, typer.Option(help="The run folder to write.", show_default=False)],
    data: Annotated[str | None, typer.Option(help="KIND:PATH, as celeba:PATH; drawn faces by default.")] = None,
    attributes: Annotated[str | None, typer.Option(help="What to learn, with commas between.")] = None,
    attribute_set: Annotated[
        str | None, typer.Option(help="Instead: Eye, Facial or EyeFacial, training faces thinned to its balance.")
    ] = None,
    recipe: Annotated[str | None, typer.Option(help="Settings by name, see `visagist recipes`.")] = None,
    minutes: Annotated[float | None, typer.Option(help="Budget: minutes of training.")] = None,
    images: Annotated[int | None, typer.Option(help="Budget: images seen.")] = None,
    seed: Annotated[int | None, typer.Option(help="0 unless the recipe says otherwise.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run in --out; begin it if there is none.")] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
    devices: Annotated[int, typer.Option(help="Processes to share each batch, one a device.", min=1)] = 1,
    max_restarts: Annotated[
        int, typer.Option(help="Of several processes: how often to go on from last/ after one has failed.", min=0)
    ] = 0,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="key=value of the data, the training or the method; repeatable.")
    ] = None,
    on_bad: Annotated[str, typer.Option(help="What to do with bad pictures: skip or refuse.")] = "skip",
    calibrate: Annotated[bool, typer.Option(help="Fit the strength of edits on validation faces afterwards.")] = True,
) -> None:
    """Train a method, or an attribute judge.

    A run folder holds last/ and best/, a log and sheets of samples. Training stops at Ctrl-C, saved, and goes on with
    --resume exactly where it was.

    \b
    Examples:
      visagist train ifcvae-gan --attributes Smiling --minutes 5 --out runs/first
      visagist train ifcvae-gan --data celeba:~/celeba --recipe ifcvae-gan/table3-ours --out runs/table3
      visagist train ifcvae-gan --data folder:photos --attributes Hat --set image_size=32 --set width=32 --out runs/hat
      visagist train ifcvae-gan --data celeba:~/celeba --attribute-set Facial --set negatives=2 --out runs/facial
      visagist train introvac --data celeba:~/celeba --attributes Smiling --devices 2 --max-restarts 3 --out runs/two
      visagist train judge --data celeba:~/celeba --recipe judge-64 --out runs/judge
    """
    from visagist.pipelines import train as run
    from visagist.training.trainer import Interrupted

    chosen: dict[str, Any] = {
        "attributes": split_names(attributes),
        "attribute_set": attribute_set,
        "recipe": recipe,
        "images": images,
        "minutes": minutes,
        "seed": seed,
        "settings": parse_pairs(settings or []),
    }
    joined = int(os.environ.get("WORLD_SIZE", "1")) > 1
    if max_restarts and devices == 1 and not joined:
        raise VisagistError("--max-restarts is for several processes: add --devices, or run again with --resume")
    if devices > 1 and not joined:
        _launch(devices, max_restarts, out, resume, method, data, on_bad, chosen)
    first = int(os.environ.get("RANK", "0")) == 0
    try:
        trained = run.train(
            method, data, out=out, resume=resume, device=device, on_bad=on_bad, calibrate=calibrate,
            show=first, say=say if first else lambda line: None, **chosen,
        )  # fmt: skip
    except Interrupted:
        say(f"stopped; {out}/last is saved: continue with --resume")
        raise
    if first:
        print_line(trained)


def _launch(
    devices: int,
    max_restarts: int,
    out: Path,
    resume: bool,
    method: str,
    data: str | None,
    on_bad: str,
    chosen: dict[str, Any],
) -> None:
    """Find what is wrong before any process starts, pack the data once, and leave the rest to torchrun."""
    from visagist.pipelines.plan import build_model, make_plan, training_faces
    from visagist.training.distributed import launch
    from visagist.training.run_folder import check_run_folder

    check_run_folder(out.expanduser(), resume)
    plan = make_plan(method, **chosen)
    if plan.training.batch_size % (devices * plan.training.accumulate):
        raise VisagistError(
            f"batch_size {plan.training.batch_size} cannot be shared by {devices} processes: choose a multiple of it"
        )
    faces = training_faces(plan, data, on_bad=on_bad, show=True)
    build_model(plan, faces.names)
    # A later attempt must continue what the first one began, and that this one begins afresh is checked above.
    again = ["--resume"] if max_restarts and not resume else []
    raise typer.Exit(launch(devices, [*sys.argv[1:], *again], max_restarts))
