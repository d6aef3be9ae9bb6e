"""What is to be sent, and the presentation contexts that it needs.

In: DICOM files. Out: their SOP classes and transfer syntaxes, and the contexts to propose for them, at most 128 an
association (PS3.8 9.3.2.2: odd identifiers below 256).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_file_meta_info
from pynetdicom.presentation import PresentationContext, build_context

from triage_node.core.errors import Refused

MAXIMUM_CONTEXTS = 128
EXPLICIT, IMPLICIT, DEFLATED = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.1.99"
CONVERTIBLE = (EXPLICIT, IMPLICIT)
Proposal = tuple[str, str]


class NotSendable(Refused):
    """A file that no C-STORE can be made of; the message names the file and what it lacks."""


@dataclass(frozen=True)
class OutgoingInstance:
    """A file and what its File Meta Information says of it."""

    path: Path
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str

    @classmethod
    def read(cls, path: Path) -> OutgoingInstance:
        """Read the File Meta Information of one file.

        Raises
        ------
        NotSendable
            Unreadable, not in the DICOM File Format, or without one of the three UIDs.
        """
        try:
            meta = read_file_meta_info(path)
            return cls(
                path,
                str(meta.MediaStorageSOPClassUID),
                str(meta.MediaStorageSOPInstanceUID),
                str(meta.TransferSyntaxUID),
            )
        except OSError as error:
            raise NotSendable(f"{path.name}: {error.strerror}") from error
        except InvalidDicomError as error:
            raise NotSendable(f"{path.name}: not in the DICOM File Format") from error
        except AttributeError as error:
            raise NotSendable(f"{path.name}: File Meta Information without {error.name}") from error
        except Exception as error:  # whatever else a broken header makes the parser raise
            raise NotSendable(f"{path.name}: File Meta Information cannot be read ({error})") from error


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
