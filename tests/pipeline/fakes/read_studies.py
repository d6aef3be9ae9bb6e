"""Studies with everything that a viewer needs: a phantom in the real spool, a finding made by hand, real evidence on disk."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from fakes.slices import peer
from fakes.studies import PACS
from triage_node.arrival.spool import DirectorySpool
from triage_node.assembly.header_reader import read_header
from triage_node.assembly.volume_reader import PixelVolumeReader
from triage_node.core.finding import SUBTYPES, Finding, SliceFinding
from triage_node.core.ports import EvidenceOrder, SeriesVolume, StoredInstance
from triage_node.core.series import ordered
from triage_node.evidence.writer import DicomEvidenceWriter
from triage_node.phantom import make_head
from triage_node.phantom.dicom_series import datasets
from triage_node.worklist.repository import SqlStudyRepository

SIDE = 128
SPOT = (32, 96)
"""Row and column where every heatmap is highest: in front, on the patient's left."""


@dataclass(frozen=True)
class ReadStudy:
    """What was read; ``flagged`` are indices of slices."""

    uid: str
    series_uid: str
    series_id: int
    volume: SeriesVolume
    finding: Finding
    flagged: tuple[int, ...]

    @property
    def path(self) -> str:
        """Of its page."""
        return f"/studies/{self.uid}"


def read_study(
    repository: SqlStudyRepository,
    folder: Path,
    *,
    seed: int = 41,
    received_at: datetime | None = None,
    change: Callable[[Dataset], None] | None = None,
    late: int = 0,
    probability: float = 0.93,
    **identity: Any,
) -> ReadStudy:
    """Receive and read one phantom; ``folder`` holds the spool and the evidence.

    Parameters
    ----------
    change
        Alters each dataset before it is stored.
    late
        So many slices, the most superior ones, do not come yet; ``late_slices`` brings them.
    """
    at = received_at or datetime.now(UTC) - timedelta(minutes=12)
    made = _made(seed, change, identity)
    _arrive(repository, folder, made[: len(made) - late], at, f"association-{seed}")
    record = repository.study(str(made[0].StudyInstanceUID))
    assert record is not None
    return _read(repository, folder, record["series"][0]["series_id"], 1, probability, at + timedelta(seconds=4))


def late_slices(
    repository: SqlStudyRepository, folder: Path, study: ReadStudy, *, seed: int = 41, probability: float = 0.97
) -> ReadStudy:
    """Receive the slices that were late, and read the second revision."""
    at = datetime.now(UTC)
    _arrive(repository, folder, _made(seed, None, {}), at, f"late-{seed}")
    return _read(repository, folder, study.series_id, 2, probability, at + timedelta(seconds=1))


def _made(seed: int, change: Callable[[Dataset], None] | None, identity: dict[str, Any]) -> list[Dataset]:
    made = datasets(
        make_head(seed, kinds=["SDH"], size=SIDE, slice_spacing_mm=8.0, tilt_deg=0.0), seed=seed, **identity
    )
    for dataset in made if change else ():
        change(dataset)  # type: ignore[misc]
    return made


def _arrive(
    repository: SqlStudyRepository, folder: Path, made: Iterable[Dataset], at: datetime, association: str
) -> None:
    spool = DirectorySpool(folder / "spool", floor_bytes=0)
    stored = []
    for dataset in made:
        content = io.BytesIO()
        dataset.save_as(content, enforce_file_format=True)
        header = read_header(content.getvalue())
        stored.append(StoredInstance(header, spool.store(header, content.getvalue()), at, peer(association)))
    repository.open_association(peer(association), at)
    repository.add_instances(stored)
    repository.end_association(association, at + timedelta(seconds=1), aborted=False)


def _read(
    repository: SqlStudyRepository, folder: Path, series_id: int, revision: int, probability: float, at: datetime
) -> ReadStudy:
    repository.close_series(series_id, revision, at)
    repository.claim(series_id, revision, now=at, lease_s=60)
    record = repository.series(series_id)
    volume = PixelVolumeReader(threads=1).read(ordered(record.instances))
    assert isinstance(volume, SeriesVolume)
    finding, flagged = _finding(volume, probability)
    repository.save_finding(series_id, revision, finding, at + timedelta(seconds=0.4))
    writer = DicomEvidenceWriter(folder / "evidence", station_name="TRIAGE", software_version="1.2.3")
    order = EvidenceOrder(
        volume=volume,
        finding=finding,
        heatmaps={index: spot(*volume.volume_hu.shape[1:]) for index in flagged},
        revision=revision,
        classified_at=at,
        predecessor=repository.predecessor_report(series_id, revision),
    )
    repository.save_evidence(series_id, revision, writer.write(order), (PACS,), at + timedelta(seconds=0.7))
    return ReadStudy(record.study_instance_uid, record.series_instance_uid, series_id, volume, finding, flagged)


def spot(rows: int, columns: int) -> npt.NDArray[np.float32]:
    """Return a heatmap that is 1 at ``SPOT`` and falls off around it."""
    y, x = np.mgrid[:rows, :columns]
    return np.exp(-((y - SPOT[0]) ** 2 + (x - SPOT[1]) ** 2) / (2 * 8.0**2)).astype(np.float32)


def _finding(volume: SeriesVolume, probability: float) -> tuple[Finding, tuple[int, ...]]:
    count = len(volume.sop_instance_uids)
    is_flagged = probability >= 0.5
    flagged = tuple(range(count // 2, count // 2 + 4)) if is_flagged else ()
    subtypes = {name: 0.88 if name == "SDH" else 0.07 for name in SUBTYPES} if is_flagged else None
    slices = tuple(
        SliceFinding(uid, probability - 0.05 * (index - flagged[0]), subtypes, True)
        if index in flagged
        else SliceFinding(uid, 0.04, None, False)
        for index, uid in enumerate(volume.sop_instance_uids)
    )
    finding = Finding(
        ich_probability=probability,
        flagged=is_flagged,
        subtypes=subtypes,
        subtypes_present=("SDH",) if is_flagged else (),
        slices=slices,
        model_name="made_up",
        model_version="1.0",
        weights_sha256="a" * 64,
        operating_point="balanced",
        operating_threshold=0.5,
        elapsed_ms=180.0,
    )
    return finding, flagged
