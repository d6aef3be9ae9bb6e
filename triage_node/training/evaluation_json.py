"""An evaluation as JSON: the same numbers as the report, for machines."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from triage_node.training.evaluate import Evaluation

FORMAT_VERSION = 1


def evaluation_to_json(evaluation: Evaluation) -> dict[str, Any]:
    """Return plain JSON values; a figure that the data cannot give is null, never NaN."""
    first = evaluation.predictions[0]
    return {
        "format_version": FORMAT_VERSION,
        "use": "research use only, not for diagnostic use",
        "subjects": len(first.subjects),
        "bleeding_subjects": int((first.labels[:, 0] == 1).sum()),
        "slices": 0 if first.slices is None else len(first.slices.slice_ids),
        "warnings": list(evaluation.warnings),
        "seen_in_training": list(evaluation.seen_in_training),
        "thresholds": _plain(evaluation.thresholds),
        "models": [_plain(each) for each in evaluation.models],
        "readers": _plain(evaluation.readers),
        "comparison": _plain(evaluation.comparison),
        "heatmaps": _plain(evaluation.heatmaps),
        "lesions": _plain(evaluation.lesions),
    }


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        shown = [each.name for each in dataclasses.fields(value) if each.metadata.get("in_json", True)]
        return {name: _plain(getattr(value, name)) for name in shown}
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return None if math.isnan(value) else round(float(value), 6)
    return value
