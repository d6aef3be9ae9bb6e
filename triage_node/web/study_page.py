"""The page of one study: what was found, where, in which words, when, by which model; and who looked.

Whoever may see the worklist may see the page; slices and heatmaps only who may see images. Each view is noted in the audit
trail. The page never swaps what is shown under the reader's eyes: it says that something newer is there.
"""

from __future__ import annotations

import json
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, HTTPException, Request, Response

from triage_node.core.access import Permission, Visitor
from triage_node.core.audit import AuditAction
from triage_node.core.finding import SUBTYPE_NAMES
from triage_node.core.ports import Feedback, NoSuchImage, ReaderTask, SliceStack
from triage_node.core.report import EVALUATION_WORDS, Evaluation, finding_rows, key_slices, subtypes_in_words
from triage_node.web.delivery_groups import delivery_groups
from triage_node.web.images import WINDOWS
from triage_node.web.pages import page
from triage_node.web.parameters import Uid
from triage_node.web.parts import WebParts
from triage_node.web.probability_curve import probability_curve
from triage_node.web.shown_reading import (
    ShownReading,
    answers,
    ending_words,
    report_text,
    shown_reading,
)
from triage_node.web.study_timeline import duration, timeline
from triage_node.web.visitors import note, parts_of, require, visitor_of

_AUDIT_LINES = 50

MaySee = Annotated[Visitor, Depends(require(Permission.SEE_WORKLIST))]


def routes(parts: WebParts) -> APIRouter:
    """Return the routes."""
    router = APIRouter(include_in_schema=False)

    @router.get("/studies/{study_instance_uid}")
    def study(
        request: Request,
        visitor: MaySee,
        study_instance_uid: Uid,
        series: str | None = None,
        revision: int | None = None,
        slice: int | None = None,
    ) -> Response:
        images = visitor.may(Permission.SEE_IMAGES)
        shown = study_answer(request, study_instance_uid, series=series, revision=revision, slice_number=slice)
        note(request, AuditAction.STUDY_SHOWN, study_instance_uid, images=images, series=series, revision=revision)
        return shown

    @router.get("/studies/{study_instance_uid}/reading")
    def reading_panel(request: Request, visitor: MaySee, study_instance_uid: Uid) -> Response:
        """Only how the study stands, for the page that is open; its view was noted already."""
        return page(request, "study_reading.html", **_standing(parts, study_instance_uid))

    return router


def study_answer(
    request: Request,
    study_instance_uid: str,
    *,
    series: str | None = None,
    revision: int | None = None,
    slice_number: int | None = None,
    problem: str | None = None,
) -> Response:
    """Render the page; with a problem, which is told on it, the status is 409.

    Raises
    ------
    HTTPException
        404: there is no such study, series or revision.
    """
    parts, visitor = parts_of(request), visitor_of(request)
    shown = _standing(parts, study_instance_uid)
    study = shown["study"]
    reading, asked = shown_reading(study, series, revision), {"series": series, "revision": revision}
    if reading is None and (series is not None or revision is not None):
        raise HTTPException(404, "this study has no such series, or no such revision of it")
    shown |= {
        "problem": problem,
        "same_reading": urlencode({name: each for name, each in asked.items() if each is not None}),
        "reading": reading,
        "study_date": study_date(study["study_date"]),
        "timeline": timeline(study, reading, shown["task"]),
        "duration": duration,
        "ending_words": ending_words,
        "delivery_groups": delivery_groups(study),
        "audit": parts.audit.of_study(study_instance_uid, _AUDIT_LINES),
        "viewer": None,
    }
    if reading is not None:
        shown |= _told(parts, reading) | {"verdicts": verdicts(shown["task"], reading.revision)}
        if visitor is not None and visitor.may(Permission.SEE_IMAGES):
            shown["viewer"] = _viewer(parts, study_instance_uid, reading, slice_number)
    return page(request, "study.html", status_code=409 if problem else 200, **shown)


def study_date(stored: str | None) -> str:
    """Write a DICOM date with hyphens; what is none stays away (PS3.5 6.2, DA).

    Examples
    --------
    >>> study_date("20260302"), study_date("soon")
    ('2026-03-02', '')
    """
    date = (stored or "").replace(".", "")
    return f"{date[:4]}-{date[4:6]}-{date[6:]}" if len(date) == 8 and date.isdigit() else ""


def verdicts(task: ReaderTask, revision: int) -> dict[str, list[Feedback]]:
    """Return what each reader said last of each finding of a revision."""
    latest = {(each.finding, each.reader): each for each in task.feedback if each.revision == revision}
    found: dict[str, list[Feedback]] = {}
    for (finding, _), each in latest.items():
        found.setdefault(finding, []).append(each)
    return found


def _standing(parts: WebParts, study_instance_uid: str) -> dict[str, Any]:
    """How the study and its reading by a person stand."""
    study = parts.studies.study(study_instance_uid)
    task = parts.reader_tasks.state_of(study_instance_uid)
    if study is None or task is None:
        raise HTTPException(404, "there is no such study on this node, or no longer")
    current = shown_reading(study)
    return {"study": study, "task": task, "current": current}


def _told(parts: WebParts, reading: ShownReading) -> dict[str, Any]:
    """What the reading says."""
    earlier = parts.studies.predecessor_report(int(reading.series["series_id"]), reading.revision)
    finding = reading.finding
    return {
        "report": report_text(reading, earlier.answer if earlier else None),
        "answers": answers(reading.series),
        "rows": finding_rows(finding) if finding else (),
        "evaluation_words": EVALUATION_WORDS,
        "not_assessed": Evaluation.NOT_ASSESSED,
        "keys": key_slices(finding) if finding else None,
        "suspected": subtypes_in_words(finding.subtypes_present) if finding and finding.subtypes_present else "",
        "subtype_names": SUBTYPE_NAMES,
        "curve": probability_curve(finding) if finding else None,
    }


def _viewer(
    parts: WebParts, study_instance_uid: str, reading: ShownReading, slice_number: int | None
) -> dict[str, Any] | None:
    """What the viewer needs to begin; None where there are no slices that can be put in order."""
    try:
        version = parts.images.version(study_instance_uid, reading.series_instance_uid, reading.revision)
        stack = parts.images.stack(version)
    except NoSuchImage:
        return None
    if stack is None:
        return None
    heatmaps = frozenset(parts.images.heatmap_indices(version))
    first = _first_slice(reading, stack) if slice_number is None else slice_number - 1
    base = f"/studies/{study_instance_uid}/series/{reading.series_instance_uid}"
    return {
        "slices": json.dumps(_slices(reading, stack, heatmaps)),
        "count": len(stack.slices),
        "first": min(max(first, 0), len(stack.slices) - 1),
        "heatmap_count": len(heatmaps),
        "rows": stack.rows,
        "columns": stack.columns,
        "aspect": (stack.columns * stack.pixel_spacing_mm[1]) / (stack.rows * stack.pixel_spacing_mm[0]),
        "slice_path": f"{base}/slices/",
        "heatmap_path": f"{base}/revisions/{reading.revision}/heatmaps/",
        "windows": WINDOWS,
    }


def _first_slice(reading: ShownReading, stack: SliceStack) -> int:
    """The slice of the highest probability, else the middle one."""
    return key_slices(reading.finding).top if reading.finding else len(stack.slices) // 2


def _slices(reading: ShownReading, stack: SliceStack, heatmaps: frozenset[int]) -> list[dict[str, Any]]:
    """What the viewer says of each slice; probabilities only where the reading is of these very slices."""
    found = reading.finding.slices if reading.finding else ()
    names = tuple(each.sop_instance_uid for each in stack.slices)
    if tuple(each.sop_instance_uid for each in found) != names:
        found = ()
    return [
        {
            "position_mm": round(each.position_mm, 1),
            "heatmap": index in heatmaps,
            "probability": round(found[index].ich_probability, 4) if found else None,
            "flagged": found[index].flagged if found else False,
        }
        for index, each in enumerate(stack.slices)
    ]
