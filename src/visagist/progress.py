"""Progress of long work: the stage, how much of it is done, and messages."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeAlias

from visagist.boundary.terminal import escape_controls

if TYPE_CHECKING:
    from rich.progress import Progress as RichBars


ProgressLike: TypeAlias = "Progress | RichBars | Callable[[int, int], None] | bool | None"  # what `progress_of` takes


class Progress:
    """Follows long work and shows nothing; `ProgressBar` shows it, `ProgressCalls` hands it to a function."""

    def stage(self, name: str, total: float | None = None, unit: str = "") -> None:
        """Begin a stage of `total` units, unknown for None; `unit` names them in the rate, such as "faces"."""

    def describe(self, name: str) -> None:
        """Say what is being done now, within the same stage."""

    def advance(self, amount: float = 1) -> None:
        """Count `amount` more units of this stage as done."""

    def report(self, done: float, total: float | None = None) -> None:
        """Set how many units of this stage are done, and of how many."""

    def note(self, text: str) -> None:
        """Show a short text beside what is done, in place of the last one."""

    def message(self, line: str) -> None:
        """Say a line to a person."""

    def finish(self) -> None:
        """Mark all stages as done."""

    @property
    def speaks(self) -> bool:
        """Whether lines reach a person."""
        return type(self).message is not Progress.message


class Messages(Progress):
    """Says the lines on stderr and shows no bar."""

    def message(self, line: str) -> None:
        sys.stderr.write(escape_controls(line) + "\n")
        sys.stderr.flush()


class ProgressCalls(Progress):
    """Hands what is done, and of how much, to a function of a caller."""

    def __init__(self, call: Callable[[int, int], None]) -> None:
        self._call, self._done, self._total = call, 0.0, 0.0

    def stage(self, name: str, total: float | None = None, unit: str = "") -> None:
        self._done, self._total = 0.0, total or 0.0

    def advance(self, amount: float = 1) -> None:
        self.report(self._done + amount)

    def report(self, done: float, total: float | None = None) -> None:
        self._done, self._total = done, self._total if total is None else total
        self._call(int(self._done), int(self._total))


class ProgressBar(Progress):
    """A bar on stderr with the stage, the share that is done, the rate and the time left. Use it in a `with`.

    Where stderr is no terminal it draws nothing while it runs, and the last state at the end.
    """

    def __init__(self, label: str = "", unit: str = "", bars: RichBars | None = None) -> None:
        """`bars` is a running rich bar of the caller's, to which a task is added."""
        from rich.progress import BarColumn, ProgressColumn, Task, TaskProgressColumn, TimeRemainingColumn
        from rich.progress import Progress as Bars
        from rich.text import Text

        from visagist.boundary.plain_console import PlainConsole, text_column

        class Rate(ProgressColumn):
            def render(self, task: Task) -> Text:
                speed, own = task.finished_speed or task.speed, task.fields.get("unit")
                count = f"{task.completed:.0f}/{task.total:.0f}" if own and task.total else ""
                return Text(f"{count} {_rate(speed, own)}".strip() if own and speed and task.total != 1 else count)

        class BarsWithNotes(Bars):
            def get_renderables(self) -> Iterable[Any]:
                """The bars and, each on a line of its own, what is told beside them."""
                yield self.make_tasks_table(self.tasks)
                for task in self.tasks:
                    if task.fields.get("note"):
                        note = escape_controls(str(task.fields["note"]))
                        yield Text(f"  {note}", no_wrap=True, overflow="ellipsis")

        columns = (
            text_column("{task.description}"), BarColumn(bar_width=24), TaskProgressColumn(), Rate(), TimeRemainingColumn(),
        )  # fmt: skip
        self._own = bars is None
        self._bars = bars or BarsWithNotes(*columns, console=PlainConsole(stderr=True))
        self._task = self._bars.add_task(label, total=None, unit=unit, note="")

    def __enter__(self) -> ProgressBar:
        if self._own:
            self._bars.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is None:
            self.finish()
        if self._own:
            self._bars.stop()

    def stage(self, name: str, total: float | None = None, unit: str = "") -> None:
        self._bars.reset(self._task, description=name, total=total, unit=unit, note="")

    def describe(self, name: str) -> None:
        self._bars.update(self._task, description=name)

    def advance(self, amount: float = 1) -> None:
        self._bars.advance(self._task, amount)

    def report(self, done: float, total: float | None = None) -> None:
        self._bars.update(self._task, completed=done, total=self._total() if total is None else total)

    def note(self, text: str) -> None:
        self._bars.update(self._task, note=text)

    def message(self, line: str) -> None:
        self._bars.console.print(escape_controls(line), highlight=False, soft_wrap=True)

    def finish(self) -> None:
        total = self._total() or 1
        self._bars.update(self._task, completed=total, total=total)

    def _total(self) -> float | None:
        return next(task.total for task in self._bars.tasks if task.id == self._task)


def _rate(speed: float, unit: str) -> str:
    """Units a second or, of slow work, seconds a unit."""
    if speed < 1:
        return f"{1 / speed:.1f} s/{unit.removesuffix('s')}"
    return f"{speed:.{0 if speed >= 10 else 1}f} {unit}/s"


class StageBars(Progress):
    """A `ProgressBar` for each stage, one after the other, and a function that takes the lines. Use it in a `with`."""

    def __init__(self, say: Callable[[str], None] | None = None, *, show: bool = True) -> None:
        """Without `show` there are no bars, without `say` the lines go nowhere."""
        self._say, self._show = say, show
        self._stage, self._bar, self._open = "", Progress(), ExitStack()

    def __enter__(self) -> StageBars:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._open.__exit__(kind, error, trace)

    def stage(self, name: str, total: float | None = None, unit: str = "") -> None:
        if name != self._stage:  # a stage that learns its total goes on with its bar
            self.finish()
            self._stage = name
            if self._show:
                self._bar = self._open.enter_context(ProgressBar(name, unit))
        self._bar.stage(name, total, unit)

    def describe(self, name: str) -> None:
        self._bar.describe(name)

    def advance(self, amount: float = 1) -> None:
        self._bar.advance(amount)

    def report(self, done: float, total: float | None = None) -> None:
        self._bar.report(done, total)

    def note(self, text: str) -> None:
        self._bar.note(text)

    def message(self, line: str) -> None:
        if self._say is not None:
            self._say(line)

    def finish(self) -> None:
        self._open.close()
        self._stage, self._bar = "", Progress()

    @property
    def speaks(self) -> bool:
        return self._say is not None


@contextmanager
def progress_of(
    asked: ProgressLike, label: str = "", *, show: bool = False, say: Callable[[str], None] | None = None
) -> Iterator[Progress]:
    """The progress a caller asks for: a bar of its own for True, none for False or None, a function or the given one.

    A running `rich.progress.Progress` gets a task. Where nothing is asked for, `show` and `say` are those of `StageBars`.
    """
    if isinstance(asked, Progress):
        yield asked
    elif not asked and (show or say is not None):
        with StageBars(say, show=show) as bars:
            yield bars
    elif asked is None or asked is False:
        yield Progress()
    elif asked is True:
        with ProgressBar(label) as bar:
            yield bar
    elif callable(asked):
        yield ProgressCalls(asked)
    else:
        with ProgressBar(label, bars=asked) as bar:
            yield bar
