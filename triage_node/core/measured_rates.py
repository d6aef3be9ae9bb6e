"""How often a release is right at an operating point, as it was measured before it was shipped."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class MeasuredRates:
    """Sensitivity and specificity per subject, 0 to 1, and on how many subjects with and without hemorrhage."""

    release: str
    operating_point: str
    sensitivity: float
    specificity: float
    bleeding_subjects: int
    other_subjects: int

    def __str__(self) -> str:
        return (
            f"measured of release {self.release} at its operating point {self.operating_point}:"
            f" sensitivity {self.sensitivity:.3g} on {self.bleeding_subjects} subjects,"
            f" specificity {self.specificity:.3g} on {self.other_subjects}"
        )
