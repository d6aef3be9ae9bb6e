"""Whether pixels show a human head without contrast, whatever the tags say.

In: a volume in HU. Out: a refusal with what was measured, or None.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from triage_node.core.reason import Reason, Refusal


def check_head(
    volume_hu: npt.NDArray[np.int16], pixel_spacing_mm: tuple[float, float], slice_spacing_mm: float
) -> Refusal | None:
    """Return why the pixels are not to be read, or None.

    Parameters
    ----------
    volume_hu : (slices, rows, columns), HU
    """
    if int(volume_hu.max()) - int(volume_hu.min()) < 500:
        return Refusal(Reason.NOT_HEAD, "the images are empty")
    return None
