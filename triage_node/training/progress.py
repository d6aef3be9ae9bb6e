"""How far a training is, for whoever waits for it.

In: progress of jobs, from this process or others. Out: bars with time left on a terminal, and plain lines now and then
elsewhere.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from triage_node.training.encoder_training import Progress as Reported

_LINE_EVERY_S = 20.0


class Pace:
    """How long one part takes, from the steps that were seen: one that goes on in the middle has not taken the steps before.

    Parameters
    ----------
    first_step
        Done when it was first heard of.
    now_s
        Of the clock.
    """

    def __init__(self, first_step: int, now_s: float) -> None:
        self._first_step, self._started_s = first_step, now_s
        self._end_s: float | None = None

    def heard(self, step: int, steps: int, now_s: float) -> None:
        """Take in where the part stands."""
        if step > self._first_step:
            step_s = (now_s - self._started_s) / (step - self._first_step)
            self._end_s = now_s + step_s * (steps - step)

    def left(self, now_s: float) -> str:
        """Write the time left as h:mm:ss, empty as long as nothing tells it."""
        return "" if self._end_s is None else f"{timedelta(seconds=round(max(0.0, self._end_s - now_s)))} left"


class _TimeLeft(ProgressColumn):
    """The time left by a bar's own pace, counted down between two reports."""

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__()
        self._clock = clock

    def render(self, task: Task) -> Text:
        return Text(task.fields["pace"].left(self._clock()), style="progress.remaining")


def _loss_text(loss: float) -> str:
    return "" if math.isnan(loss) else f"loss {loss:.3f}"


class ProgressDisplay:
    """Shows reports; use it as a context.

    Parameters
    ----------
    clock
        Seconds that never go back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._console = Console(file=sys.stderr)
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:.0f}/{task.total:.0f}  {task.fields[loss]}"),
            TimeElapsedColumn(),
            _TimeLeft(clock),
            console=self._console,
        )
        self._tasks: dict[str, tuple[str, TaskID]] = {}
        self._paces: dict[tuple[str, str], Pace] = {}
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
        now_s = self._clock()
        pace = self._paces.setdefault((reported.job, reported.part), Pace(reported.step, now_s))
        pace.heard(reported.step, reported.steps, now_s)
        if self._console.is_terminal:
            self._show_bar(reported, pace)
        else:
            self._show_line(reported, pace, now_s)

    def _show_bar(self, reported: Reported, pace: Pace) -> None:
        part, task = self._tasks.get(reported.job, ("", TaskID(-1)))
        if part != reported.part:
            if part:
                self._bars.remove_task(task)
            else:
                self._drop_full_bars()
            name = f"{reported.job} {reported.part}"
            task = self._bars.add_task(name, total=reported.steps, loss="", pace=pace)
            self._tasks[reported.job] = (reported.part, task)
        self._bars.update(task, completed=reported.step, loss=_loss_text(reported.loss))

    def _drop_full_bars(self) -> None:
        """Make room where a job begins: of many jobs the finished ones would fill the screen."""
        full = {task.id for task in self._bars.tasks if task.finished}
        for job, (_, task) in list(self._tasks.items()):
            if task in full:
                self._bars.remove_task(task)
                del self._tasks[job]

    def _show_line(self, reported: Reported, pace: Pace, now_s: float) -> None:
        last_s = self._last_line.get(reported.job, -math.inf)
        if now_s - last_s < _LINE_EVERY_S and reported.step < reported.steps:
            return
        self._last_line[reported.job] = now_s
        said = [reported.job, reported.part, f"{reported.step}/{reported.steps}", _loss_text(reported.loss)]
        said.append(pace.left(now_s) if reported.step < reported.steps else "")
        sys.stderr.write(" ".join(each for each in said if each) + "\n")
        sys.stderr.flush()
