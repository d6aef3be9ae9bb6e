"""The composition root: which part goes with which, one function per process, each importing only what it runs.

In: settings. Out: running processes. The only module that knows every station.
"""

from __future__ import annotations

import importlib.metadata
import importlib.resources
import os
import signal
import socket
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from triage_node import logs
from triage_node.core.destination import DestinationKind
from triage_node.core.errors import ConfigurationRejected
from triage_node.core.identifiers import PeerAddress
from triage_node.core.series import EligibilityLimits
from triage_node.settings import Settings

if TYPE_CHECKING:
    from triage_node.arrival.storage_commitment import StorageCommitment
    from triage_node.assembly.volume_reader import PixelVolumeReader
    from triage_node.cascade.runner import Cascade
    from triage_node.core.ports import Sender
    from triage_node.evidence.writer import DicomEvidenceWriter
    from triage_node.forwarding.storage_commitment_scu import StorageCommitmentScu
    from triage_node.forwarding.storage_scu import StorageScu
    from triage_node.pipeline.heart import Heart
    from triage_node.pipeline.shadow import ShadowPath
    from triage_node.pipeline.steps import Bell, PathRules, StudyPath
    from triage_node.worklist.drift import SqlDriftWatch
    from triage_node.worklist.repository import SqlStudyRepository
    from triage_node.worklist.shadow import SqlShadowLog


GRACE_S = 5.0
"""Time that open associations are given to end when the SCP is told to; the supervisor waits longer than that."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the current time, aware, UTC."""
        return datetime.now(UTC)


def version() -> str:
    """Return the version of the installed node."""
    return importlib.metadata.version("triage-node")


def migrations_folder() -> Path:
    """Return the folder of the Alembic scripts that came with the node."""
    return Path(str(importlib.resources.files("triage_node.migrations")))


def weights_folder(settings: Settings) -> Path:
    """Return the folder of the releases: the one set, else the one that came with the node."""
    return settings.weights_dir or Path(str(importlib.resources.files("triage_node.model_weights")))


def migrate(settings: Settings) -> None:
    """Bring the database's schema to this version's.

    Raises
    ------
    ConfigurationRejected
        The data folder cannot be made.
    """
    from triage_node.worklist.migrate import upgrade

    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationRejected(f"setting data_dir: {settings.data_dir} cannot be made: {error.strerror}") from None
    upgrade(settings.database, migrations_folder())


def repository(settings: Settings) -> SqlStudyRepository:
    """Connect to the results database.

    Raises
    ------
    ConfigurationRejected
        Its schema is not this version's.
    """
    from triage_node.worklist.engine import make_engine
    from triage_node.worklist.migrate import current, head
    from triage_node.worklist.repository import SqlStudyRepository

    engine = make_engine(settings.database)
    found, needed = current(engine), head(migrations_folder())
    if found != needed:
        state = f"is at schema {found}" if found else "has no schema"
        raise ConfigurationRejected(f"the database {state}, this version needs {needed}: run `triage-node migrate`")
    return SqlStudyRepository(engine)


def limits(settings: Settings) -> EligibilityLimits:
    """Return what a series must be to be read."""
    return EligibilityLimits(min_slices=settings.min_slices, max_slices=settings.max_slices)


def path_rules(settings: Settings) -> PathRules:
    """Return the numbers of the path."""
    from triage_node.core.circuit_breaker import BreakerRules
    from triage_node.pipeline.steps import PathRules

    return PathRules(
        settle_s=settings.settle_s,
        quiet_period_s=settings.quiet_period_s,
        lease_s=settings.lease_s,
        retry_first_s=settings.retry_first_s,
        retry_longest_s=settings.retry_longest_s,
        give_up_after_s=settings.give_up_after_s,
        read_all_series=settings.read_all_series,
        limits=limits(settings),
        destinations=settings.every_destination,
        breaker=BreakerRules(settings.breaker_failures, settings.retry_first_s, settings.retry_longest_s),
        commitment_wait_s=settings.commitment_wait_s,
        heatmaps=settings.heatmaps,
        report_not_analysed=settings.report_not_analysed,
        not_analysed_wait_s=settings.not_analysed_wait_s,
    )


def study_path(settings: Settings, bell: Bell) -> StudyPath:
    """Join repository, bell, clock and rules."""
    from triage_node.pipeline.steps import StudyPath

    return StudyPath(repository(settings), bell, SystemClock(), path_rules(settings))


def volume_reader() -> PixelVolumeReader:
    """Return the station that decodes pixels."""
    from triage_node.assembly.volume_reader import PixelVolumeReader

    return PixelVolumeReader()


def cascade(settings: Settings) -> Cascade:
    """Load the release, check it against its own reference output, and keep it resident.

    OpenMP's threads sleep while they wait instead of spinning: on a machine that the other processes use too, spinning took
    a reading of 0.6 s to 13 s (measured on 4 busy cores). The library reads the variable when torch is first imported.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from triage_node.cascade.runner import Cascade
    from triage_node.cascade.self_test import run_self_test
    from triage_node.cascade.weights import active_release_folder

    folder = weights_folder(settings)
    loaded = Cascade.load(
        folder / settings.release if settings.release else active_release_folder(folder),
        device=settings.device,
        operating_point=settings.operating_point,
        threads=settings.torch_threads,
    )
    run_self_test(loaded)
    return loaded


def shadow_path(settings: Settings, path: StudyPath) -> ShadowPath | None:
    """Load the release that reads in the shadow; None where none is set, or where it cannot be used.

    A shadow that fails its checks is no reason to read nothing: the log says so, and ``triage-node check``.
    """
    if settings.shadow_release is None:
        return None
    import structlog

    from triage_node.pipeline.shadow import ShadowPath

    try:
        model = shadow_cascade(settings)
    except Exception:
        structlog.get_logger(__name__).exception("shadow_rejected", release=settings.shadow_release)
        return None
    return ShadowPath(model, shadow_log(settings), path.repository, path.clock)


def shadow_cascade(settings: Settings) -> Cascade:
    """Load the release of ``shadow_release`` as ``cascade`` loads the active one."""
    return cascade(settings.model_copy(update={"release": settings.shadow_release}))


def shadow_log(settings: Settings) -> SqlShadowLog:
    """Return where readings in the shadow are kept."""
    from triage_node.worklist.engine import make_engine
    from triage_node.worklist.shadow import SqlShadowLog

    return SqlShadowLog(make_engine(settings.database))


def drift_watch(settings: Settings) -> SqlDriftWatch:
    """Return the charts on what the node reads and refuses."""
    from triage_node.worklist.drift import SqlDriftWatch
    from triage_node.worklist.engine import make_engine

    return SqlDriftWatch(make_engine(settings.database))


def evidence_writer(settings: Settings) -> DicomEvidenceWriter:
    """Return the station that writes reports and heatmaps."""
    from triage_node.evidence.message_files import MessageFiles, message_kinds
    from triage_node.evidence.writer import DicomEvidenceWriter

    return DicomEvidenceWriter(
        settings.evidence_dir,
        station_name=settings.ae_title,
        software_version=version(),
        device_serial_number=settings.device_serial_number,
        kinds=settings.evidence_kinds,
        heatmap_limit=settings.heatmap_limit or None,
        messages=MessageFiles(message_kinds(settings.every_destination), settings.webhook_patient_id),
    )


def storage_scu(settings: Settings) -> StorageScu:
    """Return the station that sends."""
    from triage_node.forwarding.storage_scu import StorageScu

    return StorageScu(
        settings.ae_title,
        connect_timeout_s=settings.connect_timeout_s,
        association_timeout_s=settings.dimse_timeout_s,
        dimse_timeout_s=settings.dimse_timeout_s,
        certificate=settings.tls_certificate,
        key=settings.tls_key,
    )


def commitment_scu(settings: Settings) -> StorageCommitmentScu:
    """Return the station that asks for storage commitment, and reports it."""
    from triage_node.forwarding.requestor import Requestor
    from triage_node.forwarding.storage_commitment_scu import StorageCommitmentScu

    timeouts = settings.connect_timeout_s, settings.dimse_timeout_s, settings.dimse_timeout_s
    requestor = Requestor(settings.ae_title, *timeouts, certificate=settings.tls_certificate, key=settings.tls_key)
    return StorageCommitmentScu(requestor)


def storage_commitment(settings: Settings, path: StudyPath) -> StorageCommitment:
    """Return what answers storage commitment in the SCP's process."""
    from triage_node.arrival.storage_commitment import StorageCommitment
    from triage_node.forwarding.storage_commitment_scu import event_report
    from triage_node.pipeline.commitments import CommitmentPath

    peers = (PeerAddress.parse(text) for text in settings.commitment_peers)
    return StorageCommitment(
        path.repository.kept_instances,
        event_report,
        commitment_scu(settings).report,
        CommitmentPath(path).received,
        {peer.ae_title: peer for peer in peers},
    )


def senders(settings: Settings) -> Mapping[DestinationKind, Sender]:
    """Return one sender for each kind of destination."""
    from triage_node.forwarding.dicom_sender import DicomSender
    from triage_node.forwarding.hl7_mllp import MllpSender
    from triage_node.forwarding.http_post import FhirSender, WebhookSender
    from triage_node.forwarding.stow_rs import StowSender

    waits = (settings.connect_timeout_s, settings.dimse_timeout_s)
    return {
        DestinationKind.DICOM: DicomSender(storage_scu(settings)),
        DestinationKind.STOW: StowSender(*waits),
        DestinationKind.HL7: MllpSender(*waits),
        DestinationKind.WEBHOOK: WebhookSender(*waits),
        DestinationKind.FHIR: FhirSender(*waits),
    }


def read_folder(settings: Settings, folder: Path) -> list[dict[str, Any]]:
    """Read the series in a folder as the node would."""
    from triage_node.assembly.header_reader import read_header
    from triage_node.pipeline.folder_reading import read_files

    paths = [folder] if folder.is_file() else sorted(path for path in folder.rglob("*") if path.is_file())
    return list(read_files(paths, read_header, limits(settings), volume_reader(), lambda: cascade(settings)))


def results(settings: Settings) -> SqlStudyRepository:
    """Connect to a results database that exists.

    Raises
    ------
    ConfigurationRejected
        There is no SQLite file yet: the data folder is probably another one.
    """
    if settings.database_url is None and not settings.sqlite_file.exists():
        raise ConfigurationRejected(
            f"there is no results database in {settings.data_dir.resolve()}; give the node's --data-dir or --database-url"
        )
    return repository(settings)


def heart(settings: Settings, name: str, supervisor: int | None, **detail: Any) -> Heart:
    """Start the heartbeat of this process."""
    from triage_node.pipeline.heart import Heart

    beating = Heart(repository(settings).heartbeat, name, detail, supervisor)
    beating.start()
    return beating


def _until_signalled() -> None:
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    ended.wait()


def run_scp(settings: Settings, supervisor: int | None = None) -> None:
    """Run the Storage and Verification SCP until SIGTERM. Never imports torch."""
    logs.configure("scp", settings.log_level, settings.log_format)
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
    beating = heart(settings, "scp", supervisor, ae_title=settings.ae_title, port=scp.port)
    _until_signalled()
    scp.shutdown(grace_s=GRACE_S)
    intake.stop()
    beating.stop()


def run_worker(settings: Settings, supervisor: int | None = None) -> None:
    """Run a worker with the model resident until SIGTERM."""
    logs.configure("worker", settings.log_level, settings.log_format)
    from triage_node.pipeline.steps import ReadingPath
    from triage_node.pipeline.tasks import CLASSIFY, CeleryBell, add_reading, make_app

    model = cascade(settings)
    app = make_app(broker_url(settings))
    path = study_path(settings, CeleryBell(app))
    writer = evidence_writer(settings)
    reading = ReadingPath(path, volume_reader(), model, writer, shadow_path(settings, path))
    add_reading(app, reading.read, reading.report_not_analysed)
    detail = {"device": str(model.device), "release": model.release.name}
    _run_celery(app, settings, "worker", supervisor, detail, queues=[CLASSIFY], pool="solo", concurrency=1)


def run_courier(settings: Settings, supervisor: int | None = None) -> None:
    """Run a courier until SIGTERM: it forwards evidence, closes quiet series and rings for due work."""
    logs.configure("courier", settings.log_level, settings.log_format)
    from triage_node.pipeline.commitments import CommitmentPath
    from triage_node.pipeline.drift_watch import watch_drift
    from triage_node.pipeline.lanes import Lanes, lane_width
    from triage_node.pipeline.outbox import ForwardingPath
    from triage_node.pipeline.tasks import FORWARD, HOUSEKEEPING, CeleryBell, add_drift_watch, add_forwarding, make_app

    app = make_app(broker_url(settings))
    path = study_path(settings, CeleryBell(app))
    names = [each.name for each in settings.every_destination]
    threads = max(settings.courier_threads, len(names) + 2)  # every destination its lane, and housekeeping beside them
    commitments = CommitmentPath(path, commitment_scu(settings))
    forwarding = ForwardingPath(path, senders(settings), commitments, Lanes(lane_width(threads, len(names))))
    add_forwarding(app, forwarding.forward, path.close_ready, path.ring_due)
    charts = drift_watch(settings)

    def watch() -> None:  # Celery takes no lambda: it builds source text from the name
        watch_drift(charts, path.clock)

    add_drift_watch(app, watch)
    detail = {"destinations": ", ".join(names) or "none"}
    queues = [FORWARD, HOUSEKEEPING]
    _run_celery(app, settings, "courier", supervisor, detail, queues=queues, pool="threads", concurrency=threads)


def run_beat(settings: Settings, supervisor: int | None = None) -> None:
    """Run the clock until SIGTERM."""
    logs.configure("beat", settings.log_level, settings.log_format)
    from triage_node.pipeline.schedule import add_schedule
    from triage_node.pipeline.tasks import make_app

    app = make_app(broker_url(settings))
    add_schedule(app)
    heart(settings, "beat", supervisor)
    app.Beat(loglevel="WARNING", quiet=True).run()


def run_web(settings: Settings, supervisor: int | None = None) -> None:
    """Run the web server until SIGTERM."""
    logs.configure("web", settings.log_level, settings.log_format)
    import uvicorn

    from triage_node.web.app import make_app
    from triage_node.web.health import check

    source, clock = repository(settings), SystemClock()
    app = make_app(
        lambda: check(source, settings.spool_dir, clock.now()), version(), drift_totals=drift_watch(settings).totals
    )
    heart(settings, "web", supervisor, port=settings.http_port)
    uvicorn.run(app, host=settings.http_host, port=settings.http_port, log_level="warning", access_log=False)


def broker_url(settings: Settings) -> str:
    """Return the Redis URL of a process that runs by itself.

    Raises
    ------
    ConfigurationRejected
        There is none: only ``up`` brings a Redis of its own.
    """
    if settings.redis_url is None:
        raise ConfigurationRejected(
            "set redis_url (TRIAGE_REDIS_URL), for example redis://127.0.0.1:6379/0, or run `up`"
        )
    return settings.redis_url


def _run_celery(
    app: Any,
    settings: Settings,
    name: str,
    supervisor: int | None,
    detail: Mapping[str, Any],
    *,
    queues: list[str],
    **pool: Any,
) -> None:
    from celery import signals

    signals.worker_ready.connect(lambda **_: heart(settings, name, supervisor, **detail), weak=False)
    hostname = f"{name}-{os.getpid()}@{socket.gethostname()}"
    worker = app.Worker(
        queues=queues,
        hostname=hostname,
        loglevel="WARNING",
        quiet=True,
        without_gossip=True,
        without_mingle=True,
        **pool,
    )
    worker.start()


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
