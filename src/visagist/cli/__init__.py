"""The command `visagist`: a thin layer over the package, which is imported only when a command runs."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import rich
import typer

from visagist.cli import about, bulk, compare, data, edit, evaluate, fit, latent, reproduce, sample, train
from visagist.cli.console import say, spell_out_unencodable
from visagist.cli.everyday import align, attributes, faces, serve
from visagist.errors import NoFaceError, VisagistError
from visagist.version import __version__

__all__ = ["app", "main"]

UsageError: type[Exception] = typer.BadParameter.__base__ or Exception  # newer typers carry their own click
TRAIN, USE, LOOK = "Train", "Use and judge", "Look around"

app = typer.Typer(
    name="visagist",
    help="Train, judge and use generative models that edit attributes of faces.",
    rich_markup_mode="rich",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("train", rich_help_panel=TRAIN)(train.train)
app.command("recipes", rich_help_panel=TRAIN)(about.recipes)
app.command("methods", rich_help_panel=TRAIN)(about.methods)
app.command("profile", rich_help_panel=TRAIN)(train.profile)
app.command("edit", rich_help_panel=USE)(edit.edit)
app.command("faces", rich_help_panel=USE)(faces.faces)
app.command("align", rich_help_panel=USE)(align.align)
app.command("bulk", rich_help_panel=USE)(bulk.bulk)
app.command("studio", rich_help_panel=USE)(serve.studio)
app.command("serve", rich_help_panel=USE)(serve.serve)
app.command("sample", rich_help_panel=USE)(sample.sample)
app.command("interpolate", rich_help_panel=USE)(latent.interpolate)
app.command("traverse", rich_help_panel=USE)(latent.traverse)
app.command("walk", rich_help_panel=USE)(latent.walk)
app.command("map", rich_help_panel=USE)(latent.latent_map)
app.command("evaluate", rich_help_panel=USE)(evaluate.evaluate)
app.command("compare", rich_help_panel=USE)(compare.compare)
app.command("directions", rich_help_panel=USE)(compare.directions)
app.command("correlations", rich_help_panel=USE)(compare.correlations)
app.command("vectors", rich_help_panel=USE)(fit.vectors)
app.command("factor", rich_help_panel=USE)(fit.factor)
app.command("landmarks", rich_help_panel=USE)(evaluate.landmarks)
app.command("recognise", rich_help_panel=USE)(evaluate.recognise)
app.command("photographs", rich_help_panel=USE)(evaluate.photographs)
app.command("reproduce", rich_help_panel=USE)(reproduce.reproduce)
app.command("bench", rich_help_panel=USE)(reproduce.bench)
app.command("calibrate", rich_help_panel=USE)(fit.calibrate)
app.command("demo", rich_help_panel=USE)(about.demo)
app.command("attributes", rich_help_panel=LOOK)(attributes.attributes)
app.add_typer(data.app, name="data", rich_help_panel=LOOK)
app.command("inspect", rich_help_panel=LOOK)(about.inspect)
app.command("doctor", rich_help_panel=LOOK)(about.doctor)


@app.callback(invoke_without_command=True)
def start(context: typer.Context, version: bool = typer.Option(False, "--version", help="Print the version.")) -> None:
    """Train, judge and use generative models that edit attributes of faces."""
    if version:
        print(f"visagist {__version__}")  # noqa: T201
        raise typer.Exit
    if context.invoked_subcommand is None:
        print(context.get_help())  # noqa: T201 - the help text, which rich has coloured


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and exit: 0 done, 2 and one line on stderr for what a person can put right, 130 interrupted.

    3 is a photograph without a face, 4 a batch of which some files failed.
    """
    given = sys.argv[1:] if arguments is None else list(arguments)
    spell_out_unencodable()
    rich.reconfigure(stderr=True)  # progress bars are for a person: stdout is for results
    try:
        status = app(args=bulk.name_local_cluster(given), prog_name="visagist", standalone_mode=False)
        sys.stdout.flush()
    except NoFaceError as error:
        status = _fail(str(error), edit.NO_FACE)
    except VisagistError as error:
        status = _fail(str(error))
    except UsageError as error:
        line = error.format_message() if hasattr(error, "format_message") else str(error)
        status = _fail(f"{line}; write --set before each setting" if "extra argument" in line and "=" in line else line)
    except (KeyboardInterrupt, typer.Abort):
        status = 130
    except BrokenPipeError:
        # The reader of stdout has gone.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 1
    except OSError as error:
        status = _fail(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}")
    sys.exit(status if isinstance(status, int) else 0)


def _fail(line: str, status: int = 2) -> int:
    say(f"error: {' '.join(line.split())}")
    return status
