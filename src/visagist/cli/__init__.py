"""The command `visagist`: a thin layer over the package, of which a command imports what it needs when it runs."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence

import typer

from visagist.cli.console import say, spell_out_unencodable
from visagist.errors import NoFaceError, VisagistError, nearest
from visagist.version import __version__

__all__ = ["main", "make_app"]

UsageError: type[Exception] = typer.BadParameter.__base__ or Exception  # newer typers carry their own click
TRAIN, USE, LOOK = "Train", "Use and judge", "Look around"

# The commands in the order of the help, each with its heading and where its function is.
_COMMANDS = {
    "train": (TRAIN, "train.train"),
    "recipes": (TRAIN, "about.recipes"),
    "methods": (TRAIN, "about.methods"),
    "profile": (TRAIN, "train.profile"),
    "teach": (TRAIN, "everyday.teach.teach"),
    "edit": (USE, "edit.edit"),
    "faces": (USE, "everyday.faces.faces"),
    "align": (USE, "everyday.align.align"),
    "bulk": (USE, "bulk.bulk"),
    "studio": (USE, "everyday.serve.studio"),
    "serve": (USE, "everyday.serve.serve"),
    "export": (USE, "everyday.export.export"),
    "sample": (USE, "sample.sample"),
    "interpolate": (USE, "latent.interpolate"),
    "traverse": (USE, "latent.traverse"),
    "walk": (USE, "latent.walk"),
    "map": (USE, "latent.latent_map"),
    "evaluate": (USE, "evaluate.evaluate"),
    "compare": (USE, "compare.compare"),
    "directions": (USE, "compare.directions"),
    "correlations": (USE, "compare.correlations"),
    "vectors": (USE, "fit.vectors"),
    "factor": (USE, "fit.factor"),
    "landmarks": (USE, "evaluate.landmarks"),
    "recognise": (USE, "evaluate.recognise"),
    "photographs": (USE, "evaluate.photographs"),
    "reproduce": (USE, "reproduce.reproduce"),
    "bench": (USE, "reproduce.bench"),
    "calibrate": (USE, "fit.calibrate"),
    "demo": (USE, "about.demo"),
    "attributes": (LOOK, "everyday.attributes.attributes"),
    "data": (LOOK, "data.app"),
    "inspect": (LOOK, "about.inspect"),
    "doctor": (LOOK, "about.doctor"),
}


def make_app(name: str | None = None) -> typer.Typer:
    """The whole command; where `name` is one of a sub-command, with that one alone, so that the others' modules stay out."""
    app = typer.Typer(
        name="visagist",
        help="Train, judge and use generative models that edit attributes of faces.",
        rich_markup_mode="rich",
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback(invoke_without_command=True)(_start)
    for command in [name] if name in _COMMANDS else _COMMANDS:
        panel, path = _COMMANDS[command]
        module, _, attribute = path.rpartition(".")
        function = getattr(importlib.import_module(f"visagist.cli.{module}"), attribute)
        if isinstance(function, typer.Typer):
            app.add_typer(function, name=command, rich_help_panel=panel)
        else:
            app.command(command, rich_help_panel=panel)(function)
    return app


def _start(context: typer.Context, version: bool = typer.Option(False, "--version", help="Print the version.")) -> None:
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
    try:
        given = _as_option(given)
        name = given[0] if given and not given[0].startswith("-") else None
        if name is not None and name not in _COMMANDS:
            raise VisagistError(f"no command {name!r}: {nearest(name, _COMMANDS)}")
        if name == "bulk":
            from visagist.cli.bulk import name_local_cluster

            given = name_local_cluster(given)
        status = make_app(name)(args=given, prog_name="visagist", standalone_mode=False)
        sys.stdout.flush()
    except NoFaceError as error:
        from visagist.cli.edit import NO_FACE

        status = _fail(str(error), NO_FACE)
    except VisagistError as error:
        status = _fail(str(error))
    except UsageError as error:
        line = error.format_message() if hasattr(error, "format_message") else str(error)
        status = _fail(line + _advise(line, name))
    except (KeyboardInterrupt, typer.Abort):
        status = 130
    except BrokenPipeError:
        # The reader of stdout has gone.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 1
    except OSError as error:
        status = _fail(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}")
    sys.exit(status if isinstance(status, int) else 0)


def _as_option(words: list[str]) -> list[str]:
    """`help` and `help COMMAND`, as people write them, in the form in which they are options."""
    return [*words[1:2], "--help"] if words[:1] == ["help"] else words


def _advise(line: str, command: str | None) -> str:
    """What to do about words that cannot be read."""
    if "extra argument" in line and "=" in line:
        return "; write --set before each setting"
    if line.startswith("Missing"):
        return f" `visagist {command} --help` has examples"
    return ""


def _fail(line: str, status: int = 2) -> int:
    say(f"error: {' '.join(line.split())}")
    return status
