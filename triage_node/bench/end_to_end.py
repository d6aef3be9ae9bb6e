"""``triage-node bench end-to-end``: from a study sent to its evidence stored, on real processes and real associations.

In: how often. Out: seconds from the sender's A-RELEASE to the last report or heatmap stored at a PACS on loopback, study by
study. One study at a time, made-up heads with blood, so that heatmaps are made.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import quantiles
from typing import Any

from rich.progress import Progress

from triage_node import wiring
from triage_node.core.errors import TriageError
from triage_node.core.identifiers import PeerAddress
from triage_node.core.study_state import FINAL_STATES
from triage_node.demo.pacs import DemoPacs
from triage_node.demo.show import wait_until_alive
from triage_node.settings import Settings
from triage_node.supervisor import Supervisor, free_port

STUDY_LIMIT_S = 60.0
_SHORTEST_HEAD_MM = 130.0
"""No phantom is lower, so that every head has enough slices; it is also enough to close without the quiet period."""
_KINDS = (("CPH",), ("SDH",), ("SAH",), ("EDH",), ("CPH", "IVH"))


def end_to_end(studies: int, slices: int, progress: Progress) -> dict[str, Any]:
    """Send studies one after the other and time each.

    Parameters
    ----------
    studies
        How many are timed; one more warms the node up.
    slices
        Slices of 512 x 512 each.

    Returns
    -------
    ``seconds`` per study with its stages, ``p50_s``, ``p95_s``, ``flagged``, ``cores``.

    Raises
    ------
    TriageError
        A study did not end within a minute.
    """
    with tempfile.TemporaryDirectory(prefix="triage-bench-") as name:
        folder = Path(name)
        bar = progress.add_task("making studies", total=studies + 1)
        written = []
        for number in range(studies + 1):
            written.append(_written(folder / f"study{number}", number, slices))
            progress.advance(bar)
        pacs = DemoPacs(folder / "pacs")
        pacs.start()
        settings = Settings(
            data_dir=folder / "node",
            dicom_host="127.0.0.1",
            dicom_port=free_port(),
            http_port=free_port(),
            pacs=(pacs.address,),
            peers=(),
            log_level="WARNING",
        )
        supervisor = Supervisor(settings, logs=folder / "logs")
        try:
            wiring.migrate(settings)
            supervisor.start()
            wait_until_alive(supervisor, settings)
            bar = progress.add_task("timing", total=len(written))
            timed = []
            for files in written:
                timed.append(_timed(files, settings, pacs))
                progress.advance(bar)
        finally:
            supervisor.stop()
            pacs.stop()
    return _summary(timed[1:], slices)


def _written(folder: Path, number: int, slices: int) -> Sequence[Path]:
    """Make one bleeding head of so many slices, the topmost ones of a head cut finely enough."""
    from triage_node.phantom import make_head
    from triage_node.phantom.dicom_series import write_series

    seed = 9000 + number
    head = make_head(seed, kinds=_KINDS[number % len(_KINDS)], slice_spacing_mm=_SHORTEST_HEAD_MM / slices)
    paths = write_series(
        head, folder, seed=seed, patient_name="Bench", patient_id=f"BENCH-{number}", accession_number=f"B{number}"
    )
    if len(paths) < slices:
        raise TriageError(f"the made-up head has {len(paths)} slices; ask for fewer than {slices}")
    for path in paths[: len(paths) - slices]:
        path.unlink()
    return paths[len(paths) - slices :]


def _timed(files: Sequence[Path], settings: Settings, pacs: DemoPacs) -> Mapping[str, Any]:
    node = PeerAddress(settings.ae_title, "127.0.0.1", settings.dicom_port)
    repository = wiring.repository(settings)
    scu = wiring.storage_scu(settings.model_copy(update={"ae_title": "BENCH_CT"}))
    before = set(pacs.received)
    started = time.time()
    outcomes = list(scu.send_files(node, files))
    released = time.time()
    if any(outcome.status_code != 0 for outcome in outcomes):
        raise TriageError("the node did not take every instance")
    study_uid = _study_uid(files[0])
    while time.time() - released < STUDY_LIMIT_S:
        row = next((each for each in repository.worklist() if each["study_instance_uid"] == study_uid), None)
        if row is not None and row["state"] in FINAL_STATES:
            arrived = [path.stat().st_mtime for uid, path in list(pacs.received.items()) if uid not in before]
            return {
                "state": str(row["state"]),
                "flagged": bool(row["flagged"]),
                "objects": len(arrived),
                "sending_s": released - started,
                "to_classified_s": _seconds_after(row["classified_at"], released),
                "to_stored_s": max(arrived, default=time.time()) - released,
            }
        time.sleep(0.02)
    raise TriageError(f"study {study_uid} had not ended {STUDY_LIMIT_S:.0f} s after its release")


def _study_uid(path: Path) -> str:
    from triage_node.assembly.header_reader import read_header

    return read_header(path).study_instance_uid


def _seconds_after(moment: str | None, released: float) -> float | None:
    from datetime import datetime

    return None if moment is None else datetime.fromisoformat(moment).timestamp() - released


def _summary(timed: Sequence[Mapping[str, Any]], slices: int) -> dict[str, Any]:
    seconds = [each["to_stored_s"] for each in timed]
    cuts = quantiles(seconds, n=20, method="inclusive") if len(seconds) > 1 else seconds * 19
    return {
        "studies": len(timed),
        "slices": slices,
        "cores": len(os.sched_getaffinity(0)),
        "flagged": sum(each["flagged"] for each in timed),
        "p50_s": round(cuts[9], 3),
        "p95_s": round(cuts[18], 3),
        "max_s": round(max(seconds), 3),
        "seconds": [dict(each) for each in timed],
    }
