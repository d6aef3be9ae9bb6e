"""Where acknowledged instances lie: a folder a series, a file an instance, each there whole or not at all.

In: the header of an instance and its bytes in the DICOM File Format (PS3.10 7). Out: the path under which they will be
found after a kill -9 or a power cut. Never: a path made of anything but checked UIDs, a file half written under its final
name, a folder entry that the disk has not been told of.

::

    <root>/<series instance uid>/<sop instance uid>.dcm   acknowledged instances
    <root>/incoming/                                      being written; nothing here was acknowledged
    <root>/quarantine/<when>-<random>.dcm and .json       refused bytes and why they were refused

A UID holds digits and dots only (PS3.5 9.1), so that no series can be named ``incoming`` or ``quarantine``.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import structlog

from triage_node.core.errors import Transient
from triage_node.core.identifiers import checked_uid
from triage_node.core.instance import InstanceHeader
from triage_node.core.ports import AssociationPeer

_log = structlog.get_logger()

STALE_AFTER_S = 3600.0
"""Age at which a file in ``incoming`` is taken for the remains of a killed process. Several processes may share one spool,
so that a younger one may still be written by another of them; no write takes an hour."""

QUARANTINE_FLOORS = 2
"""Refused bytes are kept only above this many floors of free space, so that a sender of broken files can never use up
the room that whole instances need."""

FILE_MODE = 0o640
FOLDER_MODE = 0o750
"""Instances name patients: the node's user and group read them, nobody else."""

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class SpoolFull(Transient):
    """The free space would fall below the floor; the sender sees 0xA700 (PS3.4 B.2.3) and sends again later."""


class DirectorySpool:
    """``core.ports.Spool`` in a folder of a local or shared file system.

    Parameters
    ----------
    root
        Folder of the spool; made where it is missing.
    floor_bytes
        Free space that is always left: no instance is taken that would go below it.
    """

    def __init__(self, root: Path, floor_bytes: int) -> None:
        self.root = root
        self.floor_bytes = floor_bytes
        self._incoming = root / "incoming"
        self._quarantine = root / "quarantine"
        self._durable_folders: set[str] = set()
        root.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        for folder in (self._incoming, self._quarantine):
            folder.mkdir(mode=FOLDER_MODE, exist_ok=True)
        _sync_folder(root)
        self.remove_stale()

    def store(self, header: InstanceHeader, part10: bytes) -> Path:
        """Write durably and return the path; the same instance twice is one file.

        An instance that comes again with other bytes leaves the first as it is, with a line in the log. A SOP Instance UID
        names one instance for ever (PS3.5 9); what differs the second time is nearly always the transfer syntax or a
        coerced patient module of another sender, and the pixels may already have been read and reported on.

        Raises
        ------
        IllegalUid
            A UID that must not become a path.
        SpoolFull
            No room above the floor.
        """
        folder = self.root / checked_uid(header.series_instance_uid, "SeriesInstanceUID")
        path = folder / f"{checked_uid(header.sop_instance_uid, 'SOPInstanceUID')}.dcm"
        if not path.exists():
            self._require_room(len(part10), self.floor_bytes)
            temporary = self._written(part10)
            try:
                if self._placed(temporary, path):
                    return path
            finally:
                temporary.unlink(missing_ok=True)
        self._note_difference(path, part10)
        # Another writer of this instance may not have got as far as this yet, and our Success must not depend on it.
        self._make_durable(folder)
        return path

    def quarantine(self, part10: bytes, reason: str, status_code: int, peer: AssociationPeer | None = None) -> Path:
        """Keep what cannot be read, with reason, status, time and peer beside it; return the path of the bytes.

        Below ``QUARANTINE_FLOORS`` floors of free space the bytes are left out and only the reason is kept: the sender is
        told of the failure in any case, and whole instances come first.

        Raises
        ------
        SpoolFull
            Not even room for the reason.
        """
        self._require_room(0, self.floor_bytes)
        received_at = datetime.now(UTC)
        path = self._quarantine / f"{received_at:%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex}.dcm"
        kept = self.free_bytes() - len(part10) >= QUARANTINE_FLOORS * self.floor_bytes
        note = {
            "reason": reason,
            "status": f"0x{status_code:04X}",
            "received_at": received_at.isoformat(),
            "peer": asdict(peer) if peer else None,
            "size_bytes": len(part10),
            "sha256": hashlib.sha256(part10).hexdigest(),
            "bytes_kept": kept,
        }
        for target, content in ((path, part10 if kept else None), (path.with_suffix(".json"), _encoded(note))):
            if content is not None:
                os.rename(self._written(content), target)
        _sync_folder(self._quarantine)
        return path

    def instances(self) -> Iterator[Path]:
        """Yield the path of every acknowledged instance, for indexing again at start."""
        for folder in self.root.iterdir():
            if folder.name[0].isdecimal() and folder.is_dir():
                yield from folder.glob("*.dcm")

    def remove_stale(self) -> int:
        """Remove what killed processes left half written; return how many files. None of it was acknowledged."""
        oldest = time.time() - STALE_AFTER_S
        removed = 0
        for remains in self._incoming.iterdir():
            try:
                if remains.stat().st_mtime < oldest:
                    remains.unlink()
                    removed += 1
            except FileNotFoundError:
                continue
        if removed:
            _log.info("stale_files_removed", count=removed)
        return removed

    def free_bytes(self) -> int:
        """Return the free space of the file system, in bytes."""
        return shutil.disk_usage(self.root).free

    def _require_room(self, size_bytes: int, floor_bytes: int) -> None:
        free = self.free_bytes()
        if free - size_bytes < floor_bytes:
            raise SpoolFull(f"{free} bytes free, {size_bytes} to write, floor {floor_bytes} bytes")

    def _written(self, content: bytes) -> Path:
        """Write to a new file in ``incoming`` that the disk has confirmed."""
        temporary = self._incoming / f"{uuid.uuid4().hex}.part"
        try:
            with open(temporary, "xb", opener=lambda name, flags: os.open(name, flags, FILE_MODE)) as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            temporary.unlink(missing_ok=True)
            if error.errno in _NO_ROOM:
                raise SpoolFull(f"writing {len(content)} bytes: {error.strerror}") from error
            raise
        return temporary

    def _placed(self, temporary: Path, path: Path) -> bool:
        """Give the file its final name; False where another process was there first."""
        folder = path.parent
        folder.mkdir(mode=FOLDER_MODE, exist_ok=True)
        try:
            os.link(temporary, path)  # unlike rename, never replaces what another process has acknowledged
        except FileExistsError:
            return False
        except OSError:  # file systems without hard links (SMB, some object-store mounts)
            os.rename(temporary, path)
        self._make_durable(folder)
        return True

    def _make_durable(self, folder: Path) -> None:
        """Sync the names in the folder, and once a process the folder's own name, whichever process made it."""
        _sync_folder(folder)
        if folder.name not in self._durable_folders:
            _sync_folder(self.root)
            self._durable_folders.add(folder.name)

    @staticmethod
    def _note_difference(path: Path, part10: bytes) -> None:
        stored = path.read_bytes()
        if stored != part10:
            _log.warning(
                "instance_differs_from_stored",
                sop_instance_uid=path.stem,
                stored_sha256=hashlib.sha256(stored).hexdigest(),
                received_sha256=hashlib.sha256(part10).hexdigest(),
            )


def _encoded(note: Mapping[str, object]) -> bytes:
    return (json.dumps(note, indent=2, ensure_ascii=False) + "\n").encode()


def _sync_folder(folder: Path) -> None:
    """Make new names in a folder durable; the sync of a file does not (POSIX fsync)."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
