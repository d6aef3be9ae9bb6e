"""What made-up studies truly show, as tables and masks beside their DICOM series.

In: heads and the files they were written to. Out: rows of ``labels.csv``, ``lesions.csv``, ``mimics.csv`` and ``masks.csv``,
and mask images. Everything is measured on the masks and voxels that were written, not on what was wished for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image

from triage_node.core.finding import SUBTYPES
from triage_node.phantom.mimics import CHANCE
from triage_node.phantom.scans import PhantomHead

Row = tuple[str | int | float, ...]

LABEL_COLUMNS = ("subject", "slice", "any", *SUBTYPES)
LESION_COLUMNS = ("subject", "kind", "volume_ml", "median_hu", "slices")
MIMIC_COLUMNS = ("subject", *CHANCE)
MASK_COLUMNS = ("subject", "slice", "file")

_COLOURS = ((228, 87, 86), (76, 120, 168), (84, 162, 75), (245, 133, 24), (178, 121, 162))
"""Of the kinds, in the order of ``SUBTYPES``; where kinds overlap the colours are averaged."""


def label_rows(subject: str, files: Sequence[str], head: PhantomHead) -> Iterator[Row]:
    """Label the subject, in a row with an empty slice, then each slice by its file."""
    yield (subject, "", int(head.labels.any()), *map(int, head.labels))
    for name, labels in zip(files, head.slice_labels, strict=True):
        yield (subject, name, int(labels.any()), *map(int, labels))


def lesion_rows(subject: str, head: PhantomHead) -> Iterator[Row]:
    """Measure each kind of blood: volume (mL), median HU, and how many slices are labelled with it.

    A kind may have some volume and no slice: then no slice shows enough of it to be labelled.
    """
    voxel_ml = head.pixel_spacing_mm[0] * head.pixel_spacing_mm[1] * head.slice_spacing_mm / 1000.0
    for bit, kind in enumerate(SUBTYPES):
        inside = ((head.masks >> bit) & 1).astype(bool)
        if inside.any():
            volume_ml = round(float(inside.sum()) * voxel_ml, 3)
            median_hu = round(float(np.median(head.volume_hu[inside])), 1)
            yield subject, kind, volume_ml, median_hu, int(head.slice_labels[:, bit].sum())


def mimic_row(subject: str, head: PhantomHead) -> Row:
    """Say which negatives the head carries, 1 or 0 in the order of ``MIMIC_COLUMNS``."""
    return (subject, *(int(name in head.mimics) for name in CHANCE))


def mask_image(mask: npt.NDArray[np.uint8]) -> Image.Image:
    """Make a picture of a slice's mask.

    Parameters
    ----------
    mask : (rows, columns), bit n set where ``SUBTYPES[n]`` is

    Returns
    -------
    A palette image: its indices are the mask, its colours tell the kinds apart, and what is black is no blood.

    Examples
    --------
    >>> image = mask_image(np.array([[0, 5]], dtype=np.uint8))
    >>> np.asarray(image).tolist(), image.convert("RGB").getpixel((0, 0))
    ([[0, 5]], (0, 0, 0))
    """
    image = Image.fromarray(mask)
    image.putpalette([channel for bits in range(1 << len(SUBTYPES)) for channel in _colour(bits)])
    return image


def _colour(bits: int) -> tuple[int, int, int]:
    shown = [colour for kind, colour in enumerate(_COLOURS) if bits >> kind & 1]
    red, green, blue = (round(sum(each[channel] for each in shown) / max(len(shown), 1)) for channel in range(3))
    return red, green, blue
