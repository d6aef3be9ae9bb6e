"""The path of a study: repository, bell, clock and rules joined."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from triage_node.core.series import EligibilityLimits
from triage_node.settings import Settings
from triage_node.wiring.database import repository
from triage_node.wiring.installation import SystemClock
from triage_node.wiring.reading import cascade, volume_reader

if TYPE_CHECKING:
    from triage_node.pipeline.heart import Heart
    from triage_node.pipeline.steps import Bell, PathRules, StudyPath


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


def read_folder(settings: Settings, folder: Path) -> list[dict[str, Any]]:
    """Read the series in a folder as the node would."""
    from triage_node.assembly.header_reader import read_header
    from triage_node.pipeline.folder_reading import read_files

    paths = [folder] if folder.is_file() else sorted(path for path in folder.rglob("*") if path.is_file())
    return list(read_files(paths, read_header, limits(settings), volume_reader(), lambda: cascade(settings)))


def heart(settings: Settings, name: str, supervisor: int | None, **detail: Any) -> Heart:
    """Start the heartbeat of this process."""
    from triage_node.pipeline.heart import Heart

    beating = Heart(repository(settings).heartbeat, name, detail, supervisor)
    beating.start()
    return beating
