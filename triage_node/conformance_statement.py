"""The DICOM conformance statement, written from what the code negotiates (PS3.2): nothing is claimed by hand.

In: nothing but this version's tables. Out: Markdown, kept in ``docs/CONFORMANCE.md`` and equal to it by test.
"""

from __future__ import annotations

from collections.abc import Iterator

from pydicom.uid import UID

from triage_node.arrival.storage_scp import supported_contexts
from triage_node.core.commitment import CLASS_INSTANCE_CONFLICT, FAILURE_REASONS, LASTING_REASONS, NO_SUCH_INSTANCE
from triage_node.core.conformance import (
    IMPLEMENTATION_CLASS_UID,
    IMPLEMENTATION_VERSION_NAME,
    QUERY_SOP_CLASSES,
    TRANSFER_SYNTAXES,
)
from triage_node.core.dimse_status import (
    CANNOT_UNDERSTAND,
    DOES_NOT_MATCH_SOP_CLASS,
    OUT_OF_RESOURCES,
    PROCESSING_FAILURE,
    SUCCESS,
    classified,
)
from triage_node.core.query_status import FIND_ANSWERS, WORKITEM_ANSWERS
from triage_node.core.workitem import SCHEDULED_PRIORITY
from triage_node.settings import Settings
from triage_node.worklist import study_root
from triage_node.worklist.workitem_attributes import INTERPRETATION, LABELS, WORKLIST_LABEL, constants, key_columns

SENT = {
    "1.2.840.10008.5.1.4.1.1.88.34": "report",
    "1.2.840.10008.5.1.4.1.1.7": "heatmaps",
    "1.2.840.10008.5.1.4.1.1.88.59": "key object selection",
    "1.2.840.10008.5.1.4.1.1.11.1": "contours, where `evidence_kinds` names PR",
    "1.2.840.10008.5.1.4.1.1.104.1": "summary, where `evidence_kinds` names PDF",
}
"""SOP classes that this node makes and sends."""

_ANSWERS = (
    (SUCCESS, "the instance is on disk"),
    (OUT_OF_RESOURCES, "no disk space above the floor, or a dataset over the limit"),
    (DOES_NOT_MATCH_SOP_CLASS, "the command names another instance than the dataset, or a class that nobody knows"),
    (CANNOT_UNDERSTAND, "the dataset is cut off or cannot be read; it is kept in quarantine"),
    (PROCESSING_FAILURE, "the node failed"),
)
_TAKEN = (0x0000, 0x0111, 0xB000, 0xB006, 0xB007, 0xA700, 0xA900, 0xC000, 0x0110, 0x0122, 0x0124)


def statement() -> str:
    """Return the statement as Markdown."""
    return "\n".join(_lines()) + "\n"


def _storage_commitment() -> Iterator[str]:
    yield "## Storage Commitment as SCP and SCU"
    yield ""
    yield "Push Model. As SCP, an N-ACTION is answered for what lies in the spool, by N-EVENT-REPORT to the address of the"
    yield "sender in `commitment_peers`, over a new association in the SCP role, else over the association that asked. As SCU,"
    yield "destinations with `storage_commitment = true` are asked after sending; their report is taken over the same"
    yield "association or over a new one that proposes the SCP role. Nothing is said of how long instances stay in the spool."
    yield ""
    yield "| failure reason | name | as SCP | as SCU |"
    yield "| --- | --- | --- | --- |"
    for reason, name in FAILURE_REASONS.items():
        answered = {NO_SUCH_INSTANCE: "not in the spool", CLASS_INSTANCE_CONFLICT: "kept under another SOP class"}.get(
            reason, ""
        )
        then = "warning, not sent again" if reason in LASTING_REASONS else "sent again"
        yield f"| `0x{reason:04X}` | {name} | {answered} | {then} |"
    yield ""


def _queries() -> Iterator[str]:
    yield "## Study Root Query as SCP"
    yield ""
    yield "C-FIND (setting `query_scp`), for peers that the setting `query_peers` names, else for whoever may send."
    yield "Levels STUDY, SERIES and IMAGE, hierarchical: a level below STUDY needs one value of each unique key above"
    yield "it. Unread studies come first, of these the most urgent, of these the longest waiting. Requested Procedure"
    yield "Priority is STAT for a flagged study, HIGH for one that has waited long, else ROUTINE; Study Comments says"
    yield "it in a sentence. Images cannot be retrieved from this node (no C-MOVE, no C-GET): Retrieve AE Title is"
    yield "the setting `retrieve_ae_title`, and Instance Availability UNAVAILABLE where it names nobody. Matching:"
    yield "single value, list of UID, wildcard, range, universal; Person Names by any component group and without"
    yield "regard to case, every other text exactly; at most 8 wildcards a value; several values of other keys match"
    yield "as any of them. No combined date and time matching, no fuzzy matching, no relational queries. At most"
    yield "`query_limit` matches. Answers are in ASCII, the one character set without code extensions that was asked"
    yield "in, or UTF-8 (ISO_IR 192)."
    yield ""
    yield "| level | keys, all for matching and return |"
    yield "| --- | --- |"
    for level, values in (("STUDY", study_root.STUDY), ("SERIES", study_root.SERIES), ("IMAGE", study_root.INSTANCE)):
        yield f"| {level} | {', '.join(values)} |"
    yield ""
    yield "NumberOfStudyRelatedSeries, NumberOfStudyRelatedInstances and StudyComments are returned, not matched at"
    yield "STUDY level."
    yield ""
    yield "| C-FIND status | name | when |"
    yield "| --- | --- | --- |"
    yield from (f"| `0x{each.code:04X}` | {each.name} | {each.when} |" for each in FIND_ANSWERS)
    yield ""


def _workitems() -> Iterator[str]:
    yield "## Unified Procedure Step as SCP"
    yield ""
    yield "UPS Pull: C-FIND, N-GET, N-SET, N-ACTION Change UPS State; UPS Query: C-FIND. Neither UPS Push nor Watch"
    yield "nor Event: each study that arrives becomes one workitem, N-CREATE is refused, nothing can be subscribed to"
    yield "and no event is reported. The statuses of C-FIND, matching, order, limit and character sets are those of"
    yield "the Study Root Query."
    yield ""
    yield "A claim over DICOM is a claim in the browser, and the other way round. Whoever has a step may complete it,"
    yield "or give it up by CANCELED: the step is then removed at once, and so when it is given back in the browser"
    yield "or when a study that was read is flagged later; the study gets another workitem under another UID, since"
    yield "no step goes back to SCHEDULED. COMPLETED needs, by N-SET before, an item of Unified Procedure Step"
    yield "Performed Procedure Sequence with Performed Station Name Code Sequence, Performed Procedure Step Start and"
    yield "End DateTime and Performed Workitem Code Sequence. N-SET takes that sequence and Procedure Step Progress"
    yield "Information Sequence, 65536 bytes of them; it leaves other attributes aside (0x0001). CANCELED needs no"
    yield "reason before (as we read PS3.4 Annex CC, it asks for one): nobody could read it of a step that is removed. The"
    yield "Transaction UID is the lock, whichever AE title sends it. Steps are for any station: the scheduled station"
    yield "and performer sequences are empty."
    yield ""
    yield "Tested with pynetdicom: the `findscu` of DCMTK proposes no UPS SOP class (Modality Worklist, Patient Root,"
    yield "Patient/Study Only or Study Root), and finds the same studies by the Study Root Query, tested with it too."
    yield ""
    yield "| attribute | value |"
    yield "| --- | --- |"
    for priority, scheduled in SCHEDULED_PRIORITY.items():
        yield f"| Scheduled Procedure Step Priority | {scheduled}: {priority.value} on the worklist |"
    for name, text in LABELS.items():
        yield f"| Procedure Step Label | {text} ({name}) |"
    yield f"| Worklist Label | {WORKLIST_LABEL} |"
    yield f"| Scheduled Workitem Code Sequence | {', '.join(INTERPRETATION)} |"
    yield "| Scheduled Procedure Step Start DateTime | when the first instance arrived |"
    yield "| Input Readiness State | INCOMPLETE while slices arrive, then READY |"
    yield "| Input Information Sequence | the CT series with their instances, and the Retrieve AE Title |"
    yield ""
    yield "Matching keys (where a code is meant, each of its parts); other attributes are only returned:"
    yield ""
    known = {".".join(path) for path in key_columns()} | {".".join(path[:1]) for path in constants()}
    yield from (f"* {key}" for key in sorted(known | {"ProcedureStepState", "ScheduledProcedureStepPriority"}))
    yield ""
    yield "| status of N-GET, N-SET, N-ACTION, N-CREATE | name | when |"
    yield "| --- | --- | --- |"
    yield from (f"| `0x{each.code:04X}` | {each.name} | {each.when} |" for each in WORKITEM_ANSWERS)
    yield ""


def _lines() -> Iterator[str]:
    defaults = Settings.model_fields
    yield "# DICOM conformance statement"
    yield ""
    yield "Written by `triage-node conformance` from the tables of the code; a test keeps this page equal to it."
    yield ""
    yield "| | |"
    yield "| --- | --- |"
    yield f"| Implementation Class UID | {IMPLEMENTATION_CLASS_UID} |"
    yield f"| Implementation Version Name | {IMPLEMENTATION_VERSION_NAME} |"
    yield f"| AE title, called and calling | `{defaults['ae_title'].default}` (setting `ae_title`) |"
    yield f"| Port | {defaults['dicom_port'].default} (setting `dicom_port`) |"
    yield f"| Associations at once, each SCP process | {defaults['max_associations'].default} (setting `max_associations`) |"
    yield f"| Longest PDU received | {defaults['max_pdu_bytes'].default} bytes (setting `max_pdu_bytes`) |"
    yield "| Who may call | setting `peers`; without it loopback addresses only; this node itself may verify |"
    yield "| Character sets | every one of PS3.3 C.12.1.1.2 is read; made objects carry the source's own |"
    yield "| Security | TLS with client certificates as SCP (settings `tls_*`) and as SCU (`tls_ca_file` of a destination) |"
    yield ""
    yield "## Storage and Verification as SCP"
    yield ""
    yield "Instances are kept as they came, level 2 (full), without coercion. Transfer syntaxes of every storage class:"
    yield ""
    yield from (f"* {name} ({uid})" for uid, name in TRANSFER_SYNTAXES.items())
    yield ""
    yield "JPEG Extended (Process 2 and 4) of 12 bits is kept, but not decoded: such a series ends NOT_ANALYSED, UNDECODABLE."
    yield ""
    yield "| C-STORE status | name | when |"
    yield "| --- | --- | --- |"
    yield from (f"| `0x{status.code:04X}` | {status.name} | {when} |" for status, when in _ANSWERS)
    yield ""
    yield "## Storage and Verification as SCU"
    yield ""
    yield "| SOP class | what | transfer syntaxes |"
    yield "| --- | --- | --- |"
    yield from (
        f"| {UID(uid).name} ({uid}) | {what} | Explicit, else Implicit VR Little Endian |" for uid, what in SENT.items()
    )
    yield ""
    yield "| status received | name | then |"
    yield "| --- | --- | --- |"
    for code in _TAKEN:
        status = classified(code)
        yield f"| `0x{code:04X}` | {status.name} | {status.action.value.lower().replace('_', ' ')} |"
    yield ""
    yield from _storage_commitment()
    yield from _queries()
    yield from _workitems()
    yield "## SOP classes taken as SCP"
    yield ""
    for context in sorted(supported_contexts(QUERY_SOP_CLASSES), key=lambda each: str(each.abstract_syntax)):
        uid = UID(str(context.abstract_syntax))
        yield f"* {uid.name} ({uid})"
