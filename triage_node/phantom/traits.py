"""Who lies in the scanner and how the scan is made: everything that is drawn before a head is painted.

In: a random generator. Out: scan, pose, face and brain traits. Atrophy follows age.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from triage_node.phantom.brain import BrainTraits
from triage_node.phantom.face import FaceTraits
from triage_node.phantom.geometry import Pose, Scan
from triage_node.phantom.ventricles import VentricleSize

_SPACINGS_MM = (5.0, 4.8, 4.0, 3.0, 2.5, 1.25)
_SPACING_SHARE = (0.74, 0.1, 0.07, 0.05, 0.03, 0.01)


@dataclass(frozen=True)
class Patient:
    """Age in years and sex, F or M."""

    age: int
    sex: str


def drawn_patient(rng: np.random.Generator) -> Patient:
    """Draw an adult."""
    return Patient(int(np.clip(rng.normal(52, 22), 16, 97)), "F" if rng.random() < 0.47 else "M")


def drawn_scan(
    rng: np.random.Generator, patient: Patient, size: int, slice_spacing_mm: float | None, tilt_deg: float | None
) -> tuple[Scan, Pose, str]:
    """Draw geometry, pose and kernel; spacing and tilt are fixed where given."""
    spacing = float(rng.choice(_SPACINGS_MM, p=_SPACING_SHARE))
    tilt = 0.0 if rng.random() < 0.6 else float(rng.uniform(5, 22))
    kernel = str(rng.choice(["soft", "standard", "sharp"], p=[0.35, 0.58, 0.07]))
    spacing = spacing if slice_spacing_mm is None else slice_spacing_mm
    tilt = tilt if tilt_deg is None else tilt_deg
    build = 1.02 if patient.sex == "M" else 0.985
    x, y, z = (float(each) for each in np.clip(rng.normal(build, [0.035, 0.04, 0.035]), 0.86, 1.1))
    # the technician tilts the gantry toward the orbitomeatal line, so tilt and pitch cancel in part
    pose = Pose(float(rng.normal(0, 5)), float(rng.normal(0, 2.5)), float(rng.normal(0, 6)) + 0.7 * tilt, (x, y, z))
    first = float(rng.normal(-72, 8))
    step = spacing / math.cos(math.radians(tilt))
    slices = max(int((80.0 * z + float(rng.uniform(0, 9)) - first) / step) + 1, 12)
    center = (float(rng.normal(0, 5)), float(rng.normal(-4, 6)))
    field_mm = float(np.clip(rng.normal(232, 10), 214, 256))
    return Scan(slices, size, field_mm / size, spacing, spacing, tilt, first, center), pose, kernel


def drawn_face(rng: np.random.Generator) -> FaceTraits:
    """Draw bone, scalp, sinuses and fat."""
    return FaceTraits(
        bone_mm=float(rng.uniform(4.0, 7.4)),
        scalp_mm=float(rng.uniform(3.5, 7.5)),
        compact_hu=float(rng.uniform(1250, 1750)),
        diploe_hu=float(rng.uniform(450, 950)),
        frontal_sinus=float(rng.uniform(0.4, 1.4)),
        mastoid_air=float(rng.uniform(0.4, 1.5)),
        fat=float(rng.uniform(0.06, 0.2)),
    )


def drawn_brain(rng: np.random.Generator, age: int, dense_sinus: bool) -> BrainTraits:
    """Draw tissue values and how much room atrophy has left to CSF."""
    atrophy = float(np.clip((age - 35) / 45 + rng.normal(0, 0.35), -0.4, 1.6))
    white = float(rng.uniform(22.5, 28.0))
    blood = float(rng.uniform(58, 76) if dense_sinus else rng.uniform(44, 58))
    widening = -0.2 + 1.7 * atrophy
    return BrainTraits(
        white_hu=white,
        grey_hu=white + float(rng.uniform(8.0, 11.0)),
        csf_hu=float(rng.uniform(4, 12)),
        gap_mm=max(0.35 + 0.8 * atrophy, 0.1),
        sulcus_mm=float(np.clip(0.35 + 0.4 * atrophy + rng.normal(0, 0.1), 0.1, 1.3)),
        gyrus_mm=float(rng.uniform(12.0, 16.0)),
        sylvian_mm=float(np.clip(0.9 + 1.1 * atrophy, 0.5, 3.5)),
        ventricles=VentricleSize(
            left_mm=widening + float(rng.normal(0, 0.6)),
            right_mm=widening + float(rng.normal(0, 0.6)),
            third_mm=max(1.2 + 1.6 * atrophy, 0.6),
            spread=float(rng.uniform(0.9, 1.1)),
        ),
        falx_hu=float(rng.uniform(42, 54)),
        venous_hu=blood,
        arterial_hu=float(rng.uniform(40, 52)),
        leukoaraiosis_hu=float(np.clip(rng.normal(0, 2) + 4 * (atrophy - 0.6), 0, 7)),
    )
