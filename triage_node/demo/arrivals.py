"""What lies at the demo's PACS: is each study's evidence complete, and what do the heatmaps look like."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pydicom
from PIL import Image
from pydicom.uid import Comprehensive3DSRStorage, SecondaryCaptureImageStorage


def missing_at_pacs(row: Mapping[str, Any], files: Iterable[Path]) -> list[str]:
    """Return what a forwarded study lacks at the PACS: its SR, and heatmaps where it is flagged."""
    study_uid = row["study_instance_uid"]
    kinds = set()
    for path in files:
        header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["StudyInstanceUID", "SOPClassUID"])
        if header.StudyInstanceUID == study_uid:
            kinds.add(header.SOPClassUID)
    needed = {"SR": Comprehensive3DSRStorage} | ({"heatmaps": SecondaryCaptureImageStorage} if row["flagged"] else {})
    return [f"{row['accession_number']}: no {name} at the PACS" for name, uid in needed.items() if uid not in kinds]


def written_heatmaps(files: Iterable[Path], folder: Path) -> list[Path]:
    """Write each Secondary Capture as PNG, named by accession and instance number."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for path in files:
        dataset = pydicom.dcmread(path)
        if dataset.SOPClassUID != SecondaryCaptureImageStorage:
            continue
        target = folder / f"{dataset.AccessionNumber}_{int(dataset.InstanceNumber):03}.png"
        Image.fromarray(dataset.pixel_array).save(target)
        written.append(target)
    return sorted(written)
