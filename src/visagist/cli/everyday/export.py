"""`visagist export`: a model that runs without torch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from visagist.cli.console import print_json, print_line
from visagist.cli.options import Model
from visagist.errors import VisagistError, nearest

FORMATS, PRECISIONS = ("onnx", "web"), ("fp32", "fp16", "int8")


def export(
    model: Model,
    out: Annotated[Path, typer.Option(help="The folder to write.", show_default=False)],
    format: Annotated[str, typer.Option(help="onnx: graphs and weights; web: a page that edits in a browser.")] = "onnx",
    precision: Annotated[str, typer.Option(help="fp32; fp16 halves the weights, int8 quarters them.")] = "fp32",
    data: Annotated[
        str | None, typer.Option(help="Faces to compare with torch on, and to quantise by; drawn ones without.")
    ] = None,
    identity: Annotated[str | None, typer.Option(help="A face embedder, ONNX: what int8 loses of identity.")] = None,
    refiner: Annotated[str, typer.Option(help="Of a page: a refiner's folder; auto: the shipped one.")] = "auto",
    finder: Annotated[
        Path | None, typer.Option(help="Of a page: a trained finder's folder; the shipped one without.", show_default=False)
    ] = None,
    runtime: Annotated[
        str | None,
        typer.Option(help="Of a page: a folder of onnxruntime-web, or npm, which downloads it once.", show_default=False),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was written as JSON.")] = False,
) -> None:
    """Write a model as ONNX graphs, which onnxruntime runs without torch.

    Every graph is compared with torch on 200 faces, and the largest difference is printed and kept in the card. The folder
    is a model folder, for all commands with `--backend onnx` too.

    \b
    Examples:
      visagist export ifcvae-gan-factored-64 --out factored
      visagist export runs/first --precision int8 --data celeba:PATH --out small
      visagist export ifcvae-gan-factored-64 --format web --runtime npm --out site
    """
    for option, value, known in (("--format", format, FORMATS), ("--precision", precision, PRECISIONS)):
        if value not in known:
            raise VisagistError(f"no {option} {value!r}: {nearest(value, known)}")
    from visagist.exporting.folder import export_onnx
    from visagist.progress import Messages

    if format == "web":
        _export_web(model, out, data, refiner, finder, runtime, as_json)
        return
    exported = export_onnx(model, out, precision, _faces(model, data), identity=identity, progress=Messages())  # type: ignore[arg-type]
    facts = {"folder": str(out), "bytes": exported.size, "difference_to_torch": exported.differences, **exported.facts}
    if as_json:
        print_json(facts)
        return
    for name, difference in exported.differences.items():
        print_line(f"{name:<12}differs from torch by at most {difference:.1e}")
    for name, value in exported.facts.items():
        print_line(f"{name:<26}{', '.join(value) or 'nowhere' if isinstance(value, list) else value}")
    print_line(f"{out}  {exported.size / 2**20:.1f} MiB")


def _export_web(
    model: str, out: Path, data: str | None, refiner: str, finder: Path | None, runtime: str | None, as_json: bool
) -> None:
    from visagist.exporting.web import export_web
    from visagist.progress import Messages

    faces: Any = _faces(model, data)
    site = export_web(
        model, out, faces, refiner=refiner, finder_model=finder, runtime=runtime, progress=Messages()
    )  # fmt: skip
    if as_json:
        facts = {"folder": str(out), "bytes": site.size, "first_visit_bytes": site.download}
        print_json({**facts, "difference_to_torch": site.differences})
        return
    for name, difference in site.differences.items():
        print_line(f"{name:<12}differs from torch by at most {difference:.1e}")
    print_line(f"{out}  {site.download / 2**20:.1f} MiB at a first visit; look at it: python -m http.server -d {out}")


def _faces(model: str, data: str | None) -> object:
    """The faces of a source at the model's size and crop; None without one."""
    if data is None:
        return None
    from visagist.checkpoints.folders import read_description
    from visagist.pipelines.calibrate import faces_for
    from visagist.pretrained import find_model

    return faces_for(read_description(find_model(model).folder), data, None, True)
