"""`visagist sample`: new faces, with attributes that are asked for where the model can be asked."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from visagist.boundary.ownership import take_folder
from visagist.cli.console import given_values, print_json, print_line, say
from visagist.cli.inputs import load_editor
from visagist.cli.options import MODEL
from visagist.errors import VisagistError, nearest
from visagist.photos.provenance import Step, make_step
from visagist.progress import ProgressBar

if TYPE_CHECKING:
    from visagist.editing.editor import Editor
    from visagist.latent.conditional_sampling import Rate, SamplingConfig
    from visagist.latent.generation import Samples

SHEET = "sheet.png"
ON_THE_SHEET = 256


def sample(
    model: Annotated[str, MODEL],
    out: Annotated[Path, typer.Option(help="The folder of the pictures.", show_default=False)],
    given: Annotated[str | None, typer.Option(help="NAME=1 or NAME=0, with commas; without it, any faces.")] = None,
    number: Annotated[int, typer.Option(help="How many faces.")] = 64,
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Of all noise.")] = 0,
    recipe: Annotated[
        str, typer.Option(help="default, posterior: p(z|y) itself, or paper: as IntroVAC's Figure 8.")
    ] = "default",
    steps: Annotated[int | None, typer.Option(help="Of each chain; the recipe's if not given.")] = None,
    step_size: Annotated[float | None, typer.Option(help="alpha; the recipe's if not given.")] = None,
    confidence: Annotated[float | None, typer.Option(help="The least probability of each value; the recipe's.")] = None,
    weight: Annotated[float | None, typer.Option(help="Of the classifier against the prior; the recipe's.")] = None,
    temperature: Annotated[float | None, typer.Option(help="Up to 1: lower is plainer and less various.")] = None,
    chain: Annotated[str | None, typer.Option(help="langevin, or adjusted by Metropolis; the recipe's.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print what was measured and written as JSON.")] = False,
) -> None:
    """Generate faces that have, or lack, the attributes that are given.

    A model that classifies its codes is searched by Langevin chains, and what it does not read as asked is rejected. A
    model that decodes labels gets them set. Writes 0000.png and so on, and sheet.png with the first 256.

    \b
    Examples:
      visagist sample runs/introvac --given Eyeglasses=1,Smiling=0 --number 64 --out glasses
      visagist sample runs/introvac --given Eyeglasses=1 --recipe paper --out glasses-as-published
      visagist sample ifcvae-gan-smiling-64 --given Smiling=1 --out smiling
      visagist sample ifcvae-gan-smiling-64 --number 16 --seed 7 --out any
    """

    asked = given_values(given)
    changes = {
        "steps": steps, "step_size": step_size, "confidence": confidence, "weight": weight, "temperature": temperature,
        "chain": chain,
    }  # fmt: skip
    settings = _settings(recipe, **changes)
    names = [f"{i:04d}.png" for i in range(number)]
    _check_folder(out, {*names, SHEET})
    editor = load_editor(model, device)
    samples = _draw(editor, number, seed, settings, asked)
    if samples.how != "chain" and (recipe != "default" or any(value is not None for value in changes.values())):
        say(f"no chains were run, so their options did nothing: {_no_chain_reason(samples, editor)}")
    words = ", ".join(f"{name}={value:g}" for name, value in asked.items()) or "any face"
    _write_pictures(samples, out, names, make_step("generated", editor, f"{words}, seed {seed}"))
    if as_json:
        print_json(_facts(editor, samples, asked, settings, seed, out, names))
        return
    for line in _lines(samples, asked, settings):
        print_line(line)
    print_line(out / SHEET)


def _no_chain_reason(samples: Samples, editor: Editor) -> str:
    if samples.how == "prior":
        return "no attribute is given, and any face is drawn from the prior itself"
    return f"{editor.name} is conditioned through its labels"


def _settings(recipe: str, **changes: Any) -> SamplingConfig:
    import dataclasses

    from visagist.latent.conditional_sampling import RECIPES

    if recipe not in RECIPES:
        raise VisagistError(f"no recipe {recipe!r} of chains: {nearest(recipe, RECIPES)}")
    return dataclasses.replace(RECIPES[recipe], **{key: value for key, value in changes.items() if value is not None})


def _check_folder(out: Path, names: set[str]) -> None:
    """VisagistError where pictures could not be written, or would lie among those of a larger sample."""
    if out.exists() and not out.is_dir():
        raise VisagistError(f"{out} is a file: give a folder as --out")
    take_folder(out, names)
    there = sorted(path.name for path in out.iterdir()) if out.is_dir() else []
    strange = [name for name in there if re.fullmatch(r"\d{4,}\.png", name) and name not in names]
    if strange:
        raise VisagistError(f"{out} holds {strange[0]} of a larger sample, which this would mix with: choose another --out")


def _draw(editor: Editor, number: int, seed: int, settings: SamplingConfig, asked: dict[str, Any]) -> Samples:
    with ProgressBar("sampling") as progress:
        return editor.sample(number, seed=seed, settings=settings, progress=progress, **asked)


def _write_pictures(samples: Samples, out: Path, names: list[str], step: Step) -> None:
    from PIL import Image

    from visagist.editing.contact_sheets import sheet
    from visagist.photos.encode import write_picture

    for name, image in zip(names, samples.images):
        write_picture(Image.fromarray(image), out / name, step)
    write_picture(sheet(samples.images[:ON_THE_SHEET]), out / SHEET, step)


def _lines(samples: Samples, asked: dict[str, float], settings: SamplingConfig) -> list[str]:
    """What was measured, for a person."""
    findings, lines = samples.findings, []
    if findings is not None:
        alpha, steps, time = settings.step_size, settings.steps, settings.step_size * settings.steps
        lines += [
            f"{findings.acceptance.n} chains of {steps} steps of {alpha:g} (alpha K = {time:g})",
            f"accepted, before rejection: {_share(findings.acceptance)}, with a confidence of {settings.confidence:g}",
            f"of the prior: {_share(findings.prior)}",
        ]
        for name, bias in findings.bias.items():
            lines.append(
                f"bias of {name}, before rejection: {bias.difference:+.3f} [{bias.low:+.3f}, {bias.high:+.3f}]; the chains "
                f"are at {bias.chains:+.3f}, the posterior at {bias.posterior:+.3f} standard deviations of the prior"
            )
        if not findings.bias:
            lines.append("bias: not measured, too little of the prior is as asked")
    for name, mean in samples.probability.items():
        lines.append(f"mean probability of {name}={asked[name]:g} by the model's own classifier: {mean:.3f}")
    return lines


def _share(rate: Rate) -> str:
    return f"{100 * rate.value:.1f} % [{100 * rate.low:.1f}, {100 * rate.high:.1f}] of {rate.n}"


def _facts(
    editor: Editor,
    samples: Samples,
    asked: dict[str, float],
    settings: SamplingConfig,
    seed: int,
    out: Path,
    names: list[str],
) -> dict[str, Any]:
    """What was measured and written, for a script."""
    import dataclasses

    findings = samples.findings
    facts: dict[str, Any] = {"model": editor.name, "given": asked, "how": samples.how, "seed": seed}
    if findings is not None:
        facts |= {
            "settings": dataclasses.asdict(settings),
            "acceptance": findings.acceptance._asdict(),
            "prior": findings.prior._asdict(),
            "bias": {name: bias._asdict() for name, bias in findings.bias.items()},
        }
    files = [str(out / name) for name in names]
    return {**facts, "probability": samples.probability, "files": files, "sheet": str(out / SHEET)}
