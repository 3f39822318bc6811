"""rich's console and columns for text from outside, which stays text; apart from `terminal` for rich's time."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, JustifyMethod, OverflowMethod, RenderableType
from rich.progress import TextColumn
from rich.segment import Segment
from rich.style import Style
from rich.text import Text

from visagist.boundary.terminal import escape_controls


class PlainConsole(Console):
    """A rich console on which text is text: no markup, no emoji codes, and control characters spelled out."""

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, emoji=False, **options)

    def render_str(
        self, text: str, *, style: str | Style = "", justify: JustifyMethod | None = None,
        overflow: OverflowMethod | None = None, emoji: bool | None = None, markup: bool | None = None,
        highlight: bool | None = None, highlighter: Any = None,
    ) -> Text:  # fmt: skip
        return super().render_str(
            escape_controls(text, keep_lines=True), style=style, justify=justify, overflow=overflow, emoji=False,
            markup=False, highlight=highlight, highlighter=highlighter,
        )  # fmt: skip

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for text, style, control in super().render(renderable, options):
            yield Segment(text if control else escape_controls(text, keep_lines=True), style, control)


def text_column(template: str) -> TextColumn:
    """A column of a progress bar, such as `{task.description}`, without markup."""
    return TextColumn(template, markup=False)
