"""From the files of one series to an ordered volume in Hounsfield units.

In: headers and paths of an eligible series. Out: a ``SeriesVolume``, or a refusal that the pixels give reason for. Slices run
from inferior to superior (``core.geometry``). In the plane, columns run to the patient's left and rows to the back, as axial
CT is stored of a supine patient; where a series is stored otherwise (prone, mirrored) the array is flipped, because the
network has only seen heads that way up, and the volume says so, so that marks can be mapped back to source pixels.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from triage_node.assembly.stored_pixels import frames_hu
from triage_node.core.errors import Refused, Transient
from triage_node.core.geometry import Orientation, SlicePlane, StackGeometry
from triage_node.core.head_check import check_head
from triage_node.core.instance import InstanceHeader
from triage_node.core.membership import measured_series
from triage_node.core.ports import SeriesVolume
from triage_node.core.reason import Reason, Refusal

_MOST_THREADS = 8


class FileOutOfReach(Transient):
    """A file of the series cannot be opened now."""


@dataclass(frozen=True)
class PixelVolumeReader:
    """Decodes in threads: the decoders and numpy work outside Python's lock.

    Attributes
    ----------
    threads
        How many files are decoded at once; 0 for one a processor, at most 8.
    """

    threads: int = 0

    def read(self, slices: Sequence[tuple[InstanceHeader, Path]]) -> SeriesVolume | Refusal:
        """Decode the slices and check that they show a human head without contrast.

        Returns
        -------
        SeriesVolume or Refusal
            UNDECODABLE, NOT_HEAD or CONTRAST, with what was measured.

        Raises
        ------
        FileOutOfReach
            A file cannot be opened.
        """
        headers = [header for header, _ in slices]
        stack = measured_series(headers)
        try:
            volume_hu = self._decoded(slices, stack)
        except Refused as refused:
            return Refusal(Reason.UNDECODABLE, str(refused))
        except OSError as error:
            raise FileOutOfReach(f"{error.strerror}: {error.filename}") from error
        flipped = flips(stack.slices[0].orientation)
        if flipped is None:
            return Refusal(Reason.NOT_AXIAL, "the rows of the images run from front to back")
        volume_hu = _flipped(volume_hu, *flipped)
        spacing = headers[0].pixel_spacing_mm or (0.0, 0.0)
        refusal = check_head(volume_hu, spacing, stack.slice_spacing_mm)
        return refusal or SeriesVolume(
            volume_hu=volume_hu,
            sop_instance_uids=tuple(headers[plane.instance].sop_instance_uid for plane in stack.slices),
            frame_numbers=tuple(plane.frame_number for plane in stack.slices),
            paths=tuple(slices[plane.instance][1] for plane in stack.slices),
            positions_mm=stack.positions_mm,
            slice_spacing_mm=stack.slice_spacing_mm,
            pixel_spacing_mm=spacing,
            tilt_deg=stack.tilt_deg,
            flipped_rows=flipped[0],
            flipped_columns=flipped[1],
        )

    def _decoded(self, slices: Sequence[tuple[InstanceHeader, Path]], stack: StackGeometry) -> npt.NDArray[np.int16]:
        """Decode each file once and put its frames where they belong: (slices, rows, columns), int16 HU."""
        places: dict[int, list[tuple[int, SlicePlane]]] = {}
        for index, plane in enumerate(stack.slices):
            places.setdefault(plane.instance, []).append((index, plane))
        first = slices[0][0]
        volume_hu = np.empty((len(stack.slices), first.rows, first.columns), dtype=np.int16)

        def decode(instance: int) -> None:
            header, path = slices[instance]
            frames = frames_hu(path, header.number_of_frames)
            if frames.shape[1:] != volume_hu.shape[1:]:
                raise Refused(
                    f"a slice of {frames.shape[1]} x {frames.shape[2]} pixels among {first.rows} x {first.columns}"
                )
            for index, plane in places[instance]:
                if plane.frame_number > len(frames):
                    raise Refused(f"frame {plane.frame_number} of {len(frames)}")
                volume_hu[index] = frames[plane.frame_number - 1]

        threads = self.threads or min(_MOST_THREADS, os.cpu_count() or 1)
        with ThreadPoolExecutor(max_workers=min(threads, len(places)), thread_name_prefix="decode") as pool:
            for _ in pool.map(decode, places):
                pass
        return volume_hu


def flips(orientation: Orientation) -> tuple[bool, bool] | None:
    """Return whether rows and columns run against the convention; None where they are exchanged.

    Examples
    --------
    >>> flips((-1.0, 0.0, 0.0, 0.0, 1.0, 0.0))
    (False, True)
    """
    along_row, along_column = orientation[:3], orientation[3:]
    if abs(along_row[0]) < abs(along_row[1]):
        return None
    return along_column[1] < 0, along_row[0] < 0


def _flipped(volume_hu: npt.NDArray[np.int16], rows: bool, columns: bool) -> npt.NDArray[np.int16]:
    if not (rows or columns):
        return volume_hu
    step = {False: 1, True: -1}
    return np.ascontiguousarray(volume_hu[:, :: step[rows], :: step[columns]])
