"""The nouns that the path of a study is told in. Stations implement them; ``pipeline`` sees only these.

Every time is an aware UTC datetime. Every path lies on storage that all processes of the node share.
"""

from triage_node.core.ports.accounts import ApiTokens, AuditTrail, IdentityProvider, SignIns, Users, Visitors
from triage_node.core.ports.arrival import AssociationPeer, QuarantinedObject, Spool, StoredInstance
from triage_node.core.ports.clock import Clock
from triage_node.core.ports.escalation import Escalations, NoticeWriter
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
from triage_node.core.ports.reader_tasks import EscalationNote, Feedback, ReaderTask, ReaderTasks
from triage_node.core.ports.reading import Classifier, HeatmapChoice, Reading, SeriesVolume, VolumeReader
from triage_node.core.ports.repository import StudyRepository
from triage_node.core.ports.statistics import LONGEST_WINDOW, Statistics, Window
from triage_node.core.ports.worklist import (
    Candidate,
    DeliveryBatch,
    NotAnalysedSeries,
    OpenSeries,
    ProcessPulse,
    SeriesRecord,
)
from triage_node.core.ports.worklist_page import StudyChange, Worklist, WorklistPage, WorklistRow

__all__ = [
    "LONGEST_WINDOW",
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
    "EscalationNote",
    "Escalations",
    "EvidenceObject",
    "EvidenceOrder",
    "EvidenceWriter",
    "Feedback",
    "HeatmapChoice",
    "IdentityProvider",
    "ImageGone",
    "KeptHeatmaps",
    "NoSuchImage",
    "NotAnalysedOrder",
    "NotAnalysedSeries",
    "NoticeWriter",
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
    "Statistics",
    "StoredInstance",
    "StudyChange",
    "StudyRepository",
    "Users",
    "Visitors",
    "VolumeReader",
    "Window",
    "Worklist",
    "WorklistPage",
    "WorklistRow",
]
