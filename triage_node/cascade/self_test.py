"""The check that this machine computes what the release's makers computed.

In: a resident cascade. Out: nothing, or ``WeightsRejected`` with both numbers. The reference input is made from integer
arithmetic alone, so that it is the same on every machine and depends on no other package of this project.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from triage_node.cascade.runner import Cascade, CascadeLogits
from triage_node.cascade.weights import REFERENCE_OUTPUT_NAME, WeightsRejected

REFERENCE_SPACING_MM = 5.0
TOLERANCE = 1e-3
"""Largest difference of any logit between two machines; float32 sums in another order differ by about 1e-5."""


def reference_volume() -> npt.NDArray[np.int16]:
    """Make the reference input : (6, 224, 192), HU. A ring of bone, a grain, dark ventricles and one bright lens."""
    slices, rows, columns = np.meshgrid(np.arange(6), np.arange(224), np.arange(192), indexing="ij")
    away = ((rows - 112) ** 2) * 100 // 96**2 + ((columns - 96) ** 2) * 100 // 78**2
    grain = (slices * 29 + rows * 7 + columns * 13) % 9 - 4
    volume = np.full(slices.shape, -1000, dtype=np.int64)
    volume[away < 100] = 900
    brain = away < 84
    volume[brain] = 34 + grain[brain]
    ventricle = ((rows - 112) ** 2) // 9 + (columns - 96) ** 2 < 90
    volume[brain & ventricle] = 8 + grain[brain & ventricle]
    lens = ((rows - 100) ** 2) // 6 + (columns - 148) ** 2 < 100
    bleeding = brain & lens & (slices >= 2) & (slices <= 4)
    volume[bleeding] = 66 + grain[bleeding]
    return volume.astype(np.int16)


def measured(cascade: Cascade) -> dict[str, Any]:
    """Read the reference input and return its logits as ``reference_output.json`` stores them."""
    logits: CascadeLogits = cascade.logits(reference_volume(), REFERENCE_SPACING_MM)
    if logits.subtypes is None or logits.subtype_slices is None:
        raise AssertionError("the self-test asks for both stages")
    return {
        "subject": [logits.subject],
        "slices": logits.slices.tolist(),
        "subtypes": logits.subtypes.tolist(),
        "subtype_slices": logits.subtype_slices.ravel().tolist(),
    }


def write_reference_output(cascade: Cascade) -> Path:
    """Write ``reference_output.json`` into the cascade's release folder; part of making a release."""
    path = cascade.release.folder / REFERENCE_OUTPUT_NAME
    described = {"weights_sha256": cascade.release.weights_sha256, "tolerance": TOLERANCE, "logits": measured(cascade)}
    path.write_text(json.dumps(described, indent=1) + "\n", encoding="utf-8")
    return path


def run_self_test(cascade: Cascade) -> float:
    """Compare this machine's logits with the release's.

    Returns
    -------
    The largest difference of any logit.

    Raises
    ------
    WeightsRejected
        There is no reference output, it is for other weights, or a logit differs by more than the tolerance.
    """
    path = cascade.release.folder / REFERENCE_OUTPUT_NAME
    try:
        described = json.loads(path.read_text(encoding="utf-8"))
        expected = {name: np.array(values, dtype=np.float64) for name, values in described["logits"].items()}
        tolerance = float(described["tolerance"])
    except (OSError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise WeightsRejected(f"{path} cannot be used for the self-test ({error!r}); restore it") from error
    if described.get("weights_sha256") != cascade.release.weights_sha256:
        raise WeightsRejected(
            f"{path} was computed with other weights: expected SHA-256 {cascade.release.weights_sha256}, "
            f"found {described.get('weights_sha256')}; restore the release"
        )
    differences = []
    for name, values in measured(cascade).items():
        found = np.array(values, dtype=np.float64)
        if name not in expected or expected[name].shape != found.shape:
            raise WeightsRejected(f"{path} does not describe {name}; restore the release")
        differences.append(float(np.abs(found - expected[name]).max()))
    largest = float(np.max(differences))  # NaN where any is: Python's max would lose it
    if not largest <= tolerance:
        raise WeightsRejected(
            f"{path}: this machine's logits differ by {largest:.2g}, more than {tolerance:g}; "
            "the torch build or the processor computes wrongly, do not use this node"
        )
    return largest
