"""What the cascade says of one series: probabilities per slice and subject, and whether it is flagged.

In: numbers from the classifier. Out: immutable findings that every later station reads. Never a diagnosis.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

SUBTYPES = ("CPH", "IVH", "SDH", "EDH", "SAH")
"""Cerebral parenchymal, intraventricular, subdural, epidural and subarachnoid hemorrhage; the order of stage two's outputs."""

SUBTYPE_NAMES: Mapping[str, str] = {
    "CPH": "Cerebral parenchymal hemorrhage",
    "IVH": "Intraventricular hemorrhage",
    "SDH": "Subdural hemorrhage",
    "EDH": "Epidural hemorrhage",
    "SAH": "Subarachnoid hemorrhage",
}


def _check_probability(name: str, value: float) -> None:
    if not 0.0 <= value <= 1.0:  # also refuses NaN
        raise ValueError(f"{name} must lie in 0 to 1, not {value}")


def _check_subtypes(subtypes: Mapping[str, float] | None) -> None:
    if subtypes is None:
        return
    if tuple(subtypes) != SUBTYPES:
        raise ValueError(f"subtypes must be {SUBTYPES} in this order, not {tuple(subtypes)}")
    for name, value in subtypes.items():
        _check_probability(name, value)


@dataclass(frozen=True)
class SliceFinding:
    """One slice: its probability of blood and, where stage two ran, of each subtype."""

    sop_instance_uid: str
    ich_probability: float
    subtypes: Mapping[str, float] | None
    flagged: bool

    def __post_init__(self) -> None:
        _check_probability("ich_probability", self.ich_probability)
        _check_subtypes(self.subtypes)


@dataclass(frozen=True)
class Finding:
    """One reading of one series.

    Attributes
    ----------
    ich_probability : 0 to 1, subject level
    flagged
        Whether ``ich_probability`` is at or above the operating point.
    subtypes
        Subject-level probability per subtype, None where stage two did not run.
    subtypes_present
        Names of the subtypes at or above their operating points, in the order of ``SUBTYPES``.
    slices
        From inferior to superior, one for each slice that was read.
    model_name, model_version, weights_sha256
        Which release computed this.
    operating_point, operating_threshold
        Name and threshold (0 to 1) of the stage-one operating point.
    """

    ich_probability: float
    flagged: bool
    subtypes: Mapping[str, float] | None
    subtypes_present: tuple[str, ...]
    slices: tuple[SliceFinding, ...]
    model_name: str
    model_version: str
    weights_sha256: str
    operating_point: str
    operating_threshold: float
    elapsed_ms: float = 0.0

    def __post_init__(self) -> None:
        _check_probability("ich_probability", self.ich_probability)
        _check_subtypes(self.subtypes)
        if self.flagged != (self.ich_probability >= self.operating_threshold):
            raise ValueError("flagged contradicts the operating point")
        if not self.slices:
            raise ValueError("a finding rests on at least one slice")

    @property
    def flagged_slices(self) -> tuple[SliceFinding, ...]:
        """The slices at or above the operating point, from inferior to superior."""
        return tuple(each for each in self.slices if each.flagged)

    @property
    def top_slice(self) -> SliceFinding:
        """The slice with the highest probability of blood."""
        return max(self.slices, key=lambda each: each.ich_probability)
