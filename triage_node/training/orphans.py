"""Workers end with the process that started them.

A run that is killed outright cannot stop its workers. They would train on, and a run that goes on by ``--resume`` would train
beside them on the same checkpoints.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
from multiprocessing.connection import wait


def end_with_parent() -> None:
    """Watch, in a thread of this process, for the death of the one that started it; nothing in one that nobody started so."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_after, args=(parent.sentinel,), daemon=True).start()


def _end_after(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)  # at once, in the middle of a step: what is worth keeping is in the checkpoint
