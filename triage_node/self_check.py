"""``triage-node check``: does this installation have all that it needs, each part tried for real.

In: settings. Out: one line a part: ok, warning or failed, with what to do. Nothing is changed.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator

from triage_node import wiring
from triage_node.core.errors import TriageError
from triage_node.settings import Settings

Check = dict[str, str]


def run_checks(settings: Settings) -> list[Check]:
    """Try every part in order."""
    parts: list[tuple[str, Callable[[Settings], Iterator[Check]]]] = [
        ("disk", _disk),
        ("database", _database),
        ("redis", _redis),
        ("weights", _weights),
        ("destinations", _destinations),
    ]
    results: list[Check] = []
    for name, part in parts:
        try:
            results.extend(part(settings))
        except Exception as error:
            shown = str(error) if isinstance(error, TriageError) else f"{type(error).__name__}: {error}"
            results.append(_line("failed", name, shown))
    return results


def _line(outcome: str, name: str, detail: str) -> Check:
    return {"outcome": outcome, "name": name, "detail": " ".join(detail.split())}


def _disk(settings: Settings) -> Iterator[Check]:
    folder = settings.data_dir
    while not folder.exists():
        folder = folder.resolve().parent
    free = shutil.disk_usage(folder).free
    detail = f"{free / 1e9:.1f} GB free at {folder.resolve()}; C-STORE is refused below {settings.spool_floor_bytes / 1e9:.1f} GB"
    yield _line("ok" if free > 2 * settings.spool_floor_bytes else "warning", "disk", detail)


def _database(settings: Settings) -> Iterator[Check]:
    from triage_node.worklist.migrate import current

    kind = settings.database.split(":", 1)[0]
    not_made = settings.database_url is None and not settings.sqlite_file.exists()
    found = None if not_made else current(settings.database)
    if found is None:
        yield _line("warning", "database", f"{kind}: no schema yet; `triage-node migrate` or `up` makes it")
    else:
        wiring.repository(settings)  # an older schema is told in words
        yield _line("ok", "database", f"{kind}, schema {found}")


def _redis(settings: Settings) -> Iterator[Check]:
    from triage_node.pipeline.tasks import make_app
    from triage_node.supervisor import redis_executable

    if settings.redis_url is None:
        yield _line("ok", "redis", f"none set; `up` starts {redis_executable()}")
        return
    with make_app(settings.redis_url).connection_for_write() as connection:
        connection.ensure_connection(max_retries=1, timeout=settings.connect_timeout_s)
    yield _line("ok", "redis", "answers")


def _weights(settings: Settings) -> Iterator[Check]:
    model = wiring.cascade(settings)
    yield _line("ok", "weights", f"release {model.release.name} on {model.device}, gives its reference output")
    if settings.shadow_release is not None:
        shadow = wiring.shadow_cascade(settings)
        yield _line("ok", "shadow", f"release {shadow.release.name} reads in the shadow, gives its reference output")


def _destinations(settings: Settings) -> Iterator[Check]:
    if not settings.every_destination:
        yield _line("warning", "destinations", "none: evidence is written but sent to nobody (--pacs AET@HOST:PORT)")
    senders = wiring.senders(settings)
    for destination in settings.every_destination:
        try:
            answer = senders[destination.kind].verify(destination)
        except TriageError as error:
            yield _line("failed", "destinations", f"{destination}: {error}")
        else:
            yield _line("ok", "destinations", f"{destination} {answer}")
