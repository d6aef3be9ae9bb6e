"""Hounsfield units and display windows.

In: stored pixel values or a volume in HU. Out: HU, or values in 0 to 1 as the network sees them.
Answers to PS3.3 C.11.1 (Modality LUT) and C.11.2.1.2 (linear VOI window).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

AIR_HU = -1024.0
"""Padding outside the reconstruction circle is set to this value, as air (HU)."""


@dataclass(frozen=True)
class Window:
    """A linear intensity window in HU.

    Examples
    --------
    >>> Window(40.0, 80.0).lower_hu
    0.0
    """

    center_hu: float
    width_hu: float

    def __post_init__(self) -> None:
        if not self.width_hu > 0:
            raise ValueError(f"a window's width must be above 0 HU, not {self.width_hu}")

    @property
    def lower_hu(self) -> float:
        """The value shown as black (HU)."""
        return self.center_hu - self.width_hu / 2


BRAIN_WINDOW = Window(40.0, 80.0)
BLOOD_WINDOW = Window(80.0, 200.0)
BONE_WINDOW = Window(600.0, 2800.0)
SOFT_TISSUE_WINDOW = Window(40.0, 380.0)
THIRD_WINDOWS: Mapping[str, Window] = {"bone": BONE_WINDOW, "soft_tissue": SOFT_TISSUE_WINDOW}
"""What the third of the network's windows may show."""


def network_windows(third: str = "bone") -> tuple[Window, Window, Window]:
    """The network's three windows in their order (the paper names three windows, not their values).

    Parameters
    ----------
    third
        A name in ``THIRD_WINDOWS``.
    """
    return (BRAIN_WINDOW, BLOOD_WINDOW, THIRD_WINDOWS[third])


def rescaled(stored: npt.NDArray[np.generic], slope: float, intercept: float) -> npt.NDArray[np.float32]:
    """Turn stored values of any shape into HU (PS3.3 C.11.1.1.2).

    Examples
    --------
    >>> rescaled(np.array([0, 1064]), 1.0, -1024.0).tolist()
    [-1024.0, 40.0]
    """
    return np.asarray(stored, dtype=np.float32) * np.float32(slope) + np.float32(intercept)


def windowed(volume_hu: npt.NDArray[np.generic], windows: Sequence[Window]) -> npt.NDArray[np.float32]:
    """Show a volume through several windows.

    Parameters
    ----------
    volume_hu : (slices, rows, columns), HU
    windows
        One channel each.

    Returns
    -------
    (slices, windows, rows, columns), 0 to 1

    Examples
    --------
    >>> windowed(np.array([[[-100, 40, 500]]]), [BRAIN_WINDOW]).tolist()
    [[[[0.0, 0.5, 1.0]]]]
    """
    volume = np.asarray(volume_hu, dtype=np.float32)
    slices, rows, columns = volume.shape
    shown = np.empty((slices, len(windows), rows, columns), dtype=np.float32)
    for channel, window in enumerate(windows):
        np.clip((volume - window.lower_hu) / window.width_hu, 0.0, 1.0, out=shown[:, channel])
    return shown
