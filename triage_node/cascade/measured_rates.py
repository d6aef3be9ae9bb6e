"""What a release's operating point was measured at, read without torch: for processes that never load a network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from triage_node.cascade.active_release import active_names
from triage_node.core.measured_rates import MeasuredRates

OPERATING_POINTS_NAME = "operating_points.json"


def measured_rates(weights_folder: Path, release: str | None, operating_point: str) -> MeasuredRates | None:
    """Return the figures of a release, the active one by default; None where they cannot be read or were not measured.

    They only stand in for what the caller does not give, so that a broken release is no error here: ``triage-node check``
    says what is wrong with it.
    """
    try:
        name = release or active_names(weights_folder)[0]
        described: Any = json.loads((weights_folder / name / OPERATING_POINTS_NAME).read_text(encoding="utf-8"))
        measured = described["points"][operating_point]["measured"]
        sensitivity, specificity = measured["sensitivity"], measured["specificity"]
        return MeasuredRates(
            name,
            operating_point,
            float(sensitivity["value"]),
            float(specificity["value"]),
            int(sensitivity["n"]),
            int(specificity["n"]),
        )
    except (OSError, ValueError, IndexError, KeyError, TypeError):
        return None
