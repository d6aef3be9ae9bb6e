"""What the pages show of a study's pixels: slices in HU, and where the network looked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from triage_node.core.errors import Refused
from triage_node.core.instance import InstanceHeader


class NoSuchImage(Refused):
    """There is no such study, series, revision or slice, or it never had a heatmap."""


class ImageGone(Refused):
    """It was there and cannot be shown: its file is no longer kept, or cannot be decoded."""


@dataclass(frozen=True)
class SeriesVersion:
    """The instances that one revision of a series had; while it is received, their number grows."""

    series_id: int
    study_instance_uid: str
    series_instance_uid: str
    revision: int
    instance_count: int


@dataclass(frozen=True)
class SliceSource:
    """Where one slice is kept; ``frame_number`` counts the frames of its file from 1."""

    sop_instance_uid: str
    path: Path
    frame_number: int
    number_of_frames: int
    position_mm: float


@dataclass(frozen=True)
class SliceStack:
    """The slices of a series from inferior to superior, as they are shown.

    Attributes
    ----------
    pixel_spacing_mm : between rows, between columns
    flipped_rows, flipped_columns
        Whether what is shown runs against the stored pixels along that axis, as in ``SeriesVolume``.
    """

    slices: tuple[SliceSource, ...]
    rows: int
    columns: int
    pixel_spacing_mm: tuple[float, float]
    flipped_rows: bool
    flipped_columns: bool


class SeriesFiles(Protocol):
    """Which files a series consists of."""

    def version(
        self, study_instance_uid: str, series_instance_uid: str, revision: int | None = None
    ) -> SeriesVersion | None:
        """Return a revision, the current one by default; None where there is none."""
        ...

    def instances(self, version: SeriesVersion) -> Sequence[tuple[InstanceHeader, Path]]:
        """Return the instances of that revision and of those before it."""
        ...


class SliceReader(Protocol):
    """From single files to slices."""

    def stack(self, instances: Sequence[tuple[InstanceHeader, Path]]) -> SliceStack | None:
        """Put instances in order as the volume reader does; None where none of them is a slice with a place."""
        ...

    def read(self, stack: SliceStack, index: int) -> npt.NDArray[np.int16]:
        """Decode one slice : (rows, columns), HU, turned as ``SeriesVolume.volume_hu`` is."""
        ...


class KeptHeatmaps(Protocol):
    """The heatmaps of every reading, kept beside its evidence."""

    def indices(self, version: SeriesVersion) -> Sequence[int]:
        """Return which slices have one, ascending."""
        ...

    def read(self, version: SeriesVersion, index: int) -> npt.NDArray[np.uint8] | None:
        """Return one, coarser than its slice but over the same field : (rows, columns), 0 to 255; None where there is none."""
        ...


class SliceImages(Protocol):
    """What the viewer shows; indices count from the most inferior slice of the revision, beginning with 0."""

    def version(self, study_instance_uid: str, series_instance_uid: str, revision: int | None = None) -> SeriesVersion:
        """Return a revision, the current one by default.

        Raises
        ------
        NoSuchImage
            There is none.
        """
        ...

    def stack(self, version: SeriesVersion) -> SliceStack | None:
        """Return its slices; None where nothing of it can be put in order."""
        ...

    def slice_hu(self, version: SeriesVersion, index: int) -> npt.NDArray[np.int16]:
        """Return one slice : (rows, columns), HU, columns to the patient's left, rows to the back.

        Raises
        ------
        NoSuchImage
            There is no such slice.
        ImageGone
            Its file is missing or cannot be decoded.
        """
        ...

    def heatmap_indices(self, version: SeriesVersion) -> Sequence[int]:
        """Return which slices have a heatmap, ascending."""
        ...

    def heatmap(self, version: SeriesVersion, index: int) -> npt.NDArray[np.uint8]:
        """Return one heatmap over the field of its slice, perhaps coarser : (rows, columns), 0 to 255.

        Raises
        ------
        NoSuchImage
            This slice has none.
        ImageGone
            What was kept cannot be read.
        """
        ...
