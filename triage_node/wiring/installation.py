"""What came with the installation: its version, its migrations, its weights; and the machine's clock."""

from __future__ import annotations

import importlib.metadata
import importlib.resources
from datetime import UTC, datetime
from pathlib import Path

from triage_node.core.measured_rates import MeasuredRates
from triage_node.settings import Settings


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
    return settings.weights_dir or shipped_weights_folder()


def shipped_weights_folder() -> Path:
    """Return the folder of the releases that came with the node."""
    return Path(str(importlib.resources.files("triage_node.model_weights")))


def measured_rates(settings: Settings) -> MeasuredRates | None:
    """Return how often the release in use is right at the operating point in use, as measured; None where nobody did."""
    from triage_node.cascade.measured_rates import measured_rates as of_release

    return of_release(weights_folder(settings), settings.release, settings.operating_point)
