"""Slices by their headers, as the storage SCP hands them on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from triage_node.core.instance import InstanceHeader
from triage_node.core.ports import AssociationPeer, StoredInstance

HEAD_SLICES = 28


def peer(association_id: str = "a1") -> AssociationPeer:
    return AssociationPeer(association_id, "CT1", "TRIAGE", "10.0.0.7")


def head(
    received_at: datetime,
    *,
    study: str = "1.2.3",
    series: int = 1,
    numbers: Iterable[int] = range(HEAD_SLICES),
    association: str | None = "a1",
    **values: Any,
) -> list[StoredInstance]:
    """Return slices that make an eligible head, 5 mm apart; ``values`` go into every header."""
    return [
        _slice(study, series, number, received_at, peer(association) if association else None, values)
        for number in numbers
    ]


def _slice(
    study: str, series: int, number: int, received_at: datetime, sender: AssociationPeer | None, values: dict[str, Any]
) -> StoredInstance:
    uid = f"{study}.{series}"
    described = {
        "modality": "CT",
        "image_type": ("ORIGINAL", "PRIMARY", "AXIAL"),
        "body_part_examined": "HEAD",
        "convolution_kernel": "H31s",
        "series_number": series,
        "instance_number": number + 1,
        "image_position_patient": (-110.0, -110.0, 5.0 * number),
        "image_orientation_patient": (1.0, 0.0, 0.0, 0.0, 1.0, 0.0),
        "pixel_spacing_mm": (0.43, 0.43),
        "slice_thickness_mm": 5.0,
        "rows": 512,
        "columns": 512,
        "bits_allocated": 16,
        "has_pixels": True,
    }
    header = InstanceHeader(
        sop_instance_uid=f"{uid}.{number + 1}",
        sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
        series_instance_uid=uid,
        study_instance_uid=study,
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        **(described | values),
    )
    return StoredInstance(header, Path(f"/spool/{uid}/{header.sop_instance_uid}.dcm"), received_at, sender)


def headers(stored: Sequence[StoredInstance]) -> list[InstanceHeader]:
    return [each.header for each in stored]
