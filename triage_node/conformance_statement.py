"""The DICOM conformance statement, written from what the code negotiates (PS3.2): nothing is claimed by hand.

In: nothing but this version's tables. Out: Markdown, kept in ``docs/CONFORMANCE.md`` and equal to it by test.
"""

from __future__ import annotations

from collections.abc import Iterator

from pydicom.uid import UID

from triage_node.arrival.storage_scp import supported_contexts
from triage_node.core.commitment import CLASS_INSTANCE_CONFLICT, FAILURE_REASONS, LASTING_REASONS, NO_SUCH_INSTANCE
from triage_node.core.conformance import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME, TRANSFER_SYNTAXES
from triage_node.core.dimse_status import (
    CANNOT_UNDERSTAND,
    DOES_NOT_MATCH_SOP_CLASS,
    OUT_OF_RESOURCES,
    PROCESSING_FAILURE,
    SUCCESS,
    classified,
)
from triage_node.settings import Settings

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
    (DOES_NOT_MATCH_SOP_CLASS, "the command names another instance than the dataset"),
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
    yield "| Who may call | setting `peers`; without it loopback addresses only |"
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
    yield "## SOP classes taken as SCP"
    yield ""
    for context in sorted(supported_contexts(), key=lambda each: str(each.abstract_syntax)):
        uid = UID(str(context.abstract_syntax))
        yield f"* {uid.name} ({uid})"
