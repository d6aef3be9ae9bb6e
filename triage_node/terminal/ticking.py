"""A line a second while something lasts: nobody who waits at a terminal sits before silence.

In: what is being done. Out: that line at once, and again with the seconds until it is done. Heavy libraries stay outside: it
also covers the time in which they are loaded.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console


@contextmanager
def ticking(console: Console, what: str) -> Iterator[None]:
    """Say what is being done, again every second, also on a loaded machine."""
    done = threading.Event()

    def tick() -> None:
        started = time.monotonic()
        while not done.wait(1.0):
            console.print(f"  {what} ... {time.monotonic() - started:.0f} s", highlight=False)

    console.print(what, highlight=False)
    ticker = threading.Thread(target=tick, daemon=True)
    ticker.start()
    try:
        yield
    finally:
        done.set()
        ticker.join()
