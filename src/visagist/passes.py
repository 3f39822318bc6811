"""Passes through networks that a piece of work asks for, so that those of several pieces can be made together.

The work is a generator: it yields a `Pass`, and is sent what comes of it, a result an item. `run` makes the passes of one
piece as they are asked for; `run_together` those of several at a time, as many as are of one kind.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Hashable, Sequence
from typing import Any, NamedTuple, TypeAlias, TypeVar

T = TypeVar("T")


class Pass(NamedTuple):
    """Items for a network.

    kind  passes of one kind can be made together: their items are alike, and so is what is done with them
    call  takes items, and gives as many results
    most  how many items are best passed at a time
    """

    kind: Hashable
    items: Sequence[Any]
    call: Callable[[Sequence[Any]], Sequence[Any]]
    most: int


Steps: TypeAlias = Generator[Pass, Sequence[Any], T]


def run(steps: Steps[T]) -> T:
    """What a piece of work gives, whose passes are made one by one."""
    try:
        asked = next(steps)
        while True:
            asked = steps.send(_make(asked, asked.items))
    except StopIteration as end:
        result: T = end.value
        return result


def run_together(works: Sequence[Steps[T]], expected: tuple[type[Exception], ...]) -> list[T | Exception]:
    """What each piece of work gives, or the expected exception that ended it; the passes of several are made together.

    Where passes that were made together fail, each is made by itself.
    """
    ends: list[T | Exception | None] = [None] * len(works)
    waiting: dict[int, Pass] = {}

    def advance(index: int, step: Callable[[], Pass]) -> None:
        waiting.pop(index, None)
        try:
            waiting[index] = step()
        except StopIteration as end:
            ends[index] = end.value
        except expected as error:
            ends[index] = error

    for index, work in enumerate(works):
        advance(index, work.__next__)
    while waiting:
        kind = waiting[min(waiting)].kind
        group = [index for index in sorted(waiting) if waiting[index].kind == kind]
        for index, results in zip(group, _make_all([waiting[index] for index in group], expected), strict=True):
            work = works[index]
            if isinstance(results, Exception):
                advance(index, lambda work=work, error=results: work.throw(error))  # type: ignore[misc]
            else:
                advance(index, lambda work=work, results=results: work.send(results))  # type: ignore[misc]
    return [end for end in ends if end is not None]


def _make_all(passes: Sequence[Pass], expected: tuple[type[Exception], ...]) -> list[Sequence[Any] | Exception]:
    """The results of each pass, or the exception that it raises."""
    try:
        results = _make(passes[0], [item for asked in passes for item in asked.items])
    except expected as error:
        return [error] if len(passes) == 1 else [end for asked in passes for end in _make_all([asked], expected)]
    parts, start = list[Sequence[Any] | Exception](), 0
    for asked in passes:
        parts.append(results[start : start + len(asked.items)])
        start += len(asked.items)
    return parts


def _make(asked: Pass, items: Sequence[Any]) -> Sequence[Any]:
    parts = (asked.call(items[start : start + asked.most]) for start in range(0, len(items), asked.most))
    return [result for part in parts for result in part]
