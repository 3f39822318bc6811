"""`visagist methods`, `recipes`, `doctor` and `demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from visagist.cli.console import print_json, print_line, say, show

AS_JSON = typer.Option("--json", help="Print JSON.")


def methods(as_json: Annotated[bool, AS_JSON] = False) -> None:
    """What can be trained: methods with their papers and settings, the attribute judge, the landmark network.

    \b
    Examples:
      visagist methods
      visagist methods --json
    """
    from rich.table import Table

    from visagist.methods.base import CAPABILITIES, Method
    from visagist.pipelines import plan

    found = plan.trainables()
    if as_json:
        print_json([_facts(name, cls) for name, cls in found.items()])
        return
    table = Table("name", "what", "paper", "can")
    for name, cls in found.items():
        if issubclass(cls, Method):
            table.add_row(name, cls.title, cls.paper, ", ".join(c for c in CAPABILITIES if c in cls.capabilities))
        else:
            table.add_row(name, cls.title, "", "score" if cls.kind == "judge" else "place five points")
    show(table)


def _facts(name: str, cls: type) -> dict[str, object]:
    import dataclasses

    return {
        "name": name,
        "title": getattr(cls, "title", ""),
        "paper": getattr(cls, "paper", ""),
        "capabilities": sorted(getattr(cls, "capabilities", ())),
        "settings": dataclasses.asdict(cls.Config()),  # type: ignore[attr-defined]
    }


def recipes(
    name: Annotated[str | None, typer.Argument(help="Show one recipe whole.", show_default=False)] = None,
    as_json: Annotated[bool, AS_JSON] = False,
) -> None:
    """Experiments by name: method, settings, expected scores and hours on two CPU cores.

    \b
    Examples:
      visagist recipes
      visagist recipes ifcvae-gan/table3-ours
    """
    import dataclasses

    from rich.table import Table

    from visagist.recipes import available, get

    if name is not None:
        print_json(dataclasses.asdict(get(name)))
        return
    found = available()
    if as_json:
        print_json([dataclasses.asdict(recipe) for recipe in found.values()])
        return
    table = Table("recipe", "method", "attributes", "images", "hours", "expected", "source")
    for recipe in found.values():
        expected = "  ".join(f"{key.removeprefix('reconstruction.')} {value:g}" for key, value in recipe.expected.items())
        attributes = recipe.attribute_set or ", ".join(recipe.attributes[:3]) + " …" * (len(recipe.attributes) > 3)
        table.add_row(
            recipe.name, recipe.method, attributes or "all", f"{recipe.training.images:,}", f"{recipe.hours:g}", expected,
            recipe.source,
        )  # fmt: skip
    show(table)


def doctor(as_json: Annotated[bool, AS_JSON] = False) -> None:
    """What this installation has: versions, devices, arithmetic, shipped models; and what could be better.

    \b
    Examples:
      visagist doctor
      visagist doctor --json
    """
    from visagist.diagnosis import diagnose

    report = diagnose()
    if as_json:
        print_json(report)
        return
    for group, facts in report.items():
        if isinstance(facts, dict):
            print_line(group)
            for key, value in facts.items():
                print_line(f"  {key:<44}{', '.join(map(str, value)) if isinstance(value, list) else value}")
        else:
            for line in facts:
                print_line(f"! {line}")


def demo(
    out: Annotated[Path, typer.Option(help="The folder to write.")] = Path("demo"),
    model: Annotated[str | None, typer.Option(help="A model; by default the best shipped one for the smile.")] = None,
    seed: Annotated[int, typer.Option(help="Which faces are drawn.")] = 0,
) -> None:
    """Edit a portrait and a sheet of drawn faces with the shipped model, offline, into a page to look at.

    \b
    Example:
      visagist demo --out demo
    """
    from visagist.reports.demo import make_page

    print_line(make_page(out, model=model, seed=seed, say=say))
