"""`visagist align`: ordinary photographs to aligned faces."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from visagist.boundary.ownership import carries_mark, holds_only, refuse_inputs, take_folder
from visagist.cli.console import print_json, print_line, say
from visagist.cli.edit import FACE, NO_FACE, SOME_FAILED
from visagist.errors import VisagistError


def align(
    photos: Annotated[list[str], typer.Argument(metavar="PHOTO...", help="Files, folders, patterns.", show_default=False)],
    out: Annotated[Path, typer.Option(help="The folder to write.", show_default=False)],
    face: Annotated[str, FACE] = "largest",
    side: Annotated[
        int | None, typer.Option(help="Squares of so many pixels.", show_default="178×218, as CelebA's")
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, max=64, help="How many photos at a time.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was done as JSON.")] = False,
) -> None:
    """Find the faces of photographs and write each upright and cut out, as methods are trained on.

    Of one folder, the folders in it are taken too, and its tables of labels are copied: folder:OUT is data to train on. What
    is there already of an unchanged photograph is kept. Exit status: 0 done, 2 wrong usage, 3 some show no face, 4 some
    cannot be read.

    \b
    Examples:
      visagist align holiday --out aligned
      visagist align me.jpg you.jpg --side 256 --out aligned
      visagist align group.jpg --face all --out aligned
    """
    import dataclasses

    from visagist.cli.inputs import files_of, refuse_file_name
    from visagist.data.layouts.label_tables import TABLES
    from visagist.editing.selection.face_choice import read_choice
    from visagist.pipelines.align import AlignedForm, align_folder, align_photos
    from visagist.progress import ProgressBar

    form = AlignedForm(read_choice(face), side)
    form.check()
    if out.exists() and not out.is_dir():
        raise VisagistError(f"{out} is a file: give a folder as --out")

    def is_result(path: Path) -> bool:
        return carries_mark(path) or path.suffix.lower() in TABLES or holds_only(path, carries_mark)

    refuse_file_name(out)
    take_folder(out, (), is_result)
    first = Path(photos[0]).expanduser()
    with ProgressBar("aligning", "photos") as progress:
        if len(photos) == 1 and first.is_dir():
            files = align_folder(first, out, form, jobs=jobs, progress=progress)
        else:
            inputs = files_of(photos, True, out)
            named = [(given.path, given.name) for given in inputs]
            if len({name for _, name in named}) < len(named):
                raise VisagistError("two photographs have one name: align them one at a time, or the folder that holds them")
            refuse_inputs([out / name for _, name in named], [path for path, _ in named])
            files = align_photos(named, out, form, jobs=jobs, progress=progress)
    written, others = sum(len(file.written) for file in files), sum(file.others for file in files)
    kept, faceless = sum(file.kept for file in files), sum(file.faceless for file in files)
    failed = sum(bool(file.reason) and not file.faceless for file in files)
    parts = {"aligned": written, "of them there already": kept, "left out beside the largest": others}
    parts |= {"photos without a face": faceless, "that cannot be read": failed}
    say(", ".join(f"{number} {what}" for what, number in parts.items() if number or what == "aligned"))
    if as_json:
        print_json({"out": str(out), "files": [dataclasses.asdict(file) for file in files]})
    else:
        print_line(f"folder:{out}" if len(photos) == 1 and first.is_dir() else out)
    status = SOME_FAILED if failed else NO_FACE if faceless else 0
    if status:
        raise typer.Exit(status)
