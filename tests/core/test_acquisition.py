"""Words of many sites, read as a radiographer would."""

from __future__ import annotations

from dataclasses import replace

import pytest

from triage_node.core.acquisition import BodyPart, Kernel, body_part, contrast_named, kernel
from triage_node.core.instance import InstanceHeader

BARE = InstanceHeader("1.2.1", "1.2.840.10008.5.1.4.1.1.2", "1.2.2", "1.2.3", "1.2.840.10008.1.2.1", modality="CT")


CONTRAST = (
    "HEAD C+ | CTA HEAD | CTA1.0 J30s | Angio Kopf 0.75 | CT ANGIO HEAD | Perfusion 5.0 | HEAD POST CONTRAST | Schädel mit KM | "
    "HEAD W/ CONTRAST | HEAD WITH CONTRAST | Head +C 5mm | post-con head | Crane avec contraste | HEAD W/O AND W/ CONTRAST | "
    "Bolus Tracking | HEAD CE 5.0"
)
NO_CONTRAST = (
    "HEAD W/O CONTRAST | HEAD W/O | HEAD WO CONTRAST | HEAD WITHOUT CONTRAST | HEAD WITHOUT IV CONTRAST | HEAD NON-CONTRAST | "
    "Head non con | NONCON HEAD | NON CONTRAST | No contrast head | unenhanced head | NCCT 5.0 | NECT HEAD | Schädel nativ | "
    "Kopf ohne KM | crâne sans contraste | cráneo sin contraste | PRE CONTRAST HEAD | Head C- 5mm | HEAD 5.0 H31s | "
    "STD BRAIN 5MM | C-SPINE | AXIAL BRAIN | Cerebrum 4.0"
)
SOFT = "H31s H45s J40s\\2 Hr40f\\3 STANDARD STD+ SOFT UB UC FC21 FC26 FC68"
SHARP = "H60s J70h\\2 Hr68s BONE BONEPLUS EDGE DETAIL YC D FC30 FC81"


@pytest.mark.parametrize("text", CONTRAST.split(" | "))
def test_contrast_is_understood(text: str) -> None:
    assert contrast_named(replace(BARE, series_description=text)) is not None


@pytest.mark.parametrize("text", ["", *NO_CONTRAST.split(" | ")])
def test_what_is_not_contrast_is_left_alone(text: str) -> None:
    assert contrast_named(replace(BARE, series_description=text)) is None


def test_the_protocol_is_asked_only_where_the_series_says_nothing() -> None:
    stroke = replace(BARE, protocol_name="STROKE CTA")
    assert contrast_named(stroke) is not None
    assert contrast_named(replace(stroke, series_description="HEAD 5.0 H31s")) is None


def test_the_study_description_says_nothing_of_one_series() -> None:
    assert contrast_named(replace(BARE, study_description="CTA HEAD AND NECK")) is None


@pytest.mark.parametrize("agent", ["OMNIPAQUE 350", "APPLIED", "ISOVUE300/100", "Iodine", "CE", "Contrast"])
def test_a_named_agent_is_contrast(agent: str) -> None:
    assert contrast_named(replace(BARE, contrast_agent=agent)) is not None


@pytest.mark.parametrize("agent", ["", "NONE", "No", "without", "W/O", "no contrast", "0", "NATIV"])
def test_an_agent_field_that_says_no_is_not_contrast(agent: str) -> None:
    assert contrast_named(replace(BARE, contrast_agent=agent)) is None


@pytest.mark.parametrize(
    ("fields", "part"),
    [
        ({"body_part_examined": "HEAD"}, BodyPart.HEAD),
        ({"body_part_examined": "BRAIN"}, BodyPart.HEAD),
        ({"body_part_examined": "CHEST"}, BodyPart.OTHER),
        ({"body_part_examined": "CSPINE"}, BodyPart.OTHER),
        ({"body_part_examined": "HEADNECK"}, None),
        ({"series_description": "HEAD 5.0 H31s", "body_part_examined": "CHEST"}, BodyPart.HEAD),
        ({"series_description": "Sinus 1.0 H60s", "study_description": "CT HEAD"}, BodyPart.OTHER),
        ({"study_description": "CT HEAD AND C-SPINE"}, BodyPart.BOTH),
        ({"series_description": "Hals-Schädel"}, BodyPart.BOTH),
        ({"series_description": "AXIAL 5MM"}, None),
        ({}, None),
    ],
)
def test_the_most_specific_text_names_the_part(fields: dict[str, str], part: BodyPart | None) -> None:
    assert body_part(replace(BARE, **fields)) is part


@pytest.mark.parametrize(
    ("names", "expected"), [(SOFT.split(), Kernel.SOFT), (SHARP.split(), Kernel.SHARP), (["", "XYZ"], Kernel.UNKNOWN)]
)
def test_kernels_of_the_vendors_are_told_apart(names: list[str], expected: Kernel) -> None:
    assert {name: kernel(replace(BARE, convolution_kernel=name)) for name in names} == dict.fromkeys(names, expected)


def test_a_bone_series_without_a_kernel_is_sharp() -> None:
    assert kernel(replace(BARE, series_description="HEAD BONE 1.0")) is Kernel.SHARP
