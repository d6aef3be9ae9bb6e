"""The header of one stored instance, as plain values: all that assembly, selection and the worklist need to know.

In: what a header reader found. Out: an immutable record that survives JSON. Missing or unreadable values are None or
empty, never guessed.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class InstanceHeader:
    """What one instance says of itself (PS3.3 A.3 and the modules it names).

    Attributes
    ----------
    image_position_patient : (x, y, z), mm, centre of the first pixel (PS3.3 C.7.6.2.1.1)
    image_orientation_patient : direction cosines of a row, then of a column
    pixel_spacing_mm : distance between rows, then between columns
    gantry_tilt_deg
        GantryDetectorTilt as written; vendors differ in sign, so geometry uses the orientation.
    has_pixels
        Whether a Pixel Data element follows.
    expected_instances
        How many instances the sender says the series has, where it says so.
    frames : one a frame of a multi-frame instance: (x, y, z), mm, then the six direction cosines
        Empty for single-frame instances, and where a frame says not where it lies (PS3.3 C.7.6.16.2.3, C.7.6.16.2.4).
    """

    sop_instance_uid: str
    sop_class_uid: str
    series_instance_uid: str
    study_instance_uid: str
    transfer_syntax_uid: str
    modality: str = ""
    image_type: tuple[str, ...] = ()
    patient_id: str = ""
    patient_name: str = ""
    accession_number: str = ""
    study_date: str = ""
    study_time: str = ""
    study_description: str = ""
    series_description: str = ""
    series_number: int | None = None
    protocol_name: str = ""
    body_part_examined: str = ""
    manufacturer: str = ""
    station_name: str = ""
    scan_options: str = ""
    contrast_agent: str = ""
    convolution_kernel: str = ""
    kvp: float | None = None
    instance_number: int | None = None
    acquisition_number: int | None = None
    image_position_patient: tuple[float, float, float] | None = None
    image_orientation_patient: tuple[float, float, float, float, float, float] | None = None
    pixel_spacing_mm: tuple[float, float] | None = None
    slice_thickness_mm: float | None = None
    gantry_tilt_deg: float | None = None
    rows: int = 0
    columns: int = 0
    number_of_frames: int = 1
    samples_per_pixel: int = 1
    bits_allocated: int = 0
    photometric_interpretation: str = ""
    rescale_slope: float | None = None
    rescale_intercept: float | None = None
    has_pixels: bool = False
    expected_instances: int | None = None
    frames: tuple[tuple[float, ...], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values; empty and missing values are left out."""
        return {name: value for name, value in dataclasses.asdict(self).items() if value not in (None, "", ())}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> InstanceHeader:
        """Build a header from what ``to_json`` gave, lists standing for tuples.

        Examples
        --------
        >>> header = InstanceHeader("1.2", "1.3", "1.4", "1.5", "1.6", image_type=("ORIGINAL",))
        >>> InstanceHeader.from_json(header.to_json()) == header
        True
        """
        fields: dict[str, Any] = {name: _as_tuple(value) for name, value in values.items()}
        return cls(**fields)


def _as_tuple(value: Any) -> Any:
    return tuple(_as_tuple(each) for each in value) if isinstance(value, list) else value
