"""Whose data a release was trained on: the lines that a manifest and a model card owe to the data's owners.

In: data sets as they were opened. Out: per source its scans, licence, citation and who was trained on, as digests.
"""

from __future__ import annotations

import secrets
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
    """Describe each source: how many scans were used and left out, its licence, citation and patients.

    ``may_be_shipped`` is false where the licence forbids weights that go with this project; they stay the user's own.
    ``subject_digests`` let an evaluation refuse the patients that were trained on; no identifier is kept.
    """
    described: dict[str, dict[str, Any]] = {}
    for dataset in datasets:
        licence, citation, may_be_shipped = _KNOWN.get(dataset.source, ("the owner's own", "none given", False))
        source = described.setdefault(
            dataset.source,
            {
                "scans": 0,
                "excluded": 0,
                "licence": licence,
                "citation": citation,
                "may_be_shipped": may_be_shipped,
                "subject_digest_salt": secrets.token_hex(8),
                "subject_digests": [],
            },
        )
        source["scans"] += len(dataset.scans)
        source["excluded"] += len(dataset.excluded)
        digests = dataset.subject_digests(source["subject_digest_salt"])
        source["subject_digests"] = sorted({*source["subject_digests"], *digests})
    return described
