"""Structured logs: constant event names with ids beside them, never a patient's name, birth date or number."""

from __future__ import annotations

import logging
import sys
from typing import Any, Literal

import structlog

PATIENT_KEYS = frozenset({"patient_id", "patient_name", "patient_birth_date", "accession_number"})


def _without_patients(_logger: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    for key in PATIENT_KEYS & event.keys():
        del event[key]
    return event


def configure(process: str, level: str, log_format: Literal["console", "json"]) -> None:
    """Send all logs of this process, the libraries' included, to standard error in one shape.

    Parameters
    ----------
    process
        Name of the process, on every line.
    level
        Least severe level that is shown; libraries speak from WARNING on.
    """

    def name_process(_logger: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        event["process"] = process
        return event

    shared: list[structlog.typing.Processor] = [
        name_process,
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _without_patients,
    ]
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer() if log_format == "json" else structlog.dev.ConsoleRenderer(colors=False)
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("triage_node").setLevel(level)
