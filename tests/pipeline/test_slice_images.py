"""What the viewer decoded is remembered, never more than it may, and never for the wrong slice."""

from __future__ import annotations

import subprocess
import sys

from triage_node.pipeline.slice_images import LatestUsed


def test_latest_values_are_kept_up_to_the_limit() -> None:
    made: list[str] = []
    kept: LatestUsed[str] = LatestUsed(10, len)

    def value(key: str) -> str:
        return kept.get(key, lambda: made.append(key) or key)

    for key in ("aaaa", "bbbb", "aaaa", "cccc", "aaaa", "bbbb"):
        assert value(key) == key
    assert made == ["aaaa", "bbbb", "cccc", "bbbb"], "what was used longest ago went first"


def test_value_greater_than_the_limit_is_given_and_not_kept() -> None:
    made: list[int] = []
    kept: LatestUsed[str] = LatestUsed(3, len)
    for _ in range(2):
        assert kept.get("key", lambda: made.append(1) or "x" * 50) == "x" * 50
    assert len(made) == 2
    assert kept.get("small", lambda: "x") == kept.get("small", lambda: "y") == "x"


def test_showing_images_needs_no_network_in_memory() -> None:
    program = (
        "import sys; import triage_node.web.app, triage_node.pipeline.slice_images, triage_node.assembly.slice_reader,"
        " triage_node.evidence.kept_heatmaps; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
