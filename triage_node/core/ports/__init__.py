"""The nouns that the path of a study is told in. Stations implement them; ``pipeline`` sees only these.

Every time is an aware UTC datetime. Every path lies on storage that all processes of the node share.
"""

from triage_node.core.ports.accounts import ApiTokens, AuditTrail, SignIns, Users, Visitors
from triage_node.core.ports.arrival import AssociationPeer, QuarantinedObject, Spool, StoredInstance
from triage_node.core.ports.clock import Clock
from triage_node.core.ports.evidence import (
    EarlierReport,
    EvidenceObject,
    EvidenceOrder,
    EvidenceWriter,
    NotAnalysedOrder,
)
from triage_node.core.ports.forwarding import (
    CommitmentAnswer,
    CommitmentOrder,
    CommitmentRequester,
    Sender,
    SendOutcome,
)
from triage_node.core.ports.images import (
    ImageGone,
    KeptHeatmaps,
    NoSuchImage,
    SeriesFiles,
    SeriesVersion,
    SliceImages,
    SliceReader,
    SliceSource,
    SliceStack,
)
from triage_node.core.ports.reader_tasks import Feedback, ReaderTask, ReaderTasks
from triage_node.core.ports.reading import Classifier, HeatmapChoice, Reading, SeriesVolume, VolumeReader
from triage_node.core.ports.repository import StudyRepository
from triage_node.core.ports.worklist import (
    Candidate,
    DeliveryBatch,
    NotAnalysedSeries,
    OpenSeries,
    ProcessPulse,
    SeriesRecord,
)

__all__ = [
    "ApiTokens",
    "AssociationPeer",
    "AuditTrail",
    "Candidate",
    "Classifier",
    "Clock",
    "CommitmentAnswer",
    "CommitmentOrder",
    "CommitmentRequester",
    "DeliveryBatch",
    "EarlierReport",
    "EvidenceObject",
    "EvidenceOrder",
    "EvidenceWriter",
    "Feedback",
    "HeatmapChoice",
    "ImageGone",
    "KeptHeatmaps",
    "NoSuchImage",
    "NotAnalysedOrder",
    "NotAnalysedSeries",
    "OpenSeries",
    "ProcessPulse",
    "QuarantinedObject",
    "ReaderTask",
    "ReaderTasks",
    "Reading",
    "SendOutcome",
    "Sender",
    "SeriesFiles",
    "SeriesRecord",
    "SeriesVersion",
    "SeriesVolume",
    "SignIns",
    "SliceImages",
    "SliceReader",
    "SliceSource",
    "SliceStack",
    "Spool",
    "StoredInstance",
    "StudyRepository",
    "Users",
    "Visitors",
    "VolumeReader",
]
