"""The same reading without the network: files on disk in, one result a series out. Nothing is stored or sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import structlog

from triage_node.core.errors import Refused
from triage_node.core.finding import Finding
from triage_node.core.instance import InstanceHeader
from triage_node.core.ports import Classifier, SeriesVolume, VolumeReader
from triage_node.core.reason import Refusal
from triage_node.core.series import EligibilityLimits, eligibility, ordered

log = structlog.get_logger(__name__)


def read_files(
    paths: Sequence[Path],
    read_header: Callable[[Path], InstanceHeader],
    limits: EligibilityLimits,
    reader: VolumeReader,
    classifier: Callable[[], Classifier],
) -> Iterator[dict[str, Any]]:
    """Read every series among these files by the node's own rules.

    Parameters
    ----------
    paths
        Files in any order; what is no DICOM is passed over with a log line.
    classifier
        Called once, before the first eligible series: a folder without one needs no model.

    Yields
    ------
    ``classify --json`` objects as DESIGN section 7 has them.
    """
    model: Classifier | None = None
    for instances in _series(paths, read_header):
        volume = _volume(instances, limits, reader)
        if isinstance(volume, Refusal):
            yield _described(instances, refusal=volume)
            continue
        model = model or classifier()
        yield _described(instances, finding=model.read(volume).finding)


def _series(
    paths: Sequence[Path], read_header: Callable[[Path], InstanceHeader]
) -> Iterator[list[tuple[InstanceHeader, Path]]]:
    series: dict[str, dict[str, tuple[InstanceHeader, Path]]] = {}
    for path in paths:
        try:
            header = read_header(path)
        except Refused as error:
            log.warning("file_passed_over", file=path.name, reason=str(error))
            continue
        series.setdefault(header.series_instance_uid, {}).setdefault(header.sop_instance_uid, (header, path))
    yield from (list(each.values()) for each in series.values())


def _volume(
    instances: list[tuple[InstanceHeader, Path]], limits: EligibilityLimits, reader: VolumeReader
) -> SeriesVolume | Refusal:
    return eligibility([header for header, _ in instances], limits) or reader.read(ordered(instances))


def _described(
    instances: list[tuple[InstanceHeader, Path]], *, refusal: Refusal | None = None, finding: Finding | None = None
) -> dict[str, Any]:
    header = instances[0][0]
    return {
        "study_instance_uid": header.study_instance_uid,
        "series_instance_uid": header.series_instance_uid,
        "series_description": header.series_description,
        "instances": len(instances),
        "state": "CLASSIFIED" if finding else "NOT_ANALYSED",
        "reason": refusal.reason.value if refusal else None,
        "detail": refusal.detail if refusal else "",
        "ich_probability": finding.ich_probability if finding else None,
        "flagged": finding.flagged if finding else False,
        "subtypes": dict(finding.subtypes) if finding and finding.subtypes else None,
        "subtypes_present": list(finding.subtypes_present) if finding else [],
        "operating_point": finding.operating_point if finding else None,
        "model": f"{finding.model_name} {finding.model_version}" if finding else None,
        "weights_sha256": finding.weights_sha256 if finding else None,
        "slices": [
            {
                "sop_instance_uid": each.sop_instance_uid,
                "ich_probability": each.ich_probability,
                "subtypes": dict(each.subtypes) if each.subtypes else None,
                "flagged": each.flagged,
            }
            for each in (finding.slices if finding else ())
        ],
    }
