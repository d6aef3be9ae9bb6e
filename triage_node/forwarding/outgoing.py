"""What is to be sent, and the presentation contexts that it needs.

In: DICOM files. Out: their SOP classes and transfer syntaxes, and the contexts to propose for them, at most 128 an
association (PS3.8 9.3.2.2: odd identifiers below 256).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_partial
from pynetdicom.presentation import PresentationContext, build_context

from triage_node.core.errors import Refused

MAXIMUM_CONTEXTS = 128
EXPLICIT, IMPLICIT, DEFLATED = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.1.99"
CONVERTIBLE = (EXPLICIT, IMPLICIT)
Proposal = tuple[str, str]
_SOP_INSTANCE_UID = 0x00080018


class NotSendable(Refused):
    """A file that no C-STORE can be made of; the message names the file and what it lacks."""


@dataclass(frozen=True)
class OutgoingInstance:
    """A file and what it says it is.

    Attributes
    ----------
    sop_class_uid, sop_instance_uid
        Those of the dataset, because the command has to name what the receiver will find (PS3.7 9.1.1.1); the File Meta
        Information of files that were anonymized often still names the original.
    meta_agrees
        Whether the File Meta Information names the same, so that the file can go out without being read.
    """

    path: Path
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    meta_agrees: bool = True

    @classmethod
    def read(cls, path: Path) -> OutgoingInstance:
        """Read the beginning of one file.

        Raises
        ------
        NotSendable
            Unreadable, not in the DICOM File Format, or without one of the three UIDs.
        """
        try:
            with path.open("rb") as file:
                beginning = read_partial(file, stop_when=lambda tag, _vr, _length: tag > _SOP_INSTANCE_UID)
        except OSError as error:
            raise NotSendable(f"{path.name}: {error.strerror}") from error
        except InvalidDicomError as error:
            raise NotSendable(f"{path.name}: not in the DICOM File Format") from error
        except Exception as error:  # whatever else a broken header makes the parser raise
            raise NotSendable(f"{path.name}: cannot be read ({error})") from error
        meta = beginning.file_meta
        sop_class_uid = _required(path, beginning, "SOPClassUID")
        sop_instance_uid = _required(path, beginning, "SOPInstanceUID")
        named = (meta.get("MediaStorageSOPClassUID"), meta.get("MediaStorageSOPInstanceUID"))
        return cls(
            path,
            sop_class_uid,
            sop_instance_uid,
            _required(path, meta, "TransferSyntaxUID"),
            meta_agrees=named == (sop_class_uid, sop_instance_uid),
        )


def _required(path: Path, dataset: Dataset, keyword: str) -> str:
    value = dataset.get(keyword)
    if not value:
        raise NotSendable(f"{path.name}: without {keyword}")
    return str(value)


def proposals(instance: OutgoingInstance) -> tuple[Proposal, ...]:
    """Return the (SOP class, transfer syntax) pairs that one instance can go out under, its own first.

    One presentation context each, so that a peer that takes the file as it is gets it as it is. Compressed pixels go so or
    not at all; Explicit VR, Implicit VR and deflated data are turned into one another. Implicit VR is in every proposal
    of uncompressed data, as PS3.5 10.1 requires.
    """
    own = instance.transfer_syntax_uid
    others = [syntax for syntax in CONVERTIBLE if syntax != own] if own in (*CONVERTIBLE, DEFLATED) else []
    return tuple((instance.sop_class_uid, syntax) for syntax in (own, *others))


def batches(
    instances: Sequence[OutgoingInstance],
) -> Iterator[tuple[list[OutgoingInstance], list[PresentationContext]]]:
    """Yield runs of instances, in order, whose contexts fit into one association, with those contexts."""
    run: list[OutgoingInstance] = []
    needed: dict[Proposal, None] = {}  # in order of first need
    for instance in instances:
        more = dict.fromkeys(proposals(instance))
        if len(needed | more) > MAXIMUM_CONTEXTS:
            yield run, _built(needed)
            run, needed = [], {}
        run.append(instance)
        needed |= more
    if run:
        yield run, _built(needed)


def _built(needed: dict[Proposal, None]) -> list[PresentationContext]:
    return [build_context(sop_class_uid, syntax) for sop_class_uid, syntax in needed]
