"""How the times that readers take are distributed."""

from __future__ import annotations

from enum import StrEnum


class Distribution(StrEnum):
    """How the time that one reading takes is spread about its mean."""

    EXPONENTIAL = "exponential"
    LOGNORMAL = "lognormal"
    DETERMINISTIC = "deterministic"
