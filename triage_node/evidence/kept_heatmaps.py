"""Heatmaps kept beside the evidence, so that a viewer can lay them over the slices and fade them.

In: the heatmaps of one reading, turned as the volume is. Out: one ZIP archive for each series and revision, a greyscale PNG
for each slice in it, named by the slice's index. They are coarser than the slices: the network sees 16 x 16 places, and what
lies between is interpolated either way. No patient is named in them.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from triage_node.core.identifiers import checked_uid
from triage_node.core.overlay import quantised
from triage_node.core.ports import SeriesVersion
from triage_node.evidence.durable_file import write_bytes_durably

LONGEST_SIDE = 128
"""Pixels; a slice of 512 x 512 keeps every fourth, at a sixteenth of the time and space."""

_NEVER = (1980, 1, 1, 0, 0, 0)
"""The oldest time that the format knows: the same heatmaps give the same bytes."""


def archive_name(series_instance_uid: str, revision: int) -> str:
    """Return the name of a reading's archive within its study's folder.

    Examples
    --------
    >>> archive_name("1.2.3", 2)
    '1.2.3.revision2.heatmaps.zip'
    """
    return f"{checked_uid(series_instance_uid, 'SeriesInstanceUID')}.revision{revision:d}.heatmaps.zip"


def keep_heatmaps(
    heatmaps: Mapping[int, npt.NDArray[np.floating]], folder: Path, series_instance_uid: str, revision: int
) -> None:
    """Write the heatmaps of one reading durably into its study's folder; none leave no file.

    Parameters
    ----------
    heatmaps : slice index to (rows, columns), 0 to 1
    """
    if not heatmaps:
        return
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_STORED) as archive:
        for index in sorted(heatmaps):
            archive.writestr(zipfile.ZipInfo(f"{index}.png", _NEVER), _png(heatmaps[index]))
    write_bytes_durably(content.getvalue(), folder / archive_name(series_instance_uid, revision))


def _png(heatmap: npt.NDArray[np.floating]) -> bytes:
    picture = Image.fromarray(quantised(heatmap))
    share = min(1.0, LONGEST_SIDE / max(picture.size))
    if share < 1.0:
        width, height = (max(1, round(side * share)) for side in picture.size)
        picture = picture.resize((width, height), Image.Resampling.BOX)
    content = io.BytesIO()
    picture.save(content, "PNG", compress_level=6)
    return content.getvalue()


class HeatmapArchives:
    """``core.ports.KeptHeatmaps`` on the folder that the evidence writer fills."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def indices(self, version: SeriesVersion) -> Sequence[int]:
        """Return which slices have a heatmap, ascending; none where there is no archive or it is damaged."""
        try:
            with zipfile.ZipFile(self._path(version)) as archive:
                return sorted(int(name.removesuffix(".png")) for name in archive.namelist())
        except (OSError, zipfile.BadZipFile, ValueError):
            return []

    def read(self, version: SeriesVersion, index: int) -> npt.NDArray[np.uint8] | None:
        """Return one heatmap : (rows, columns), 0 to 255; None where there is none.

        Raises
        ------
        OSError
            The archive, or what is in it, cannot be read.
        """
        try:
            with zipfile.ZipFile(self._path(version)) as archive, archive.open(f"{index}.png") as file:
                return np.array(Image.open(file).convert("L"))
        except (FileNotFoundError, KeyError):
            return None
        except zipfile.BadZipFile as error:
            raise OSError(f"damaged archive: {error}") from error

    def _path(self, version: SeriesVersion) -> Path:
        study = checked_uid(version.study_instance_uid, "StudyInstanceUID")
        return self._folder / study / archive_name(version.series_instance_uid, version.revision)
