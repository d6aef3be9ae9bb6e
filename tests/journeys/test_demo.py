"""The demo as README's first command runs it: the whole node, watched by somebody who waits."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from pathlib import Path

import pytest
from hospital.node import COMMAND, environment

LONGEST_SILENCE_S = 3.0
HICCUPS, LONGEST_HICCUP_S = 4, 30.0
"""So often, and so long, a busy machine or disk may stand still meanwhile, the time before the first line among it."""


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_demo_ends_with_everything_arrived_and_is_never_silent(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [COMMAND, "demo", "--exit", "--data-dir", tmp_path / "demo", "--http-port", "0"],
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    overdue = threading.Timer(230, process.terminate)
    overdue.start()
    said, silences, last = b"", [], time.monotonic()
    try:
        assert process.stdout is not None
        while part := os.read(process.stdout.fileno(), 65536):
            now = time.monotonic()
            silences.append((now - last, said[-80:]))
            said, last = said + part, now
        status = process.wait(20)
    finally:
        overdue.cancel()
        if process.poll() is None:
            process.kill()
            process.wait()
    story = said.decode()
    assert status == 0, story
    assert "everything arrived" in story
    assert "NOT everything" not in story
    silences.sort()
    for allowed_s, (silence_s, after) in (
        (LONGEST_HICCUP_S, silences[-1]),
        (LONGEST_SILENCE_S, silences[-1 - HICCUPS]),
    ):
        assert silence_s < allowed_s, f"{silence_s:.1f} s of silence after {after!r}"
    assert list((tmp_path / "demo" / "heatmaps").glob("*.png"))
