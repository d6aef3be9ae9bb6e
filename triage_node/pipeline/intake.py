"""Indexing behind the Storage SCP: batches what arrived into SQL and closes series when their association is released.

In: the SCP's callbacks, from many threads. Out: rows, and closed series. The files are already durable when a callback
comes, so a batch is tried again until the database is back, and after a crash the spool is re-indexed. An instance that the
database will never take is noted as quarantined, with its file left where it is, and holds up nobody.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import structlog

from triage_node.core.dimse_status import SUCCESS
from triage_node.core.errors import Refused, Transient
from triage_node.core.instance import InstanceHeader
from triage_node.core.ports import AssociationPeer, QuarantinedObject, StoredInstance
from triage_node.pipeline.steps import StudyPath

log = structlog.get_logger(__name__)

BATCH = 256
RETRY_S = 1.0


@dataclass(frozen=True)
class _Opened:
    peer: AssociationPeer
    at: datetime


@dataclass(frozen=True)
class _Ended:
    peer: AssociationPeer
    at: datetime
    aborted: bool


_Notice = StoredInstance | QuarantinedObject | _Opened | _Ended


class Intake:
    """One thread that writes what the SCP's threads tell it, in their order."""

    def __init__(self, path: StudyPath) -> None:
        self._path = path
        self._notices: queue.SimpleQueue[_Notice | None] = queue.SimpleQueue()
        self._checks: list[float] = []
        self._thread = threading.Thread(target=self._run, name="intake", daemon=True)

    # the SCP's callbacks
    def stored(self, instance: StoredInstance) -> None:
        """Take note of an instance that is durably in the spool."""
        self._notices.put(instance)

    def quarantined(self, quarantined: QuarantinedObject) -> None:
        """Take note of an object that could not be kept as an instance."""
        self._notices.put(quarantined)

    def association_opened(self, peer: AssociationPeer, opened_at: datetime) -> None:
        """Take note of a new association."""
        self._notices.put(_Opened(peer, opened_at))

    def association_ended(self, peer: AssociationPeer, ended_at: datetime, aborted: bool) -> None:
        """Take note of the end of an association; a release may complete series."""
        self._notices.put(_Ended(peer, ended_at, aborted))

    def start(self) -> None:
        """Start writing."""
        self._thread.start()

    def stop(self) -> None:
        """Write what is left, then stop."""
        self._notices.put(None)
        self._thread.join(timeout=30)

    def reindex(
        self,
        paths: Iterable[Path],
        read_header: Callable[[Path], InstanceHeader],
        received_at: Callable[[Path], datetime],
    ) -> int:
        """Index the instances that lie in the spool without a row, as after a crash; return how many there were."""
        known = self._path.repository.known_paths()
        found = 0
        for path in paths:
            if str(path) in known:
                continue
            try:
                self.stored(StoredInstance(read_header(path), path, received_at(path)))
            except Refused as error:
                log.error("spooled_instance_unreadable", path=path.name, reason=str(error))
                continue
            found += 1
        if found:
            log.info("spool_reindexed", instances=found)
        return found

    def _run(self) -> None:
        running = True
        while running:
            batch, running = self._next_batch()
            while batch and not self._written(batch):
                time.sleep(RETRY_S)
            self._close_after_settling()

    def _next_batch(self) -> tuple[list[_Notice], bool]:
        """Wait for a notice or for the next closing check, then take all that is there."""
        batch: list[_Notice] = []
        try:
            notice = self._notices.get(timeout=self._wait_s())
            while notice is not None and len(batch) < BATCH:
                batch.append(notice)
                notice = self._notices.get_nowait()
        except queue.Empty:
            return batch, True
        if notice is None:
            return batch, False
        batch.append(notice)
        return batch, True

    def _wait_s(self) -> float:
        return max(0.0, min(self._checks) - time.monotonic()) if self._checks else 3600.0

    def _written(self, batch: list[_Notice]) -> bool:
        """Write a batch in order: runs of instances in one transaction each. False where the database is away."""
        try:
            while batch:
                self._write_first(batch)
        except Transient as error:
            log.warning("indexing_put_off", notices=len(batch), error=str(error))
            return False
        return True

    def _write_first(self, batch: list[_Notice]) -> None:
        first = batch[0]
        if isinstance(first, StoredInstance):
            run = []
            for notice in batch:
                if not isinstance(notice, StoredInstance):
                    break
                run.append(notice)
            self._write_instances(run)
            del batch[: len(run)]
            return
        try:
            self._write_other(first)
        except Transient:
            raise
        except Exception:
            log.exception("notice_dropped", notice=type(first).__name__)
        del batch[0]

    def _write_instances(self, run: list[StoredInstance]) -> None:
        """Write instances together; where one of them cannot be written at all, singly, so that it holds up no other."""
        repository = self._path.repository
        try:
            repository.add_instances(run)
        except Transient:
            raise
        except Exception as error:
            if len(run) > 1:
                for each in run:
                    self._write_instances([each])
                return
            log.exception("instance_not_indexed", sop_instance_uid=run[0].header.sop_instance_uid)
            reason = f"could not be indexed: {type(error).__name__}: {error}".partition("\n")[0]
            refused = QuarantinedObject(run[0].path, reason, SUCCESS.code, run[0].received_at, run[0].peer)
            repository.add_quarantined(refused)

    def _write_other(self, notice: QuarantinedObject | _Opened | _Ended) -> None:
        repository = self._path.repository
        if isinstance(notice, QuarantinedObject):
            repository.add_quarantined(notice)
        elif isinstance(notice, _Opened):
            repository.open_association(notice.peer, notice.at)
        else:
            repository.end_association(notice.peer.association_id, notice.at, aborted=notice.aborted)
            self._checks.append(time.monotonic() + self._path.rules.settle_s)

    def _close_after_settling(self) -> None:
        now = time.monotonic()
        due = [each for each in self._checks if each <= now]
        if not due:
            return
        self._checks = [each for each in self._checks if each > now]
        try:
            self._path.close_ready()
        except Exception:
            log.exception("closing_put_off")  # beat closes it a second later
