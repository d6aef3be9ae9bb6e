"""Which reading of a study a page shows, and what it says, in the very words of the report.

In: the record of a study as ``StudyRepository.study`` returns it. Out: one revision of one series with its finding. The
choice is the worklist's: of each series' latest reading a flagged one before others, then the one of the highest
probability, so that page and worklist never disagree.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from triage_node.core.finding import SUBTYPES, Finding, SliceFinding
from triage_node.core.reason import REASON_TEXTS, Reason, Refusal
from triage_node.core.report import EarlierAnswer, answer_in_words, impression, not_analysed_impression
from triage_node.core.study_state import State

Record = Mapping[str, Any]


@dataclass(frozen=True)
class ShownReading:
    """One revision of one series; ``finding`` is None where it was not read, or not yet."""

    series: Record
    entry: Record
    finding: Finding | None

    @property
    def series_instance_uid(self) -> str:
        """Of the series."""
        return str(self.series["series_instance_uid"])

    @property
    def revision(self) -> int:
        """Its number."""
        return int(self.entry["revision"])

    @property
    def is_latest(self) -> bool:
        """Whether nothing newer of this series is here or on its way."""
        return self.revision == int(self.series["revision"])

    @property
    def refusal(self) -> Refusal | None:
        """Why the series was not read, where it was refused."""
        if not self.is_latest or self.series["state"] != State.NOT_ANALYSED:
            return None
        return Refusal(Reason(self.series["reason"]), self.series["detail"] or "")


def shown_reading(
    study: Record, series_instance_uid: str | None = None, revision: int | None = None
) -> ShownReading | None:
    """Return the reading to show, or the one that is asked for; None where there is none like that."""
    series = [each for each in study["series"] if series_instance_uid in (None, each["series_instance_uid"])]
    readings = [_latest(each) if revision is None else _numbered(each, revision) for each in series]
    found = [each for each in readings if each is not None]
    return max(found, key=_standing, default=None)


def _latest(series: Record) -> ShownReading | None:
    """The latest revision that was read, else the one that is there."""
    entries = series["revisions"]
    read = [each for each in entries if each["classified_at"] is not None]
    return _reading(series, (read or entries)[-1]) if entries else None


def _numbered(series: Record, revision: int) -> ShownReading | None:
    return next((_reading(series, each) for each in series["revisions"] if each["revision"] == revision), None)


def _reading(series: Record, entry: Record) -> ShownReading:
    return ShownReading(series, entry, finding_of(entry))


def _standing(reading: ShownReading) -> tuple[bool, bool, float, bool, int, int]:
    finding, series = reading.finding, reading.series
    return (
        finding is not None,
        finding is not None and finding.flagged,
        finding.ich_probability if finding else 0.0,
        series["modality"] == "CT",
        0 if finding else int(series["instance_count"]),
        -int(series["series_id"]),
    )


def finding_of(entry: Record) -> Finding | None:
    """Return what the cascade said of a revision, None where it was not read."""
    if entry["classified_at"] is None:
        return None
    return Finding(
        ich_probability=entry["ich_probability"],
        flagged=entry["flagged"],
        subtypes=_in_order(entry["subtypes"]),
        subtypes_present=tuple(entry["subtypes_present"]),
        slices=tuple(
            SliceFinding(
                each["sop_instance_uid"], each["ich_probability"], _in_order(each["subtypes"]), each["flagged"]
            )
            for each in entry["slices"]
        ),
        model_name=entry["model_name"],
        model_version=entry["model_version"],
        weights_sha256=entry["weights_sha256"],
        operating_point=entry["operating_point"],
        operating_threshold=entry["operating_threshold"],
        elapsed_ms=entry["elapsed_ms"],
    )


def _in_order(subtypes: Mapping[str, float] | None) -> dict[str, float] | None:
    return None if subtypes is None else {name: subtypes[name] for name in SUBTYPES}


def report_text(reading: ShownReading, earlier: EarlierAnswer | None) -> str | None:
    """Return the text of the report, None where there is none yet; ``earlier`` is what the report before it said."""
    if reading.finding is not None:
        return impression(reading.finding, reading.revision, earlier)
    if reading.refusal is not None:
        return not_analysed_impression(reading.refusal, reading.revision, earlier)
    return None


@dataclass(frozen=True)
class Answer:
    """What one revision of a series said; ``changed`` is None for the first."""

    entry: Record
    words: str
    changed: bool | None


def answers(series: Record) -> Sequence[Answer]:
    """Return what each revision of a series said, the newest first."""
    return tuple(reversed(list(_told(series["revisions"]))))


def _told(entries: Sequence[Record]) -> Iterator[Answer]:
    before: EarlierAnswer | None = None
    for entry in entries:
        if entry["classified_at"] is None:
            yield Answer(entry, "no reading", None)
            continue
        said = EarlierAnswer(entry["flagged"], tuple(entry["subtypes_present"]))
        yield Answer(entry, answer_in_words(said), None if before is None else said != before)
        before = said


def ending_words(series: Record) -> str:
    """Say why a series was not read; empty where there is nothing to say.

    Examples
    --------
    >>> ending_words({"reason": "NOT_CT", "detail": "Modality MR"})
    'The series is not CT. (NOT_CT: Modality MR)'
    """
    if series["reason"] is None:
        return ""
    code = f"{series['reason']}: {series['detail']}" if series["detail"] else str(series["reason"])
    return f"{REASON_TEXTS[Reason(series['reason'])]} ({code})"
