"""Whose data a release was trained on: the lines that a manifest and a model card owe to the data's owners.

In: data sets as they were opened. Out: per source its scans, licence and citation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from triage_node.training.datasets import LabelledDataset

_KNOWN: Mapping[str, tuple[str, str, bool]] = {
    "ct-ich": (
        "CC BY 4.0",
        "Hssayeni M et al., Intracranial Hemorrhage Segmentation Using a Deep Convolutional Model, Data 2020, 5(1):14, "
        "doi 10.3390/data5010014",
        True,
    ),
    "rsna-2019": (
        "RSNA terms, non-commercial",
        "Flanders AE et al., Radiology: Artificial Intelligence 2020, 2(3):e190211",
        False,
    ),
    "cq500": ("CC BY-NC-SA 4.0", "Chilamkurthy S et al., Lancet 2018, 392:2388-2396", False),
}


def described_sources(datasets: Sequence[LabelledDataset]) -> dict[str, dict[str, Any]]:
    """Describe each data set: how many scans were used and left out, its licence and citation.

    ``may_be_shipped`` is false where the licence forbids weights that go with this project; they stay the user's own.
    """
    described = {}
    for dataset in datasets:
        licence, citation, may_be_shipped = _KNOWN.get(dataset.source, ("the owner's own", "none given", False))
        described[dataset.source] = {
            "scans": len(dataset.scans),
            "excluded": len(dataset.excluded),
            "licence": licence,
            "citation": citation,
            "may_be_shipped": may_be_shipped,
        }
    return described
