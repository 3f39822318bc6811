"""`visagist calibrate`, `visagist vectors` and `visagist factor`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from visagist.cli.console import print_json, print_line, say, show, split_names, tell_terms_once
from visagist.cli.options import CROP, DATA, DEVICE, Crop, Data, Device, Model, check_judge, check_model
from visagist.errors import VisagistError, nearest
from visagist.progress import StageBars


def calibrate(
    model: Model,
    data: Data,
    number: Annotated[int, typer.Option(help="Validation faces of each class.")] = 300,
    judges: Annotated[
        str | None,
        typer.Option(help="Judges that never score, with commas between; else judge-64-robust-b and judge-64-b."),
    ] = None,
    crop: Crop = None,
    device: Device = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print the record.")] = False,
) -> None:
    """Fit what strengths from −1 to 1 mean for a model, on validation faces, with judges that never score.

    `visagist train` does so by itself; this is for other data, or a model that was not calibrated.

    \b
    Example:
      visagist calibrate runs/first --data celeba:~/celeba
    """
    from visagist.pipelines import calibrate as fitting

    tell_terms_once()
    named = None if judges is None else [check_judge(name) for name in split_names(judges) or ()]
    with StageBars(say) as progress:
        record = fitting.calibrate(model, data, number=number, judges=named, crop=crop, device=device, progress=progress)
    if as_json:
        print_json(record)
        return
    for attribute, ways in record.items():
        for way, fitted in ways.items():
            if not fitted["calibrated"]:
                print_line(f"{attribute} {way}: not calibrated, the judge does not know it")
                continue
            start, end, real = (fitted[key] for key in ("median_judge_at_0", "median_judge_at_1", "target_median"))
            far = "does not reach" if not fitted["reached"] else "reaches" if end >= real else "is sure enough beside"
            print_line(
                f"{attribute} {way}: the judge's median goes from {start:.2f} to {end:.2f}, which {far} that of real "
                f"faces, {real:.2f}"
            )


def factor(
    model: Annotated[
        str, typer.Argument(help="A zoo model, run or checkpoint folder.", show_default=False, callback=check_model)
    ],
    data: Annotated[str, DATA],
    out: Annotated[Path, typer.Option(help="The new model folder to write.", show_default=False)],
    target: Annotated[
        str, typer.Option(help="marginal: the code tells nothing; conditional: nothing beyond what other labels tell.")
    ] = "marginal",
    given: Annotated[
        str | None, typer.Option(help="Those labels, with commas between; else all that do not overlap the attribute.")
    ] = None,
    crop: Annotated[str | None, CROP] = None,
    device: Annotated[str, DEVICE] = "auto",
    calibrate: Annotated[bool, typer.Option(help="Fit how far edits go, and their strength, on validation faces.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was fitted.")] = False,
) -> None:
    """Take what tells the attributes out of a trained model's codes, so that an edit moves all of it.

    For models that decode labels beside a code. Networks and reconstructions stay as they are: the code is moved, by
    a transport between the codes of faces with and without the attribute, to where both look alike, and is moved back
    for the label that is asked for: as far beyond the mean of that class as it takes for the calibrating judge to see it.

    \b
    Examples:
      visagist factor ifcvae-gan-smiling-64 --data celeba:~/celeba --out models/factored
      visagist factor runs/beard --data celeba:~/celeba --target conditional --out models/beard
      visagist factor runs/beard --data celeba:~/celeba --target conditional --given Male,Young --out models/beard
      visagist evaluate models/factored --data celeba:~/celeba --out reports/factored
    """
    from rich.table import Table

    from visagist.latent.optimal_transport import TARGETS
    from visagist.pipelines import factor as factoring

    if target not in TARGETS:
        raise VisagistError(f"no target {target!r}: {nearest(target, TARGETS)}")
    if given is not None and target != "conditional":
        raise VisagistError("--given names labels that the code may go on telling: add --target conditional")
    tell_terms_once()
    with StageBars(say) as progress:
        facts = factoring.factor(
            model, data, out=out, target=target, given=split_names(given, "--given"), crop=crop, device=device,
            calibrated=calibrate, progress=progress,
        )  # fmt: skip
    if as_json:
        print_json([asdict(fact) for fact in facts])
        return
    table = Table(
        "attribute", "faces without", "faces with", "between the means, in deviations", "stretch", "tells nothing beyond",
        "edits without, with go on by", "and are seen",
    )  # fmt: skip
    for fact in facts:
        stretch = f"{fact.stretch[0]:.2f} to {fact.stretch[1]:.2f}"
        beyond = f"{len(fact.given)} labels" if fact.given else "nothing"
        seen = "not asked" if fact.seen is None else " and ".join(f"{share:.1%}" for share in fact.seen)
        table.add_row(
            fact.attribute, f"{fact.n_absent:,.0f}", f"{fact.n_present:,.0f}", f"{fact.distance:.2f}", stretch, beyond,
            " and ".join(f"{reach:g}" for reach in fact.reach), seen,
        )  # fmt: skip
    show(table)


def vectors(
    model: Annotated[
        str, typer.Argument(help="A run or checkpoint folder of yours.", show_default=False, callback=check_model)
    ],
    data: Annotated[str, DATA],
    attributes: Annotated[
        str | None, typer.Option(help="Any that the faces are labelled with; else the model's, or all.")
    ] = None,
    number: Annotated[int, typer.Option(help="At most so many training faces of each class for a vector.")] = 2000,
    rule: Annotated[
        str, typer.Option(help="How faces move: toward one place beyond the class, or by one step, z + alpha v.")
    ] = "toward",
    match: Annotated[
        str | None, typer.Option(help="Labels that faces with and without shall have alike, with commas between.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the faces that are drawn.")] = 0,
    crop: Annotated[str | None, CROP] = None,
    device: Annotated[str, DEVICE] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print what was fitted.")] = False,
) -> None:
    """Give a model that has a code but no edit its attribute vectors: mean code with, less mean code without.

    The vectors and the strength of their edits are stored in the model's folder; from then on it edits by them.

    \b
    Examples:
      visagist vectors runs/wgan --data celeba:~/celeba --attributes Smiling,Eyeglasses,Bald
      visagist vectors runs/wgan --data celeba:~/celeba --attributes Bald,Eyeglasses --match Male,Young
      visagist edit runs/wgan face.jpg --set Smiling=1 --out smiling.png
      visagist vectors runs/first --data synthetic:2000 --number 500 --json
    """
    from rich.table import Table

    from visagist.pipelines import fit_vectors as fitting

    tell_terms_once()
    with StageBars(say) as progress:
        fitted = fitting.fit_vectors(
            model,
            data,
            attributes=split_names(attributes),
            number=number,
            rule=rule,
            match=split_names(match, "--match") or (),
            seed=seed,
            crop=crop,
            device=device,
            progress=progress,
        )
    if as_json:
        print_json([
            {"attribute": v.attribute, "with": v.n_with, "without": v.n_without, "length": v.length} for v in fitted
        ])  # fmt: skip
        return
    table = Table("attribute", "faces with", "faces without", "length", "in deviations of the codes")
    for v in fitted:
        assert v.length is not None
        table.add_row(v.attribute, f"{v.n_with:,}", f"{v.n_without:,}", f"{v.length:.2f}", f"{v.length / v.unit:.2f}")
    show(table)
