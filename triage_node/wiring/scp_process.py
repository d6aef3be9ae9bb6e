"""The process that peers push to."""

from __future__ import annotations

import signal
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from triage_node import logs
from triage_node.core.errors import ConfigurationRejected, Transient
from triage_node.settings import Settings
from triage_node.wiring.celery_processes import broker_url
from triage_node.wiring.database import lost_associations
from triage_node.wiring.forwarding import storage_commitment
from triage_node.wiring.path import heart, study_path
from triage_node.wiring.query import query_policy, query_services

if TYPE_CHECKING:
    from triage_node.worklist.lost_associations import SqlLostAssociations

_log = structlog.get_logger(__name__)

LOOK_FOR_LOST_S = 30.0
"""How often an SCP looks for associations that another one left open."""
GRACE_S = 5.0
"""Time that open associations are given to end when the SCP is told to; the supervisor waits longer than that."""


def run_scp(settings: Settings, supervisor: int | None = None) -> None:
    """Run the Storage, Verification, Query and UPS SCP until SIGTERM. Never imports torch."""
    logs.configure("scp", settings.log_level, settings.log_format)
    from triage_node.arrival.association_register import PROCESS_PREFIX
    from triage_node.arrival.peer_policy import PeerPolicy
    from triage_node.arrival.spool import DirectorySpool
    from triage_node.arrival.storage_scp import Limits, StorageScp
    from triage_node.assembly.header_reader import read_header
    from triage_node.pipeline.intake import Intake
    from triage_node.pipeline.tasks import CeleryBell, make_app

    spool = DirectorySpool(settings.spool_dir, settings.spool_floor_bytes)
    path = study_path(settings, CeleryBell(make_app(broker_url(settings))))
    intake = Intake(path)
    intake.start()
    intake.reindex(spool.instances(), read_header, _modified_at)
    scp = StorageScp(
        ae_title=settings.ae_title,
        host=settings.dicom_host,
        port=settings.dicom_port,
        spool=spool,
        read_header=read_header,
        on_stored=intake.stored,
        on_quarantined=intake.quarantined,
        on_association_opened=intake.association_opened,
        on_association_ended=intake.association_ended,
        commitment=storage_commitment(settings, path),
        services=query_services(settings),
        query_policy=query_policy(settings),
        policy=PeerPolicy.parse(settings.peers, settings.ae_title, settings.further_ae_titles),
        reuse_port=settings.scp_processes > 1,
        limits=Limits(
            maximum_associations=settings.max_associations,
            maximum_pdu_bytes=settings.max_pdu_bytes,
            maximum_dataset_bytes=settings.max_dataset_bytes,
            network_timeout_s=settings.association_timeout_s,
        ),
        tls=_server_tls(settings),
    )
    try:
        scp.start()
    except OSError as error:
        raise ConfigurationRejected(
            f"setting dicom_port: {settings.dicom_host} port {settings.dicom_port} cannot be listened on: {error.strerror}"
        ) from None
    beating = heart(
        settings, "scp", supervisor, ae_title=settings.ae_title, port=scp.port, association_prefix=PROCESS_PREFIX
    )
    _until_signalled(lost_associations(settings))
    scp.shutdown(grace_s=GRACE_S)
    intake.stop()
    beating.stop()


def _until_signalled(lost: SqlLostAssociations) -> None:
    """Wait, and end meanwhile what other processes of this node left open when they were killed."""
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    while not ended.wait(LOOK_FOR_LOST_S):
        try:
            lost.end(datetime.now(UTC))
        except Transient as error:
            _log.warning("lost_associations_put_off", error=str(error))
        except Exception:
            _log.exception("lost_associations_not_ended")  # no housekeeping may end the SCP


def _modified_at(path: Path) -> datetime:
    return datetime.fromtimestamp(path.stat().st_mtime, UTC)


def _server_tls(settings: Settings) -> Any:
    """Return the SCP's TLS context, or None; client certificates are required where their CA is set.

    Raises
    ------
    ConfigurationRejected
        A file is not there or holds something else.
    """
    if settings.tls_certificate is None:
        return None
    import ssl

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(settings.tls_certificate, settings.tls_key)
    except OSError as error:  # ssl.SSLError among them
        files = f"{settings.tls_certificate} and {settings.tls_key or 'no tls_key'}"
        raise ConfigurationRejected(f"setting tls_certificate: {files} cannot be loaded: {error}") from None
    if settings.tls_peer_ca is not None:
        try:
            context.load_verify_locations(settings.tls_peer_ca)
        except OSError as error:
            raise ConfigurationRejected(
                f"setting tls_peer_ca: {settings.tls_peer_ca} cannot be loaded: {error}"
            ) from None
        context.verify_mode = ssl.CERT_REQUIRED
    return context
