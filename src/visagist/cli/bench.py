"""`visagist bench`: which methods confuse attributes, on drawn faces whose true edits are known."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Any

import typer

from visagist.cli.console import print_json, print_line, say, show, split_names
from visagist.errors import VisagistError


def bench(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[METHOD]...", help="Methods; else all that edit or have a code.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The folder of runs and page.", show_default=False)] = None,
    pair: Annotated[str, typer.Option(help="What is edited, and what goes with it.")] = "No_Beard,Wearing_Hat",
    correlations: Annotated[str, typer.Option(help="Of the pair among training faces: a model each.")] = "0,.5,.9",
    size: Annotated[int, typer.Option(help="Side of the faces in pixels.")] = 32,
    images: Annotated[int | None, typer.Option(help="Training images of each model; 30000 if not given.")] = None,
    minutes: Annotated[float | None, typer.Option(help="Or minutes of training of each model.")] = None,
    faces: Annotated[int, typer.Option(help="Drawn faces for training: of ten, eight train, one validates.")] = 4000,
    test: Annotated[int, typer.Option(help="Fresh drawn faces to measure on.")] = 300,
    seed: Annotated[int, typer.Option(help="Of faces, weights, training and intervals.")] = 0,
    sets: Annotated[list[str] | None, typer.Option("--set", help="Of every method that has it: key=value.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print bench.json.")] = False,
) -> None:
    """Train methods on drawn faces whose attributes go together, and measure their edits against the true pictures.

    Every model learns the first attribute of the pair and is told nothing of the second. Fresh faces, whose attributes are
    independent, show whether an edit of the first takes the second along. Writes bench.html, bench.json, bench.csv and
    bench.png. Ctrl-C saves, and the same command goes on.

    \b
    Examples:
      visagist bench ifcvae-gan vae --out bench
      visagist bench ifcvae-gan cvae-gan residual-gan --pair Eyeglasses,Smiling --correlations 0,.9 --out bench
      visagist bench --minutes 5 --size 64 --out bench-64
    """
    from visagist.bench import Plan, run_bench
    from visagist.settings import parse_pairs
    from visagist.training.trainer import Interrupted

    if out is None:
        raise VisagistError("give --out, the folder of runs and page")
    plan = Plan(
        tuple(names or ()), split_names(pair, "--pair") or (), _numbers(correlations), size, images, minutes, faces, test,
        seed, parse_pairs(sets or []),
    )  # fmt: skip
    try:
        result = run_bench(plan, out, device=device, command=_command(plan, out), show=True, say=say)
    except Interrupted:
        say("stopped and saved: the same command goes on")
        raise
    if as_json:
        print_json(result)
        return
    _print(result)
    print_line(out / "bench.html")


def _numbers(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise VisagistError(f"--correlations {text!r} are no numbers: write them with commas between, as 0,.5,.9") from error


def _command(plan: Any, out: Path) -> str:
    """What makes this bench again."""
    budget = ["--minutes", f"{plan.minutes:g}"] if plan.minutes is not None else ["--images", str(plan.budget)]
    words = [
        "visagist", "bench", *plan.methods, "--pair", ",".join(plan.pair),
        "--correlations", ",".join(f"{value:g}" for value in plan.correlations), "--size", str(plan.size), *budget,
        "--faces", str(plan.faces), "--test", str(plan.test), "--seed", str(plan.seed),
    ]  # fmt: skip
    words += [part for key, value in plan.settings.items() for part in ("--set", f"{key}={value}")]
    return shlex.join([*words, "--out", str(out)])


def _print(result: dict[str, Any]) -> None:
    from rich.table import Table

    other = result["manifest"]["plan"]["pair"][1]
    keys = (f"confusion_true.{other}", f"confusion.{other}", "reach", "progress", "error")
    table = Table("method", "planted", "setting", f"{other} along, in pixels", "as the model shows it", *keys[2:])
    for line in result["lines"]:
        for setting in ("fitted", "paper"):
            found = [line["measures"][setting].get(key) for key in keys]
            cells = ["–" if m is None else f"{m['value']:.3f} [{m['low']:.3f}, {m['high']:.3f}]" for m in found]
            table.add_row(line["method"], f"{line['planted']:g}", setting, *cells)
    show(table)
