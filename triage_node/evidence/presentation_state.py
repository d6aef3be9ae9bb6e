"""The heatmaps' contours as a Grayscale Softcopy Presentation State: drawn by the viewer over the radiologist's own slices.

In: the flagged slices and their heatmaps. Out: presentation states in a series of their own that show the slices in the brain
window, with the line at which the heatmap has half its maximum, and the probability and the notice beside it. Unlike the
heatmaps of ``secondary_capture`` it changes no pixel and can be switched off. A presentation state has one Modality LUT, so
slices with another rescale get another one.
Answers to PS3.3 A.33.1, C.10.5 (Graphic Annotation), C.11.1 (Modality LUT), C.11.8 (Softcopy VOI LUT).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

import highdicom as hd
import numpy as np
import numpy.typing as npt
from contourpy import LineType, contour_generator
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, EnhancedCTImageStorage, ExplicitVRLittleEndian
from pydicom.valuerep import format_number_as_ds

from triage_node.core.hounsfield import BRAIN_WINDOW
from triage_node.core.report import NOTICE
from triage_node.evidence.provenance import Provenance
from triage_node.evidence.secondary_capture import HeatmapSource
from triage_node.evidence.source_series import SourceSeries, SourceSlice, carrying_blanks

SERIES_DESCRIPTION = "Triage of intracranial hemorrhage: contours"

CONTOUR_SHARE = 0.5
"""The contour runs where the heatmap has this share of its own maximum."""

_MOST_POINTS = 1000
"""Of one line: Graphic Data has a length field of 16 bits in Explicit VR (PS3.5 7.1.2), so 8191 points at the very most."""
_LAYER = hd.pr.GraphicLayer("HEATMAP", order=1, description="Where the network looked", display_color=None)
_TEXT_BOX = (0.03125, 0.90625, 0.96875, 0.984375)
"""Left, top, right and bottom as shares of the displayed area; numbers that single precision holds (VR FL)."""
_Line = npt.NDArray[np.float32]


def presentation_states(
    indices: Sequence[int], source: HeatmapSource, series: SourceSeries, provenance: Provenance
) -> Iterator[hd.pr.GrayscaleSoftcopyPresentationState]:
    """Build the states of the slices that have a contour; none where no slice has.

    Parameters
    ----------
    indices
        Of the slices in the volume.
    """
    by_rescale: dict[tuple[float, float] | None, list[tuple[int, list[_Line]]]] = defaultdict(list)
    for index in indices:
        lines = contours(source.volume.as_stored(source.heatmaps[index]))
        if lines:
            by_rescale[series.slices[index].rescale].append((index, lines))
    for number, (rescale, drawn) in enumerate(by_rescale.items(), start=1):
        yield _state(number, rescale, drawn, source, series, provenance)


def contours(heatmap: npt.NDArray[np.floating]) -> list[_Line]:
    """Trace where the heatmap has half its maximum.

    Parameters
    ----------
    heatmap : (rows, columns), 0 to 1

    Returns
    -------
    Closed lines (points, 2) as (column, row), in pixels from the upper left corner of the first pixel, whose centre is at
    (0.5, 0.5) (PS3.3 C.10.5.1.2).

    Examples
    --------
    >>> spot = np.zeros((5, 5), dtype=np.float32)
    >>> spot[2, 2] = 1.0
    >>> [line.tolist() for line in contours(spot)]
    [[[2.5, 3.0], [2.0, 2.5], [2.5, 2.0], [3.0, 2.5], [2.5, 3.0]]]
    """
    rows, columns = heatmap.shape
    padded = np.pad(np.fmax(np.asarray(heatmap, dtype=np.float64), 0.0), 1)  # so that lines close at the border
    maximum = float(padded.max())
    if maximum <= 0.0:
        return []
    lines = contour_generator(z=padded, line_type=LineType.Separate).lines(CONTOUR_SHARE * maximum)
    closed = [np.asarray(line) for line in lines if line is not None and len(line) > 3]
    return [_thinned(np.clip(line - 0.5, 0.0, (columns, rows)).astype(np.float32)) for line in closed]


def _thinned(line: _Line) -> _Line:
    step = -(-len(line) // _MOST_POINTS)
    return line if step == 1 else np.concatenate([line[:-1:step], line[-1:]])


def _state(
    number: int,
    rescale: tuple[float, float] | None,
    drawn: Sequence[tuple[int, list[_Line]]],
    source: HeatmapSource,
    series: SourceSeries,
    provenance: Provenance,
) -> hd.pr.GrayscaleSoftcopyPresentationState:
    shape = source.volume.volume_hu.shape[1:]
    images = {series.slices[index].instance: _image(series.slices[index], series, shape) for index, _ in drawn}
    referenced = carrying_blanks(list(images.values()))
    state = hd.pr.GrayscaleSoftcopyPresentationState(
        referenced_images=referenced,
        content_label="ICH_HEATMAP",
        content_description=f"Half of the heatmap's maximum. {NOTICE}"[:64],
        graphic_layers=[_LAYER],
        graphic_annotations=[
            _annotation(lines, images[series.slices[index].instance], series.slices[index], _caption(index, source))
            for index, lines in drawn
        ],
        modality_lut_transformation=None if rescale is None else _modality_lut(*rescale),
        voi_lut_transformations=[
            hd.pr.SoftcopyVOILUTTransformation(
                window_center=BRAIN_WINDOW.center_hu, window_width=BRAIN_WINDOW.width_hu, window_explanation="BRAIN"
            )
        ],
        **provenance.identifiers("PR", number, SERIES_DESCRIPTION),
        **provenance.equipment(),
        specific_character_set=None,
        transfer_syntax_uid=ExplicitVRLittleEndian,
    )
    _finish(state, source, series, provenance)
    return state


def _image(where: SourceSlice, series: SourceSeries, shape: tuple[int, ...]) -> Dataset:
    """Return what highdicom needs to know of an image; its class by the frames, because it may be private."""
    image = where.instance.as_evidence(series)
    image.SOPClassUID = CTImageStorage if where.frame_number is None else EnhancedCTImageStorage
    image.Rows, image.Columns = shape
    image.SamplesPerPixel = 1
    if where.frame_number is not None:
        image.NumberOfFrames = where.header.NumberOfFrames
    return image


def _annotation(lines: Sequence[_Line], image: Dataset, where: SourceSlice, caption: str) -> hd.pr.GraphicAnnotation:
    return hd.pr.GraphicAnnotation(
        referenced_images=[image],
        referenced_frame_number=where.frame_number,
        graphic_layer=_LAYER,
        graphic_objects=[hd.pr.GraphicObject("POLYLINE", line, units="PIXEL") for line in lines],
        text_objects=[hd.pr.TextObject(caption, "DISPLAY", bounding_box=_TEXT_BOX)],
    )


def _caption(index: int, source: HeatmapSource) -> str:
    probability = source.finding.slices[index].ich_probability
    return f"Suspected hemorrhage {probability:.2f} in this slice. {NOTICE}."


def _modality_lut(slope: float, intercept: float) -> hd.ModalityLUTTransformation:
    return hd.ModalityLUTTransformation(
        rescale_slope=float(format_number_as_ds(slope)),
        rescale_intercept=float(format_number_as_ds(intercept)),
        rescale_type="HU",
    )


def _finish(state: Dataset, source: HeatmapSource, series: SourceSeries, provenance: Provenance) -> None:
    """Set what highdicom sets otherwise: times of now, square pixels, and the class of every image."""
    provenance.finish(state, series, "Read the images and drew these contours")
    state.PresentationCreationDate, state.PresentationCreationTime = state.ContentDate, state.ContentTime
    del state.ContentDate, state.ContentTime  # of no module of this object
    state.BodyPartExamined = "HEAD"  # not a paired one, so that no Laterality is asked for (PS3.3 C.7.3.1)
    state.ContentCreatorName = ""  # highdicom's None would read back as empty
    area = state.DisplayedAreaSelectionSequence[0]
    if len(set(source.volume.pixel_spacing_mm)) > 1:
        del area.PresentationPixelAspectRatio
        area.PresentationPixelSpacing = [format_number_as_ds(each) for each in source.volume.pixel_spacing_mm]
    classes = {each.sop_instance_uid: each.sop_class_uid for each in series.instances}
    holders = [*state.ReferencedSeriesSequence, *state.GraphicAnnotationSequence]
    for item in [image for holder in holders for image in holder.ReferencedImageSequence]:
        item.ReferencedSOPClassUID = classes[item.ReferencedSOPInstanceUID]
