"""`visagist train` and `visagist profile`."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any

import typer

from visagist.attributes import check_set
from visagist.boundary.ownership import allow_replacing
from visagist.boundary.untrusted import read_text
from visagist.checkpoints.folders import check_fresh
from visagist.cli.console import print_json, print_line, say, show, split_names, takes_options
from visagist.cli.options import (
    ALIGN,
    AS_IS,
    aligned_data,
    check_data,
    check_method,
    check_recipe,
    check_settings,
    config_settings,
    format_config,
    take_config,
)  # fmt: skip
from visagist.errors import VisagistError
from visagist.files import write_file
from visagist.progress import StageBars
from visagist.settings import parse_pairs
from visagist.training.config import check_budget


def check_attribute_set(name: str | None) -> str | None:
    """A named set of attributes, refused at once where it is none."""
    if name is not None:
        check_set(name)
    return name


RECIPE = typer.Option(help="Settings by name, see `visagist recipes`.", callback=check_recipe)


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """What the command line says, each field an argument or option of its own."""

    method: Annotated[
        str,
        typer.Argument(help="A method of `visagist methods`, or judge.", show_default=False, callback=check_method),
    ]
    out: Annotated[Path, typer.Option(help="The run folder to write.", show_default=False)]
    data: Annotated[
        str | None, typer.Option(help="KIND:PATH, as celeba:PATH; drawn faces by default.", callback=check_data)
    ] = None
    align: Annotated[bool, ALIGN] = False
    as_is: Annotated[bool, AS_IS] = False
    attributes: Annotated[str | None, typer.Option(help="What to learn, with commas between.")] = None
    attribute_set: Annotated[
        str | None,
        typer.Option(
            help="Instead: Eye, Facial or EyeFacial, training faces thinned to its balance.", callback=check_attribute_set
        ),
    ] = None
    recipe: Annotated[str | None, RECIPE] = None
    minutes: Annotated[float | None, typer.Option(help="Budget: minutes of training.")] = None
    images: Annotated[int | None, typer.Option(help="Budget: images seen.")] = None
    seed: Annotated[int | None, typer.Option(help="0 unless the recipe says otherwise.")] = None
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run in --out; begin it if there is none.")] = False
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto"
    devices: Annotated[int, typer.Option(help="Processes to share each batch, one a device.", min=1)] = 1
    max_restarts: Annotated[
        int, typer.Option(help="Of several processes: how often to go on from last/ after one has failed.", min=0)
    ] = 0
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="key=value of the data, the training or the method; repeatable.")
    ] = None
    on_bad: Annotated[str, typer.Option(help="What to do with bad pictures: skip or refuse.")] = "skip"
    calibrate: Annotated[
        bool | None,
        typer.Option(
            "--calibrate/--no-calibrate",
            help="Fit the strength of edits on validation faces afterwards; by default unless the model draws no faces yet.",
            show_default=False,
        ),
    ] = None
    tracker: Annotated[str | None, typer.Option(help="wandb or mlflow, which the figures go to as well.")] = None
    config: Annotated[
        Path | None,
        typer.Option(
            help="A TOML file of these options; the command line goes before it.", callback=take_config, is_eager=True
        ),
    ] = None
    save_config: Annotated[Path | None, typer.Option(help="Write what is asked for here, for --config.")] = None

    @property
    def all_settings(self) -> dict[str, str]:
        """Those of the command line, and of the file what it leaves out."""
        return config_settings(self.config) | parse_pairs(self.settings or [])

    @property
    def plan(self) -> dict[str, Any]:
        """What decides the plan of the training."""
        return {
            "attributes": split_names(self.attributes),
            "attribute_set": self.attribute_set,
            "recipe": self.recipe,
            "images": self.images,
            "minutes": self.minutes,
            "seed": self.seed,
            "settings": self.all_settings,
        }

    def as_config(self) -> str:
        """What decides the training, as a file for --config."""
        passing = ("settings", "config", "save_config", "resume")
        said = {field.name: getattr(self, field.name) for field in fields(self) if field.name not in passing}
        defaults = {field.name: field.default for field in fields(self)}
        return format_config({k: v for k, v in said.items() if v != defaults[k]}, self.all_settings)


@takes_options(TrainOptions)
def train(options: TrainOptions) -> None:
    """Train a method, or an attribute judge.

    A run folder holds last/ and best/, a log and sheets of samples. Training stops at Ctrl-C, saved, and goes on with
    --resume exactly where it was.

    \b
    Examples:
      visagist train ifcvae-gan --attributes Smiling --minutes 5 --out runs/first
      visagist train ifcvae-gan --data celeba:~/celeba --recipe ifcvae-gan/table3-ours --out runs/table3
      visagist train ifcvae-gan --data folder:photos --attributes Hat --set image_size=32 --set width=32 --out runs/hat
      visagist train ifcvae-gan --data folder:holiday --align --attributes Hat --out runs/hat
      visagist train ifcvae-gan --data celeba:~/celeba --attribute-set Facial --set negatives=2 --out runs/facial
      visagist train introvac --data celeba:~/celeba --attributes Smiling --devices 2 --max-restarts 3 --out runs/two
      visagist train judge --data celeba:~/celeba --recipe judge-64 --out runs/judge
      visagist train ifcvae-gan --attributes Smiling --minutes 5 --out runs/first --save-config first.toml
      visagist train --config first.toml --seed 1 --out runs/second
    """
    plan = options.plan
    check_settings(options.method, plan["settings"])
    check_budget(options.images, options.minutes)
    if not options.resume:
        check_fresh(options.out.expanduser())

    from visagist.pipelines import train as run
    from visagist.training.trainer import Interrupted

    if options.save_config is not None and "RANK" not in os.environ:
        _save_config(options)
    joined = int(os.environ.get("WORLD_SIZE", "1")) > 1
    if options.max_restarts and options.devices == 1 and not joined:
        raise VisagistError("--max-restarts is for several processes: add --devices, or run again with --resume")
    if options.devices > 1 and not joined:
        _launch(options, plan)
    first = int(os.environ.get("RANK", "0")) == 0
    try:
        with StageBars(say if first else None, show=first) as progress:
            trained = run.train(
                options.method, options.data, out=options.out, resume=options.resume, device=options.device,
                on_bad=options.on_bad, calibrate=options.calibrate, progress=progress, align=options.align,
                as_is=options.as_is, tracker=options.tracker, **plan,
            )  # fmt: skip
    except Interrupted:
        say(f"stopped; {options.out}/last is saved: continue with --resume")
        raise
    if first:
        print_line(trained)


def _save_config(options: TrainOptions) -> None:
    """Write the file of --save-config; VisagistError where another is there, or where what is asked for is no plan."""
    from visagist.pipelines.plan import make_plan

    path = (options.save_config or Path()).expanduser()
    make_plan(options.method, **options.plan)
    text = options.as_config()
    if path.exists() and (not path.is_file() or read_text(path) != text):
        raise VisagistError(f"{path} is there already and says something else: choose another --save-config")
    write_file(path, text)


def _launch(options: TrainOptions, chosen: dict[str, Any]) -> None:
    """Find what is wrong before any process starts, pack the data once, and leave the rest to torchrun."""
    from visagist.checkpoints.run_folder import check_run_folder
    from visagist.pipelines.plan import build_model, make_plan, training_faces
    from visagist.training.distributed import launch

    check_run_folder(options.out.expanduser(), options.resume)
    plan = make_plan(options.method, **chosen)
    if plan.training.batch_size % (options.devices * plan.training.accumulate):
        raise VisagistError(
            f"batch_size {plan.training.batch_size} cannot be shared by {options.devices} processes: choose a multiple of it"
        )
    with StageBars() as progress:
        data = aligned_data(options.data, options.align, progress) if options.data else None
        faces = training_faces(plan, data, on_bad=options.on_bad, progress=progress)
    build_model(plan, faces.names)
    # A later attempt must continue what the first one began, and that this one begins afresh is checked above.
    again = ["--resume"] if options.max_restarts and not options.resume else []
    raise typer.Exit(launch(options.devices, [*sys.argv[1:], *again], options.max_restarts))


def profile(
    method: Annotated[
        str,
        typer.Argument(
            help="A method of `visagist methods`, judge or landmarks.", show_default=False, callback=check_method
        ),
    ],
    recipe: Annotated[str | None, RECIPE] = None,
    data: Annotated[str | None, typer.Option(help="KIND:PATH, as celeba:PATH; drawn faces by default.")] = None,
    attributes: Annotated[str | None, typer.Option(help="What is learnt; Smiling unless a recipe says more.")] = None,
    width: Annotated[int | None, typer.Option(help="Of every network.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Faces a step.")] = None,
    image_size: Annotated[int | None, typer.Option(help="Side of the faces in pixels.")] = None,
    precision: Annotated[str | None, typer.Option(help="auto, fp32 or bf16.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    steps: Annotated[int, typer.Option(help="Steps to time, and then to profile.")] = 8,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="key=value of the data, the training or the method; repeatable.")
    ] = None,
    trace: Annotated[Path | None, typer.Option(help="Also write a trace, for chrome://tracing or Perfetto.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file that --trace names.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Where the time of a training step goes. Trains a few steps and keeps nothing of them.

    forward is the method's own code: the layers of each network, and the losses. backward belongs to the network whose
    layers are passed on the way back, whichever loss is on its way. other is the engine's own work. They add up to the step.

    share of measured peak: the step's convolutions and matrix products are run alone, forward and backward, on tensors of
    the same shapes, precision and memory format; their time divided by that of the step. What is missing to 100 % is all
    that is not such a kernel.

    \b
    Examples:
      visagist profile ifcvae-gan
      visagist profile ifcvae-gan --width 32 --batch-size 64 --precision fp32
      visagist profile introvac --recipe introvac/eyefacial-64 --json
      visagist profile vae --image-size 128 --steps 20 --trace step.json
    """
    short = {"batch_size": batch_size, "image_size": image_size, "precision": precision}
    given = {**{name: value for name, value in short.items() if value is not None}, **parse_pairs(settings or [])}
    check_settings(method, given)
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # torch's profiler announces its own stages on stderr

    from visagist.pipelines.profile import profile_step

    with allow_replacing(*[trace] if overwrite and trace is not None else []):
        measured = profile_step(
            method, data, recipe=recipe, attributes=split_names(attributes), settings=given, width=width, steps=steps,
            device=device, trace=trace, progress=StageBars(say, show=False),
        )  # fmt: skip
    if as_json:
        print_json(measured)
        return
    _print_profile(measured)
    if trace is not None:
        print_line(trace)


def _print_profile(measured: dict[str, Any]) -> None:
    from rich.table import Table

    step, timeline, kernels = measured["step"], measured["timeline"], measured["kernels"]
    whole = timeline["sum"]
    table = Table("ms of a step", "forward", "backward", "optimizer", "sum", "share")
    for network, spent in timeline["networks"].items():
        table.add_row(network, *(f"{ms:.1f}" for ms in spent.values()), *_with_share(sum(spent.values()), whole))
    for name in ("data", "other"):
        table.add_row(name, "", "", "", *_with_share(timeline[name], whole))
    table.add_row("step", *_phases(timeline), *_with_share(whole, whole))
    show(table)
    operators = Table("operator", "calls", "ms", "share")
    for row in measured["operators"]:
        operators.add_row(row["operator"], f"{row['calls']:g}", f"{row['ms']:.1f}", f"{row['share']:.1%}")
    show(operators)
    share = kernels["share_of_measured_peak"]
    settings = measured["settings"]
    size = f"batch of {settings['batch_size']}, {settings['image_size']} px"
    print_line(f"{settings['precision']}, {size}, {settings['device']}")
    print_line(f"a step takes {_between(step)} ms without the profiler, {timeline['clock']:.1f} ms with it")
    print_line(f"{step['images_per_second']:.1f} images/s, data loading is {timeline['data_share']:.2%} of the step")
    print_line(f"{kernels['flops'] / 1e9:.2f} GFLOP a step, {kernels['flops_per_second'] / 1e9:.1f} GFLOP/s")
    print_line(f"the same kernels alone take {_between(kernels['alone'])} ms: {kernels['measured_peak'] / 1e9:.1f} GFLOP/s")
    print_line(
        f"share of measured peak: {share['median']:.1%} (quartiles {share['quarter']:.1%} to {share['three_quarters']:.1%})"
    )


def _with_share(ms: float, whole: float) -> tuple[str, str]:
    return f"{ms:.1f}", f"{ms / whole:.1%}"


def _phases(timeline: dict[str, Any]) -> list[str]:
    networks = timeline["networks"].values()
    return [f"{sum(spent[phase] for spent in networks):.1f}" for phase in ("forward", "backward", "optimizer")]


def _between(spread: dict[str, float]) -> str:
    return f"{spread['median']:.1f} ({spread['quarter']:.1f} to {spread['three_quarters']:.1f})"
