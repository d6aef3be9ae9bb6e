"""What answers queries and claims of workitems in the SCP's process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from triage_node.core.identifiers import PeerAddress
from triage_node.settings import Settings
from triage_node.wiring.database import audit_trail

if TYPE_CHECKING:
    from triage_node.arrival.further_services import Service
    from triage_node.arrival.peer_policy import PeerPolicy


def query_services(settings: Settings) -> tuple[Service, ...]:
    """Return the services that are answered beside storage; none where they are switched off."""
    if not settings.query_scp:
        return ()
    from triage_node.worklist.engine import make_engine
    from triage_node.worklist.study_root import StudyRootScp
    from triage_node.worklist.ups_scp import UpsScp
    from triage_node.worklist.workitems import SqlWorkitems

    engine, audit = make_engine(settings.database), audit_trail(settings)
    retrieve_ae_title = settings.retrieve_ae_title or next(
        (PeerAddress.parse(text).ae_title for text in settings.pacs), ""
    )
    return (
        StudyRootScp(engine, audit, limit=settings.query_limit, retrieve_ae_title=retrieve_ae_title),
        UpsScp(SqlWorkitems(engine), audit, limit=settings.query_limit, retrieve_ae_title=retrieve_ae_title),
    )


def query_policy(settings: Settings) -> PeerPolicy | None:
    """Return who may query; None for whoever may send."""
    from triage_node.arrival.peer_policy import PeerPolicy

    if not settings.query_peers:
        return None
    return PeerPolicy.parse(settings.query_peers, settings.ae_title, settings.further_ae_titles)
