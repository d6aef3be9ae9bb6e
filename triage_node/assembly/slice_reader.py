"""From the file of one slice to its pixels, without the rest of the series: what a viewer needs.

In: the instances of a series in any order. Out: single slices in HU in the order, and turned the way, of the volume that
``volume_reader`` makes of the same files, so that an index means the same slice in both. Nothing is refused here for what
it shows: a series that the cascade declines may still be looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from triage_node.assembly.stored_pixels import frames_hu
from triage_node.assembly.volume_reader import flips
from triage_node.core.errors import Refused
from triage_node.core.instance import InstanceHeader
from triage_node.core.membership import measured_series
from triage_node.core.ports import SliceSource, SliceStack
from triage_node.core.series import ordered


class PixelSliceReader:
    """``core.ports.SliceReader`` on files."""

    def stack(self, instances: Sequence[tuple[InstanceHeader, Path]]) -> SliceStack | None:
        """Put instances in order; rows that run from front to back are shown as they are stored."""
        slices = ordered(instances)
        if not slices:
            return None
        headers = [header for header, _ in slices]
        measured = measured_series(headers)
        flipped_rows, flipped_columns = flips(measured.slices[0].orientation) or (False, False)
        return SliceStack(
            slices=tuple(
                SliceSource(
                    sop_instance_uid=headers[plane.instance].sop_instance_uid,
                    path=slices[plane.instance][1],
                    frame_number=plane.frame_number,
                    number_of_frames=headers[plane.instance].number_of_frames,
                    position_mm=position_mm,
                )
                for plane, position_mm in zip(measured.slices, measured.positions_mm, strict=True)
            ),
            rows=headers[0].rows,
            columns=headers[0].columns,
            pixel_spacing_mm=headers[0].pixel_spacing_mm or (1.0, 1.0),
            flipped_rows=flipped_rows,
            flipped_columns=flipped_columns,
        )

    def read(self, stack: SliceStack, index: int) -> npt.NDArray[np.int16]:
        """Decode one slice.

        Raises
        ------
        Refused
            Its file cannot be decoded.
        OSError
            Its file cannot be opened.
        """
        source = stack.slices[index]
        frames = frames_hu(source.path, source.number_of_frames)
        if source.frame_number > len(frames):
            raise Refused(f"frame {source.frame_number} of {len(frames)}")
        step = {False: 1, True: -1}
        found = frames[source.frame_number - 1][:: step[stack.flipped_rows], :: step[stack.flipped_columns]]
        return np.ascontiguousarray(found)
