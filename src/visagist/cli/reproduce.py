"""`visagist reproduce`: published tables and figures, trained and measured here, beside what was published."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Any

import typer

from visagist.cli.console import print_json, print_line, say, show, split_names
from visagist.cli.options import check_methods, check_reproduction, interval_cell
from visagist.errors import VisagistError
from visagist.progress import StageBars


def reproduce(
    name: Annotated[
        str | None,
        typer.Argument(help="A name of --list, as ifcvae-gan/table3.", show_default=False, callback=check_reproduction),
    ] = None,
    scale: Annotated[str, typer.Option(help="paper: as published; study: hours; small: minutes; smoke: seconds.")] = "small",
    data: Annotated[str | None, typer.Option(help="KIND:PATH, as celeba:PATH; smoke draws its faces.")] = None,
    other: Annotated[str | None, typer.Option(help="Another source to measure on; drawn faces if not given.")] = None,
    out: Annotated[Path | None, typer.Option(help="The folder of runs, verdicts and page.", show_default=False)] = None,
    minutes: Annotated[
        float | None, typer.Option(help="Of small, 20 if not given; of study and paper, of this call.")
    ] = None,
    features: Annotated[str | None, typer.Option(help="For distances: squeezenet11:FILE.h5 or FILE.onnx.")] = None,
    identity: Annotated[Path | None, typer.Option(help="A face embedder as ONNX, for the reports.")] = None,
    judges: Annotated[
        str | None, typer.Option(help="Beside judge-64, as face-api:FOLDER,geometry: the lowest counts.")
    ] = None,
    without: Annotated[
        str | None, typer.Option(help="Families of figures to leave out of the reports, as leakage, the slowest.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
    seed: Annotated[int, typer.Option(help="Of training, faces, intervals and samples.")] = 0,
    seeds: Annotated[int | None, typer.Option(help="Trainings of each row; 3 for study, else 1 if not given.")] = None,
    row: Annotated[
        list[str] | None, typer.Option("--row", help="Train this row alone, by its label; repeat for more.")
    ] = None,
    any_code: Annotated[bool, typer.Option("--any-code", help="Use finished runs of other code or precision.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the entry of verdicts.json.")] = False,
    as_list: Annotated[bool, typer.Option("--list", help="What can be reproduced.")] = False,
    as_summary: Annotated[bool, typer.Option("--summary", help="What was reproduced into --out, by verdict.")] = False,
) -> None:
    """Train and measure every row of a published table or figure, and print it beside the published figures.

    Each figure gets a verdict: reached, short by, not comparable because, or not run: needs. Writes verdicts.json and
    index.html after every row. Names that share a folder share their models. Ctrl-C saves, and so does the end of --minutes
    at the scales study and paper: the same command goes on.

    \b
    Examples:
      visagist reproduce --list
      visagist reproduce --summary --out reproduced
      visagist reproduce ifcvae-gan/table3 --scale smoke --out reproduced
      visagist reproduce ifcvae-gan/table3 --scale small --data celeba:~/celeba --out reproduced
      visagist reproduce residual-gan/figure5 --data celeba:~/celeba --other folder:~/lfw --out reproduced
      visagist reproduce introvac/table1 --data celeba:~/celeba --features squeezenet11:squeezenet.h5 --out reproduced
      visagist reproduce ifcvae-gan/table3 --scale study --minutes 60 --data celeba:~/celeba --out study
      visagist reproduce ifcvae-gan/table3 --seeds 3 --data celeba:~/celeba --out reproduced
      visagist reproduce ifcvae-gan/table2 --scale paper --data celeba:~/celeba --device cuda --out published
    """
    from visagist.reproduction.reproduce import reproduce as run
    from visagist.training.trainer import Interrupted

    if as_list:
        _list(as_json)
        return
    if as_summary:
        _summarise(out, as_json)
        return
    if name is None:
        raise VisagistError("name what to reproduce, such as ifcvae-gan/table3; visagist reproduce --list has all names")
    if out is None:
        raise VisagistError("give --out, the folder of runs, verdicts and page")
    try:
        with StageBars(say) as progress:
            entry = run(
                name, scale=scale, data=data, other=other, out=out, minutes=minutes, features=features, identity=identity,
                judges=split_names(judges, "--judges") or (), without=split_names(without, "--without") or (), device=device,
                seed=seed, seeds=seeds, rows=row or (), any_code=any_code, progress=progress,
            )  # fmt: skip
    except Interrupted:
        say("stopped and saved: the same command goes on")
        raise
    if as_json:
        print_json(entry)
        return
    _print(entry)
    if entry["unfinished"]:
        print_line(f"{len(entry['unfinished'])} trainings are left: the same command goes on")
    print_line(out / "index.html")


def _print(entry: dict[str, Any]) -> None:
    from rich.table import Table

    from visagist.reports.reproduction_page import judged, number, spread

    table = Table("row", "figure", "published", "ours", "verdict")
    for cell in entry["cells"]:
        ours = cell["ours"]
        measured = "–" if ours is None else f"{number(ours['value'])} [{number(ours['low'])}, {number(ours['high'])}]"
        if cell.get("judges"):
            measured += f"; {judged(cell)}"
        if "between_runs" in cell:
            measured += f"; {spread(cell['between_runs'])}"
        published = "–" if cell["published"] is None else number(cell["published"])
        table.add_row(cell["row"], cell["key"], published, measured, cell["verdict"])
    show(table)


def _summarise(out: Path | None, as_json: bool) -> None:
    from rich.table import Table

    from visagist.reproduction.files import summary

    if out is None:
        raise VisagistError("give --out, the folder that was reproduced into")
    records = summary(out)
    if as_json:
        print_json(records)
        return
    heads = ("reached", "short", "would reach", "would be short", "unpublished", "other kind", "not run")
    table = Table("name", "scale", "models", "images each", "faces", "minutes", *heads)
    for record in records:
        least, most = record["images"] or (0, 0)
        images = f"{least:,}" if least == most else f"{least:,} to {most:,}"
        counts = [str(record[head.replace(" ", "_")]) for head in heads]
        faces = "–" if record["judged_faces"] is None else str(record["judged_faces"])
        table.add_row(
            record["name"], record["scale"], str(record["models"]), images, faces, f"{record['seconds'] / 60:.1f}", *counts
        )
    show(table)


def _list(as_json: bool) -> None:
    from rich.table import Table

    from visagist import recipes
    from visagist.reproduction.spec import available

    reproductions = available()
    facts: list[dict[str, Any]] = [
        {
            "name": reproduction.name,
            "title": reproduction.title,
            "source": reproduction.source,
            "rows": [row.label for row in reproduction.rows],
            "hours": sum(recipes.get(row.recipe).hours for row in reproduction.rows),
        }
        for reproduction in reproductions.values()
    ]
    if as_json:
        print_json(facts)
        return
    table = Table("name", "what", "rows", "hours of --scale paper on two cores", "source")
    for fact in facts:
        table.add_row(fact["name"], fact["title"], str(len(fact["rows"])), f"{fact['hours']:,.0f}", fact["source"])
    show(table)


def bench(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[METHOD]...", help="Methods; else all that edit or have a code.", callback=check_methods),
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
    seeds: Annotated[int, typer.Option(help="Trainings of each model, by as many seeds.")] = 1,
    any_code: Annotated[bool, typer.Option("--any-code", help="Use finished runs of other code or precision.")] = False,
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
        seed, seeds, parse_pairs(sets or []),
    )  # fmt: skip
    try:
        with StageBars(say) as progress:
            result = run_bench(plan, out, device=device, any_code=any_code, command=_command(plan, out), progress=progress)
    except Interrupted:
        say("stopped and saved: the same command goes on")
        raise
    if as_json:
        print_json(result)
        return
    _print_bench(result)
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
    words += ["--seeds", str(plan.seeds)] if plan.seeds > 1 else []
    words += [part for key, value in plan.settings.items() for part in ("--set", f"{key}={value}")]
    return shlex.join([*words, "--out", str(out)])


def _print_bench(result: dict[str, Any]) -> None:
    from rich.table import Table

    other = result["manifest"]["plan"]["pair"][1]
    keys = (f"confusion_true.{other}", f"confusion.{other}", "reach", "progress", "error")
    table = Table("method", "planted", "setting", f"{other} along, in pixels", "as the model shows it", *keys[2:])
    between = {(b["method"], b["planted"], b["setting"], b["key"]): b for b in result["between_runs"]}
    for line in result["lines"]:
        if line["seed"] != result["manifest"]["plan"]["seed"]:
            continue
        for setting in ("fitted", "paper", "photograph"):
            cells = []
            for key in keys:
                text = interval_cell(line["measures"][setting].get(key))
                spread = between.get((line["method"], line["planted"], setting, key))
                if spread is not None:
                    text += f"; {spread['mean']:.3f} ± {spread['sd']:.3f} over {len(spread['values'])} seeds"
                cells.append(text)
            table.add_row(line["method"], f"{line['planted']:g}", setting, *cells)
    show(table)
