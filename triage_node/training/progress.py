"""How far a training is, for whoever waits for it.

In: progress of jobs, from this process or others. Out: bars with time left on a terminal, and plain lines now and then
elsewhere.
"""

from __future__ import annotations

import sys
import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from triage_node.training.encoder_training import Progress as Reported

_LINE_EVERY_S = 20.0


class ProgressDisplay:
    """Shows reports; use it as a context."""

    def __init__(self) -> None:
        self._console = Console(file=sys.stderr)
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:.0f}/{task.total:.0f}  loss {task.fields[loss]:.3f}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self._console,
        )
        self._tasks: dict[str, tuple[str, TaskID]] = {}
        self._started: dict[tuple[str, str], float] = {}
        self._last_line: dict[str, float] = {}

    def __enter__(self) -> ProgressDisplay:
        if self._console.is_terminal:
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._console.is_terminal:
            self._bars.stop()

    def show(self, reported: Reported) -> None:
        """Show one report."""
        if self._console.is_terminal:
            self._show_bar(reported)
        else:
            self._show_line(reported)

    def _show_bar(self, reported: Reported) -> None:
        part, task = self._tasks.get(reported.job, ("", TaskID(-1)))
        if part != reported.part:
            if part:
                self._bars.remove_task(task)
            task = self._bars.add_task(f"{reported.job} {reported.part}", total=reported.steps, loss=reported.loss)
            self._tasks[reported.job] = (reported.part, task)
        self._bars.update(task, completed=reported.step, loss=reported.loss)

    def _show_line(self, reported: Reported) -> None:
        now = time.monotonic()
        started = self._started.setdefault((reported.job, reported.part), now)
        if now - self._last_line.get(reported.job, -_LINE_EVERY_S) < _LINE_EVERY_S and reported.step < reported.steps:
            return
        self._last_line[reported.job] = now
        left_s = (now - started) / max(reported.step, 1) * (reported.steps - reported.step)
        sys.stderr.write(
            f"{reported.job} {reported.part} {reported.step}/{reported.steps} loss {reported.loss:.3f} {left_s:.0f} s left\n"
        )
        sys.stderr.flush()
