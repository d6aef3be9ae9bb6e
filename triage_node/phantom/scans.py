"""What a made-up scan is: its volume and everything a header says of it.

In: arrays and geometry. Out: immutable scans that the DICOM writer and the tests read.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from triage_node.core.finding import SUBTYPES

SHOWN_MM2 = 12.0
"""Area of blood from which a slice is said to show it."""


@dataclass(frozen=True)
class Lesion:
    """One bleed as drawn: its kind, volume in mL, HU without grain, and the variant of its rule."""

    kind: str
    volume_ml: float
    hu: float
    variant: str = ""


@dataclass(frozen=True, kw_only=True)
class PhantomScan:
    """A made-up CT series.

    Attributes
    ----------
    volume_hu : (slices, rows, columns) int16, HU
        Slice 0 the most inferior.
    pixel_spacing_mm
        (row, column).
    slice_spacing_mm
        Between planes, along their normal.
    tilt_deg
        Gantry tilt: the posterior edge of the planes is lower where positive.
    kernel
        ``soft``, ``standard`` or ``sharp``.
    body_part
        As in Body Part Examined (0018,0015).
    """

    volume_hu: npt.NDArray[np.int16]
    pixel_spacing_mm: tuple[float, float]
    slice_spacing_mm: float
    thickness_mm: float
    tilt_deg: float
    kernel: str
    age: int
    sex: str
    body_part: str = "HEAD"


@dataclass(frozen=True, kw_only=True)
class PhantomHead(PhantomScan):
    """A made-up head CT with masks.

    Attributes
    ----------
    masks : (slices, rows, columns) uint8
        Bit i is set where ``SUBTYPES[i]`` is.
    signal_to_noise : (slices, subtypes)
        How far each kind stands out from grey matter on each slice, clear of bone, as multiples of the grain.
    mimics
        Negatives that were drawn.
    """

    masks: npt.NDArray[np.uint8]
    signal_to_noise: npt.NDArray[np.float32]
    lesions: tuple[Lesion, ...]
    mimics: frozenset[str] = frozenset()

    @property
    def slice_labels(self) -> npt.NDArray[np.bool_]:
        """Which slice shows which kind: (slices, subtypes) in the order of ``SUBTYPES``."""
        return slice_labels(self.masks, self.pixel_spacing_mm)

    @property
    def labels(self) -> npt.NDArray[np.bool_]:
        """Which kinds the head shows, in the order of ``SUBTYPES``."""
        return np.asarray(self.slice_labels.any(axis=0))


def slice_labels(masks: npt.NDArray[np.uint8], pixel_spacing_mm: tuple[float, float]) -> npt.NDArray[np.bool_]:
    """Which slice shows which kind: (slices, subtypes) from a bit field of masks."""
    pixel_mm2 = pixel_spacing_mm[0] * pixel_spacing_mm[1]
    counts = np.stack([((masks >> bit) & 1).sum(axis=(1, 2)) for bit in range(len(SUBTYPES))], axis=1)
    return np.asarray(counts * pixel_mm2 >= SHOWN_MM2)
