"""What a report says of a finding: rows, key slices and the impression, as plain text for every output alike.

In: a finding. Out: text and rows that the structured report, the heatmaps, HL7 and the web page share, so that no two of
them disagree. The words flag, they never diagnose and never rule out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from triage_node.core.finding import SUBTYPE_NAMES, SUBTYPES, Finding
from triage_node.core.reason import REASON_TEXTS, Refusal

NOT_FOR_DIAGNOSTIC_USE = "Not for diagnostic use"
RESEARCH_USE_ONLY = "Research use only"
NOTICE = f"{NOT_FOR_DIAGNOSTIC_USE} - {RESEARCH_USE_ONLY.lower()}"
"""ASCII only: it is burned into pictures and sent in every character set."""

EVIDENCE_KINDS = ("SR", "SC", "KO", "PR", "PDF")
"""The DICOM objects that can be made of a reading: structured report, heatmaps as secondary captures, key object selection,
heatmap contours as presentation states, summary as encapsulated PDF."""
DEFAULT_EVIDENCE_KINDS = ("SR", "SC", "KO")

ICH_NAME = "Intracranial hemorrhage"


class Evaluation(StrEnum):
    """What the cascade says of one kind of blood."""

    PRESENT = "PRESENT"
    ABSENT = "ABSENT"
    NOT_ASSESSED = "NOT_ASSESSED"


EVALUATION_WORDS = {
    Evaluation.PRESENT: "present",
    Evaluation.ABSENT: "absent",
    Evaluation.NOT_ASSESSED: "not assessed",
}


@dataclass(frozen=True)
class FindingRow:
    """One line of a report: ``code`` is ICH or one of ``SUBTYPES``; ``probability`` is None where nothing was computed."""

    code: str
    name: str
    evaluation: Evaluation
    probability: float | None


def finding_rows(finding: Finding) -> tuple[FindingRow, ...]:
    """Return one row for hemorrhage as such, then one a subtype in the order of ``SUBTYPES``.

    Examples
    --------
    >>> from triage_node.core.finding import SliceFinding
    >>> only = SliceFinding("1.2", 0.1, None, False)
    >>> finding = Finding(0.1, False, None, (), (only,), "m", "1", "0" * 64, "balanced", 0.5)
    >>> [(row.code, row.evaluation.value) for row in finding_rows(finding)][:2]
    [('ICH', 'ABSENT'), ('CPH', 'NOT_ASSESSED')]
    """
    ich = Evaluation.PRESENT if finding.flagged else Evaluation.ABSENT
    return (
        FindingRow("ICH", ICH_NAME, ich, finding.ich_probability),
        *(_subtype_row(finding, code) for code in SUBTYPES),
    )


def _subtype_row(finding: Finding, code: str) -> FindingRow:
    if finding.subtypes is None:
        return FindingRow(code, SUBTYPE_NAMES[code], Evaluation.NOT_ASSESSED, None)
    evaluation = Evaluation.PRESENT if code in finding.subtypes_present else Evaluation.ABSENT
    return FindingRow(code, SUBTYPE_NAMES[code], evaluation, finding.subtypes[code])


def rows_not_assessed() -> tuple[FindingRow, ...]:
    """Return the same rows for a series that was not read.

    Examples
    --------
    >>> {row.evaluation.value for row in rows_not_assessed()}
    {'NOT_ASSESSED'}
    """
    names = (("ICH", ICH_NAME), *((code, SUBTYPE_NAMES[code]) for code in SUBTYPES))
    return tuple(FindingRow(code, name, Evaluation.NOT_ASSESSED, None) for code, name in names)


@dataclass(frozen=True)
class KeySlices:
    """Which slices to look at first, as indices into the volume (0 the most inferior).

    ``first``, ``last`` and ``flagged`` are about the flagged slices (None and empty without any); ``top`` has the highest
    probability, flagged or not.
    """

    read_count: int
    flagged: tuple[int, ...]
    top: int
    top_probability: float

    @property
    def first(self) -> int | None:
        """The most inferior flagged slice."""
        return self.flagged[0] if self.flagged else None

    @property
    def last(self) -> int | None:
        """The most superior flagged slice."""
        return self.flagged[-1] if self.flagged else None


def key_slices(finding: Finding) -> KeySlices:
    """Pick the key slices of a finding.

    Examples
    --------
    >>> from triage_node.core.finding import SliceFinding
    >>> slices = tuple(SliceFinding(f"1.{i}", p, None, p >= 0.5) for i, p in enumerate((0.1, 0.7, 0.9, 0.2)))
    >>> found = key_slices(Finding(0.9, True, None, (), slices, "m", "1", "0" * 64, "balanced", 0.5))
    >>> found.first, found.last, found.top
    (1, 2, 2)
    """
    flagged = tuple(index for index, each in enumerate(finding.slices) if each.flagged)
    top = max(range(len(finding.slices)), key=lambda index: finding.slices[index].ich_probability)
    return KeySlices(len(finding.slices), flagged, top, finding.slices[top].ich_probability)


def subtypes_in_words(codes: Sequence[str]) -> str:
    """Name one or more subtypes in a sentence's middle.

    Examples
    --------
    >>> subtypes_in_words(("SDH", "EDH", "SAH"))
    'subdural, epidural and subarachnoid hemorrhage'
    """
    kinds = [SUBTYPE_NAMES[code].lower().removesuffix(" hemorrhage") for code in codes]
    return " and ".join(filter(None, (", ".join(kinds[:-1]), kinds[-1]))) + " hemorrhage"


@dataclass(frozen=True)
class EarlierAnswer:
    """What the superseded report said; ``flagged`` is None where it said NOT ANALYSED."""

    flagged: bool | None
    subtypes_present: tuple[str, ...] = ()


def answer_in_words(answer: EarlierAnswer) -> str:
    """Name an answer in a sentence's middle.

    Examples
    --------
    >>> [answer_in_words(each) for each in (EarlierAnswer(None), EarlierAnswer(False), EarlierAnswer(True, ("SDH",)))]
    ['not analysed', 'not flagged', 'flagged, suspected subdural hemorrhage']
    """
    if answer.flagged is None:
        return "not analysed"
    if not answer.flagged:
        return "not flagged"
    return "flagged" + (f", suspected {subtypes_in_words(answer.subtypes_present)}" if answer.subtypes_present else "")


def superseding_sentences(answer: EarlierAnswer, revision: int, earlier: EarlierAnswer | None) -> list[str]:
    """Say that a report replaces an earlier one, and whether the answer is another; nothing for a first report.

    Parameters
    ----------
    earlier
        None where there was no report, or where it is not known any more what it said.

    Examples
    --------
    >>> superseding_sentences(EarlierAnswer(True), 2, EarlierAnswer(False))
    ['Revision 2: this report replaces the earlier one.', 'The answer has changed: it was not flagged.']
    >>> superseding_sentences(EarlierAnswer(True), 1, None)
    []
    """
    if revision == 1 and earlier is None:
        return []
    which = f"Revision {revision}: this" if revision > 1 else "This"
    sentences = [f"{which} report replaces the earlier one."]
    if earlier is not None:
        changed = f"The answer has changed: it was {answer_in_words(earlier)}."
        sentences.append("The answer has not changed." if earlier == answer else changed)
    return sentences


def impression(finding: Finding, revision: int = 1, earlier: EarlierAnswer | None = None) -> str:
    """Say in a few plain sentences what was found; the first sentence alone is enough for a worklist.

    Slices are counted from the inferior end, beginning with 1. ``earlier`` is what the superseded report said.

    Examples
    --------
    >>> from triage_node.core.finding import SliceFinding
    >>> only = SliceFinding("1.2", 0.1, None, False)
    >>> print(impression(Finding(0.1, False, None, (), (only,), "m", "1", "0" * 64, "balanced", 0.5)))
    Not flagged for intracranial hemorrhage (probability 0.10, operating point balanced at 0.50). This does not exclude \
hemorrhage. 1 slice was read. Not for diagnostic use - research use only.
    """
    decision = (
        f"(probability {finding.ich_probability:.2f}, operating point {finding.operating_point} "
        f"at {finding.operating_threshold:.2f})."
    )
    sentences = (
        _flagged_sentences(finding, decision)
        if finding.flagged
        else [f"Not flagged for intracranial hemorrhage {decision} This does not exclude hemorrhage."]
    )
    count = len(finding.slices)
    sentences.append(f"{count} slice was read." if count == 1 else f"{count} slices were read.")
    answer = EarlierAnswer(finding.flagged, tuple(finding.subtypes_present))
    sentences += superseding_sentences(answer, revision, earlier)
    sentences.append(f"{NOTICE}.")
    return " ".join(sentences)


def _flagged_sentences(finding: Finding, decision: str) -> list[str]:
    sentences = [f"Flagged for suspected intracranial hemorrhage {decision}"]
    if finding.subtypes is None:
        sentences.append("Subtypes were not assessed.")
    elif finding.subtypes_present:
        sentences.append(f"Suspected: {subtypes_in_words(finding.subtypes_present)}.")
    else:
        sentences.append("No subtype reached its operating point.")
    keys = key_slices(finding)
    if keys.first is not None and keys.last is not None:
        which = f"slice {keys.first + 1}" if keys.first == keys.last else f"slices {keys.first + 1} to {keys.last + 1}"
        sentences.append(
            f"{len(keys.flagged)} flagged, {which} from inferior; highest in slice {keys.top + 1} ({keys.top_probability:.2f})."
        )
    return sentences


def not_analysed_impression(refusal: Refusal, revision: int = 1, earlier: EarlierAnswer | None = None) -> str:
    """Say that nothing was read, and why.

    Examples
    --------
    >>> from triage_node.core.reason import Reason
    >>> print(not_analysed_impression(Refusal(Reason.MISSING_SLICES, "gap of 10.0 mm after slice 7")))
    NOT ANALYSED for intracranial hemorrhage: Slices are missing within the series. (MISSING_SLICES: gap of 10.0 mm after \
slice 7) No statement about hemorrhage is made. Not for diagnostic use - research use only.
    """
    code = f"{refusal.reason.value}: {refusal.detail}" if refusal.detail else refusal.reason.value
    sentences = [
        f"NOT ANALYSED for intracranial hemorrhage: {REASON_TEXTS[refusal.reason]} ({code})",
        "No statement about hemorrhage is made.",
        *superseding_sentences(EarlierAnswer(None), revision, earlier),
        f"{NOTICE}.",
    ]
    return " ".join(sentences)
