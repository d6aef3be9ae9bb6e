"""The baseline that never looks: the chance of blood at a slice's height in the head, learned from other patients.

Blood is rarest at the skull base and the vertex, so height alone scores well above 0.5 on slices. A model that does not beat
it has learned where, not what. Each patient is scored by all others.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

BINS = 60
SMOOTHING_BINS = 2.5
"""Standard deviation of the smoothing: one twenty-fourth of the stack, about one 5 mm slice and a half."""
PRIOR_SLICES = 2.0
"""Weight of the overall frequency where a height has few slices."""

FloatArray = npt.NDArray[np.floating]


def relative_heights(scans: npt.NDArray[np.intp]) -> npt.NDArray[np.float64]:
    """Give each slice's place in its stack, 0 the most inferior and 1 the most superior.

    Parameters
    ----------
    scans : (slices,)
        The scan of each slice; the slices of one lie in order from inferior to superior.

    Examples
    --------
    >>> relative_heights(np.array([0, 0, 0, 1])).tolist()
    [0.0, 0.5, 1.0, 0.5]
    """
    heights = np.empty(len(scans))
    for scan in np.unique(scans):
        mine = np.flatnonzero(scans == scan)
        heights[mine] = np.linspace(0.0, 1.0, len(mine)) if len(mine) > 1 else 0.5
    return heights


def positional_scores(
    labels: FloatArray, scans: npt.NDArray[np.intp], patients: npt.NDArray[np.intp] | None = None
) -> npt.NDArray[np.float64]:
    """Score every slice by the smoothed frequency of blood at its height in all other patients.

    Parameters
    ----------
    labels, scans : (slices,)
        Labels 0, 1, or NaN where unknown; the scan of each slice.
    patients : (slices,)
        The patient of each slice; every scan is of a patient of its own where None.
    """
    bins = np.minimum((relative_heights(scans) * BINS).astype(np.intp), BINS - 1)
    known = ~np.isnan(labels)
    names, index = np.unique(scans if patients is None else patients, return_inverse=True)
    seen = np.zeros((len(names), BINS))
    bled = np.zeros((len(names), BINS))
    np.add.at(seen, (index[known], bins[known]), 1.0)
    np.add.at(bled, (index[known], bins[known]), labels[known])
    smoothing = _smoothing_matrix()
    others_seen = (seen.sum(axis=0) - seen) @ smoothing
    others_bled = (bled.sum(axis=0) - bled) @ smoothing
    overall = float(labels[known].mean()) if known.any() else 0.0
    # Without a patient who bleeds much the others bleed less on the whole. Only the shape of their curve is used, brought to
    # one level, or the baseline would rank patients by what was left out of them.
    level = others_bled.sum(axis=1, keepdims=True) / np.maximum(others_seen.sum(axis=1, keepdims=True), 1e-12)
    curves = overall * (others_bled / np.maximum(level, 1e-12) + PRIOR_SLICES) / (others_seen + PRIOR_SLICES)
    # Rounded, so that heights that are equal but for the last bit tie.
    return np.asarray(np.round(np.clip(curves, 0.0, 1.0), 9)[index, bins])


def _smoothing_matrix() -> npt.NDArray[np.float64]:
    """Gaussian weights between bins, (bins, bins), each column summing to 1."""
    distance = np.arange(BINS)[:, None] - np.arange(BINS)[None, :]
    weights = np.exp(-0.5 * (distance / SMOOTHING_BINS) ** 2)
    return np.asarray(weights / weights.sum(axis=0, keepdims=True))
