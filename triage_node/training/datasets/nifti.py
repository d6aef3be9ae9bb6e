"""Head CT in NIfTI-1 files, brought into the node's axes.

In: a ``.nii`` or ``.nii.gz`` file in HU with an affine (RAS+ patient axes, as NIfTI-1 defines them). Out: a volume
whose slices run from inferior to superior, rows to posterior and columns to the patient's left.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from triage_node.training.datasets.labelled_scan import DatasetRejected, ScanVolume


@dataclass(frozen=True)
class NiftiGeometry:
    """How a file's third axis maps to slices.

    Attributes
    ----------
    stored_slices
        Index on the stored slice axis, from 0, of each slice from inferior to superior.
    """

    stored_slices: tuple[int, ...]


def nifti_geometry(path: Path) -> NiftiGeometry:
    """Read the header only.

    Raises
    ------
    DatasetRejected
        The file is not a NIfTI volume stored slice by axial slice.
    """
    image, nibabel = _opened(path)
    axes = nibabel.aff2axcodes(image.affine)
    if len(image.shape) != 3 or axes[2] not in ("S", "I"):
        problem = f"it has shape {image.shape} and axes {''.join(str(each) for each in axes)}"
        raise DatasetRejected(path, problem, "Bring a volume of three axes whose third runs along the body")
    count = int(image.shape[2])
    order = range(count) if axes[2] == "S" else range(count - 1, -1, -1)
    return NiftiGeometry(tuple(order))


def nifti_scan(path: Path) -> ScanVolume:
    """Read the voxels.

    Raises
    ------
    DatasetRejected
        The file is cut short or not NIfTI.
    """
    image, nibabel = _opened(path)
    canonical = nibabel.as_closest_canonical(image)  # x to the right, y to anterior, z to superior
    try:
        stored = np.asarray(canonical.dataobj, dtype=np.float32)
    except (OSError, ValueError, EOFError) as error:
        told = " ".join(str(error).split())  # nibabel tells it in several lines
        raise DatasetRejected(path, f"the voxels cannot be read ({told})", "Download the file again") from error
    volume_hu = stored[::-1, ::-1, :].transpose(2, 1, 0)
    column_mm, row_mm, slice_mm = (float(zoom) for zoom in canonical.header.get_zooms()[:3])
    clipped = np.clip(np.rint(volume_hu), -32768, 32767).astype(np.int16)
    return ScanVolume(np.ascontiguousarray(clipped), (row_mm, column_mm), slice_mm)


def _opened(path: Path) -> tuple[Any, Any]:
    try:
        import nibabel
    except ImportError as error:
        raise DatasetRejected(
            path, "nibabel is not installed", "Install the extra: pip install triage-node[training]"
        ) from error
    try:
        return nibabel.load(path), nibabel
    except (OSError, nibabel.filebasedimages.ImageFileError) as error:
        raise DatasetRejected(path, f"it is not a NIfTI file ({error})", "Download the file again") from error
