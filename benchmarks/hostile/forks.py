"""One piece of work in a forked child of a warm process: limited in time, memory and file size, and judged by its end.

The parent has imported torch and visagist and has started no thread, so a fork costs milliseconds. Linux only.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import resource
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

OK, REFUSED, CRASH, HANG, MEMORY = "ok", "refused", "crash", "hang", "memory"
_REFUSED_STATUS = (2, 3, 4)
_RUNS_CODE = ("os.system", "os.exec", "os.posix_spawn", "subprocess.Popen", "socket.connect", "pickle.find_class")
_MOST_OUTPUT = 1 << 20


@dataclass(frozen=True)
class Limits:
    """Of one child: seconds of the processor and on the clock, data in MiB beyond the parent's, MiB of one file.

    Seconds on the clock are those in which this process, which watches, could run as well.
    """

    seconds: float = 10.0
    wall_seconds: float = 60.0
    megabytes: int = 2048
    file_megabytes: int = 512


@dataclass
class Ended:
    """How a child ended.

    verdict    ok, refused, crash, hang or memory
    said       one line: the refusal, the exception or the signal
    seconds    of the processor, without the preparation
    megabytes  peak of memory beyond the parent's
    events     what it did that input must never make it do: run code or call out
    details    the end of the traceback, or of what was printed
    facts      what the work returned, if JSON can say it
    """

    verdict: str
    said: str = ""
    seconds: float = 0.0
    megabytes: float = 0.0
    events: list[str] = field(default_factory=list)
    details: str = ""
    output: str = ""
    facts: Any = None
    prepared: Any = None
    status: int | None = None


def run_forked(
    work: Callable[[Any], Any],
    limits: Limits,
    prepare: Callable[[], Any] = lambda: None,
    *,
    refusals: tuple = (),
    strike: tuple[float, int] | None = None,
) -> Ended:
    """Run `work(prepare())` in a child; limits hold for `work` alone. `refusals` are exceptions that are right to raise.

    strike   so many seconds after the work has begun, send this signal

    A SystemExit of 0 is ok, one of 2 to 4 with one line of error a refusal.
    """
    reader, writer = os.pipe()
    output = os.memfd_create("output")
    child = os.fork()
    if not child:
        try:
            os.close(reader)
            _be_child(work, limits, prepare, refusals, writer, output)
        except BaseException:  # of the preparation: no case, and a fault of the harness
            os.write(output, traceback.format_exc().encode(errors="replace"))
        finally:
            os._exit(70)
    os.close(writer)
    try:
        return _watch(child, reader, output, limits, strike)
    finally:
        os.close(reader)
        os.close(output)


def _be_child(
    work: Callable[[Any], Any], limits: Limits, prepare: Callable[[], Any], refusals: tuple, writer: int, output: int
) -> None:
    os.setsid()
    null = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((null, 0), (output, 1), (output, 2)):
        os.dup2(source, target)
    for name, number in (("stdout", 1), ("stderr", 2)):
        setattr(sys, name, os.fdopen(number, "w", encoding="utf-8", errors="backslashreplace"))
    prepared = prepare()
    _tell(writer, {"cpu": time.process_time(), "prepared": prepared})
    events: list[str] = []
    _limit(limits)
    sys.addaudithook(lambda name, arguments: events.append(f"{name} {arguments!r}"[:300]) if name in _RUNS_CODE else None)
    result = _judge(work, prepared, refusals)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    _tell(writer, {**result, "events": events})
    os._exit(0)


def _judge(work: Callable[[Any], Any], prepared: Any, refusals: tuple) -> dict[str, Any]:
    try:
        facts = work(prepared)
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else 0 if ended.code is None else 1
        return {"verdict": "exit", "status": status}
    except MemoryError:
        return {"verdict": MEMORY, "said": "MemoryError", "details": traceback.format_exc()[-3000:]}
    except refusals as error:
        several = "\n" in str(error)
        return {"verdict": CRASH if several else REFUSED, "said": f"{'several lines: ' * several}{error}"}
    except BaseException as error:
        said = f"{type(error).__name__}: {' '.join(str(error).split())[:200]} in {_own_frame(error)}"
        return {"verdict": CRASH, "said": said, "details": traceback.format_exc()[-3000:]}
    return {"verdict": OK, "facts": facts}


def _own_frame(error: BaseException) -> str:
    """Where in visagist the error came from: the innermost of its own lines."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if "/visagist/" in f.filename] or list(frames)
    return f"{own[-1].filename.rpartition('/visagist/')[2]}:{own[-1].lineno} {own[-1].name}"


def _limit(limits: Limits) -> None:
    used = int(time.process_time())
    resource.setrlimit(resource.RLIMIT_CPU, (used + max(1, round(limits.seconds)), resource.RLIM_INFINITY))
    data = _status_kilobytes("VmData:") * 1024 + limits.megabytes * 2**20
    resource.setrlimit(resource.RLIMIT_DATA, (data, data))
    resource.setrlimit(resource.RLIMIT_FSIZE, (limits.file_megabytes * 2**20,) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _status_kilobytes(key: str) -> int:
    text = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith(key))


def _tell(writer: int, facts: dict[str, Any]) -> None:
    data = json.dumps(facts, default=str).encode() + b"\n"
    while data:
        data = data[os.write(writer, data) :]


class _Clock:
    """Seconds that this process was awake: while it is stopped, or a busy machine lets it wait, nearly none go by."""

    SLICE = 0.25

    def __init__(self) -> None:
        self.seconds, self.before = 0.0, time.monotonic()

    def __call__(self) -> float:
        now = time.monotonic()
        self.seconds, self.before = self.seconds + min(now - self.before, 2 * self.SLICE), now
        return self.seconds


def _watch(child: int, reader: int, output: int, limits: Limits, strike: tuple[float, int] | None) -> Ended:
    clock, deadline, late, received, strike_at = _Clock(), 120.0, False, b"", float("inf")
    handle = os.pidfd_open(child)
    try:
        while True:
            left = min(deadline, strike_at) - clock()
            ready, _, _ = select.select([reader, handle], [], [], min(max(0.0, left), _Clock.SLICE))
            if not ready and clock() < min(deadline, strike_at):
                continue
            if not ready and strike and clock() >= strike_at:
                signal.pidfd_send_signal(handle, strike[1])
                strike_at = float("inf")
                continue
            if reader in ready:
                part = os.read(reader, 1 << 16)
                if part and b"\n" not in received and b"\n" in part:
                    deadline = clock() + limits.wall_seconds
                    strike_at = clock() + strike[0] if strike else strike_at
                received += part
                if part:
                    continue
                select.select([handle], [], [], 5)  # it has closed the pipe, so it is ending
            late = not ready
            break
        _kill_group(child)
        _, state, usage = os.wait4(child, 0)
    finally:
        os.close(handle)
    lines = [json.loads(line) for line in received.split(b"\n") if line.strip() and line.endswith(b"}")]
    printed = os.pread(output, _MOST_OUTPUT, 0).decode(errors="replace")
    ended = _conclude(lines, state, late, printed)
    ended.seconds = max(0.0, usage.ru_utime + usage.ru_stime - (lines[0]["cpu"] if lines else 0.0))
    ended.megabytes = usage.ru_maxrss / 1024
    return ended


def _kill_group(child: int) -> None:
    for kill in (os.killpg, os.kill):
        try:
            kill(child, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            continue


def _conclude(lines: list[dict[str, Any]], state: int, late: bool, printed: str) -> Ended:
    prepared = lines[0]["prepared"] if lines else None
    tail = printed[-3000:]
    if len(lines) < 2:
        number = os.WTERMSIG(state) if os.WIFSIGNALED(state) else 0
        if late or number == signal.SIGXCPU:
            return Ended(HANG, "too long" if late else "too much of the processor", details=tail, prepared=prepared)
        name = signal.Signals(number).name if number else f"status {os.WEXITSTATUS(state)} of the harness"
        verdict = MEMORY if "bad_alloc" in printed or "failed to allocate" in printed.lower() else CRASH
        ended = Ended(verdict, f"killed by {name}", details=tail, prepared=prepared, output=printed)
        ended.status = -number if number else None
        return ended
    told = lines[1]
    ended = Ended(told["verdict"], told.get("said", ""), events=told["events"], details=told.get("details", ""))
    ended.facts, ended.prepared, ended.output, ended.status = told.get("facts"), prepared, printed, told.get("status")
    if ended.verdict == "exit":
        ended.verdict, ended.said = _of_status(told["status"], printed)
        ended.details = tail
    return ended


def _of_status(status: int, printed: str) -> tuple[str, str]:
    """What an exit status and what was printed come to."""
    errors = [line for line in printed.splitlines() if line.startswith("error: ")]
    if "Traceback (most recent call last)" in printed:
        return CRASH, f"a traceback and status {status}: {printed.strip().splitlines()[-1][:200]}"
    if status == 0:
        return OK, ""
    if status not in _REFUSED_STATUS:
        return CRASH, f"status {status}: {(errors or [printed[-200:]])[-1][:300]}"
    if status == _REFUSED_STATUS[0] and len(errors) != 1:
        return CRASH, f"status 2 with {len(errors)} lines of error"
    return REFUSED, (errors or printed.strip().splitlines()[-1:] or [""])[-1]


def warm(work: Callable[[], Any], packages: Sequence[str] = ("visagist",)) -> None:
    """Import here what `work` imports, which runs in a child, so that no later child does."""

    def list_modules(_: Any) -> list[str]:
        try:
            work()
        except SystemExit as ended:
            if ended.code:
                raise RuntimeError(f"the warming work ended with status {ended.code}") from None
        return list(sys.modules)

    ended = run_forked(list_modules, Limits(120, 300, 8192, 4096))
    if ended.verdict != OK:
        raise RuntimeError(f"the warming work ended badly: {ended.said}\n{ended.details}\n{ended.output[-2000:]}")
    for name in ended.facts:
        if name not in sys.modules and not name.startswith("_"):
            try:
                importlib.import_module(name)
            except Exception:  # names that libraries put into sys.modules and that no import finds
                continue
    gc.collect()
    gc.freeze()
