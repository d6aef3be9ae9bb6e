"""All that the web application stands on, on a test's own database and folder; ``changes`` replace parts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from fakes.ports import SteppedClock
from fakes.visitors import KnownVisitors
from triage_node.assembly.slice_reader import PixelSliceReader
from triage_node.evidence.kept_heatmaps import HeatmapArchives
from triage_node.pipeline.slice_images import SpooledImages
from triage_node.web.health import check
from triage_node.web.parts import WebParts
from triage_node.worklist.audit import SqlAuditTrail
from triage_node.worklist.reader_tasks import SqlReaderTasks
from triage_node.worklist.repository import SqlStudyRepository
from triage_node.worklist.series_files import SqlSeriesFiles
from triage_node.worklist.statistics import SqlStatistics
from triage_node.worklist.worklist_page import SqlWorklist


def web_parts(engine: Engine, folder: Path, **changes: Any) -> WebParts:
    """Join the parts; tokens are names of roles, the clock stands still, evidence lies in ``folder / "evidence"``."""
    repository, clock = SqlStudyRepository(engine), changes.get("clock", SteppedClock())
    given: dict[str, Any] = {
        "version": "1.2.3",
        "clock": clock,
        "health": lambda: check(repository, folder / "spool", clock.now()),
        "visitors": KnownVisitors(),
        "audit": SqlAuditTrail(engine),
        "reader_tasks": SqlReaderTasks(engine),
        "studies": repository,
        "images": SpooledImages(SqlSeriesFiles(engine), PixelSliceReader(), HeatmapArchives(folder / "evidence")),
        "worklist": SqlWorklist(engine),
        "worklist_days": 3,
        "statistics": SqlStatistics(engine),
    }
    return WebParts(**(given | changes))
