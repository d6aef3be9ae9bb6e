"""From files to a volume, and from a volume to what the cascade says of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from triage_node.core.finding import Finding
from triage_node.core.instance import InstanceHeader
from triage_node.core.reason import Refusal

Pixel = TypeVar("Pixel", bound=np.generic)


@dataclass(frozen=True)
class SeriesVolume:
    """One series as an ordered volume.

    Attributes
    ----------
    volume_hu : (slices, rows, columns), int16 HU, slice 0 the most inferior
    sop_instance_uids
        One a slice, in the same order. (A multi-frame instance repeats its UID.)
    frame_numbers
        1-based frame of each slice within its instance; 1 for single-frame instances.
    paths
        The file of each slice.
    positions_mm : (slices,), along the slice normal
    slice_spacing_mm
        Median distance of neighbours along the normal.
    pixel_spacing_mm : between rows, between columns
    tilt_deg
        Angle between the slice normal and the long axis of the patient.
    flipped_rows, flipped_columns
        Whether ``volume_hu`` runs against the stored pixels along that axis, because the patient lay prone or the scanner
        wrote mirrored images; what is marked in source pixels has to be flipped back.
    """

    volume_hu: npt.NDArray[np.int16]
    sop_instance_uids: tuple[str, ...]
    frame_numbers: tuple[int, ...]
    paths: tuple[Path, ...]
    positions_mm: tuple[float, ...]
    slice_spacing_mm: float
    pixel_spacing_mm: tuple[float, float]
    tilt_deg: float
    flipped_rows: bool = False
    flipped_columns: bool = False

    def as_stored(self, picture: npt.NDArray[Pixel]) -> npt.NDArray[Pixel]:
        """Turn one slice, or a picture of its size, back to the way its source pixels lie.

        Parameters
        ----------
        picture : (rows, columns, ...)
        """
        return picture[:: -1 if self.flipped_rows else 1, :: -1 if self.flipped_columns else 1]


class VolumeReader(Protocol):
    """From files to a volume, or a refusal that the pixels give reason for."""

    def read(self, slices: Sequence[tuple[InstanceHeader, Path]]) -> SeriesVolume | Refusal:
        """Decode the slices (already in order, inferior to superior), check that the pixels show a head."""
        ...


HeatmapChoice = Literal["flagged", "all"]


class Reading(Protocol):
    """One pass of the cascade over one volume."""

    @property
    def finding(self) -> Finding:
        """What the cascade says."""
        ...

    def heatmaps(self, kinds: HeatmapChoice = "flagged") -> Mapping[int, npt.NDArray[np.float32]]:
        """Return Grad-CAM per flagged slice, or of all: index into the volume to (rows, columns), 0 to 1."""
        ...


class Classifier(Protocol):
    """The cascade."""

    def read(self, volume: SeriesVolume) -> Reading:
        """Read one volume."""
        ...
