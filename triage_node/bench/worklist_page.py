"""``triage-node bench worklist-page``: how long the worklist page takes over a great archive.

In: a scratch database, which is filled with made-up studies. Out: milliseconds from the moment at which a request was due to
the last byte of its answer, so that a request that waits for slow ones before it counts its wait. The web process is the
real one, over HTTP, with a reader who is signed in.
"""

from __future__ import annotations

import os
import random
import secrets
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from statistics import quantiles
from typing import Any
from urllib.parse import urlencode

import requests
from rich.progress import Progress

from triage_node import wiring
from triage_node.core.access import Role
from triage_node.core.errors import TriageError
from triage_node.core.worklist_order import Place
from triage_node.settings import Settings
from triage_node.supervisor import free_port
from triage_node.web.visitors import SESSION_COOKIE
from triage_node.worklist.engine import make_engine
from triage_node.worklist.made_up_archive import FAMILIES, fill, received_at

_START_LIMIT_S = 60.0
_ANSWER_LIMIT_S = 60.0
_WORKERS = 64
_WARM_UP = 40

Address = Callable[[random.Random, int, datetime], dict[str, str]]


def _deep(draw: random.Random, studies: int, now: datetime) -> dict[str, str]:
    number = draw.randrange(1, studies)
    return {"days": "all", "after": str(Place(True, 0, received_at(number, studies, now), number))}


_KINDS: dict[str, tuple[int, Address]] = {
    "first page": (8, lambda draw, studies, now: {}),
    "flagged": (2, lambda draw, studies, now: {"flagged": "yes"}),
    "not analysed": (2, lambda draw, studies, now: {"state": "NOT_ANALYSED"}),
    "failed, all time": (1, lambda draw, studies, now: {"state": "FAILED", "days": "all"}),
    "reason, all time": (1, lambda draw, studies, now: {"reason": "CONTRAST", "days": "all"}),
    "name": (1, lambda draw, studies, now: {"q": draw.choice(FAMILIES)[:4]}),
    "name, all time": (1, lambda draw, studies, now: {"q": draw.choice(FAMILIES), "days": "all"}),
    "accession": (2, lambda draw, studies, now: {"q": f"acc{draw.randrange(1, studies)}", "days": "all"}),
    "deep page": (2, _deep),
}
"""Each kind of request with its share, in twentieths."""


def worklist_page(
    studies: int, database_url: str | None, per_second: float, seconds: float, progress: Progress
) -> dict[str, Any]:
    """Fill the database, start the web process, and ask.

    Returns
    -------
    ``requests``, ``p50_ms``, ``p95_ms``, ``max_ms``, and ``kinds`` with the same of each kind.

    Raises
    ------
    TriageError
        The web process did not start, or a request was not answered with a worklist.
    """
    with tempfile.TemporaryDirectory(prefix="triage-bench-") as name:
        settings = Settings(
            data_dir=Path(name),
            database_url=database_url,
            http_host="127.0.0.1",
            http_port=free_port(),
            log_level="WARNING",
        )
        wiring.migrate(settings)
        now = wiring.SystemClock().now()
        bar = progress.add_task("filling the database", total=None)
        fill(make_engine(settings.database), studies, now, lambda _: progress.advance(bar))
        progress.remove_task(bar)
        token = _signed_in(settings, now)
        with _web_process(settings):
            timed = _ask(settings, token, _requests(studies, now, int(per_second * seconds)), per_second, progress)
    return {
        "studies": studies,
        "database": "sqlite" if settings.database.startswith("sqlite") else "postgresql",
        "cores": len(os.sched_getaffinity(0)),
        "per_second": per_second,
        **_summary([ms for each in timed.values() for ms in each]),
        "kinds": {kind: _summary(timed[kind]) for kind in _KINDS if timed[kind]},
    }


def _signed_in(settings: Settings, now: datetime) -> str:
    name, password = f"bench-{secrets.token_hex(4)}", secrets.token_urlsafe(24)
    wiring.users(settings).add(name, Role.RADIOLOGIST, password, now, must_change_password=False)
    return wiring.accounts(settings).sign_in(name, password, "127.0.0.1", now).token


@contextmanager
def _web_process(settings: Settings) -> Iterator[None]:
    environment = {**os.environ, **settings.environment()}
    process = subprocess.Popen([sys.executable, "-m", "triage_node", "web"], env=environment)
    try:
        deadline = time.monotonic() + _START_LIMIT_S
        while not _answers(settings):
            if process.poll() is not None or time.monotonic() > deadline:
                raise TriageError("the web process did not start")
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait()


def _address(settings: Settings, path: str) -> str:
    return f"http://127.0.0.1:{settings.http_port}{path}"


def _answers(settings: Settings) -> bool:
    try:
        return requests.get(_address(settings, "/health/live"), timeout=1).ok
    except requests.RequestException:
        return False


def _requests(studies: int, now: datetime, count: int) -> list[tuple[str, str]]:
    """Return what is asked for, kind and path, in a mixed order that is the same every time."""
    draw = random.Random(20)
    shares = [share for share, _ in _KINDS.values()]
    chosen = draw.choices(list(_KINDS), weights=shares, k=count + _WARM_UP)
    return [(kind, "/?" + urlencode(_KINDS[kind][1](draw, studies, now))) for kind in chosen]


def _ask(
    settings: Settings, token: str, asked: Sequence[tuple[str, str]], per_second: float, progress: Progress
) -> dict[str, list[float]]:
    """Send every request when it is due, whether or not those before it are answered; return milliseconds by kind."""
    own = threading.local()
    cookies = {SESSION_COOKIE: token}

    def answered(path: str, due_at: float) -> float:
        if not hasattr(own, "session"):
            own.session = requests.Session()
        answer = own.session.get(_address(settings, path), cookies=cookies, timeout=_ANSWER_LIMIT_S)
        if answer.status_code != 200 or 'id="worklist"' not in answer.text:
            raise TriageError(f"{path} was answered {answer.status_code}, without a worklist")
        return (time.perf_counter() - due_at) * 1000

    for _, path in asked[:_WARM_UP]:
        answered(path, 0.0)
    bar = progress.add_task("asking", total=len(asked) - _WARM_UP)
    begun = time.perf_counter()
    sent = []
    with ThreadPoolExecutor(_WORKERS) as pool:
        for number, (kind, path) in enumerate(asked[_WARM_UP:]):
            due_at = begun + number / per_second
            time.sleep(max(0.0, due_at - time.perf_counter()))
            sent.append((kind, pool.submit(answered, path, due_at)))
            progress.advance(bar)
    timed: dict[str, list[float]] = defaultdict(list)
    for kind, future in sent:
        timed[kind].append(future.result())
    return timed


def _summary(ms: Sequence[float]) -> dict[str, float]:
    cuts = quantiles(ms, n=20, method="inclusive") if len(ms) > 1 else list(ms) * 19
    return {
        "requests": len(ms),
        "p50_ms": round(cuts[9], 1),
        "p95_ms": round(cuts[18], 1),
        "max_ms": round(max(ms), 1),
    }
