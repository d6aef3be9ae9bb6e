"""SQLite with several writing processes of which one is killed: what was committed is there, and nobody is blocked."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from sqlalchemy import Engine, text

from triage_node.worklist.repository import SqlStudyRepository

WRITER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from triage_node.core.instance import InstanceHeader
from triage_node.core.ports import StoredInstance
from triage_node.worklist.engine import make_engine
from triage_node.worklist.repository import SqlStudyRepository

url, name, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
repository = SqlStudyRepository(make_engine(url))
for number in range(count):
    sop_instance_uid = f"1.2.{name}.{number}"
    header = InstanceHeader(sop_instance_uid, "1.2.3", "1.2.1.1", "1.2.1", "1.2.840.10008.1.2.1", modality="CT")
    path = Path("/spool") / f"{sop_instance_uid}.dcm"
    repository.add_instances([StoredInstance(header, path, datetime.now(UTC))])
    print(path, flush=True)
"""


def start_writer(engine: Engine, name: int, count: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, engine.url.render_as_string(), str(name), str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_a_killed_writer_loses_nothing_it_was_told_is_kept(sqlite_engine: Engine) -> None:
    victim = start_writer(sqlite_engine, 1, 1_000_000)
    survivor = start_writer(sqlite_engine, 2, 40)
    assert victim.stdout is not None
    told = [victim.stdout.readline().strip() for _ in range(15)]
    time.sleep(0.013)  # somewhere within a transaction
    victim.kill()
    told += victim.stdout.read().splitlines()
    victim.wait(timeout=10)
    output, _ = survivor.communicate(timeout=60)
    assert survivor.returncode == 0
    kept = SqlStudyRepository(sqlite_engine).known_paths()
    assert {Path(each).name for each in (*told, *output.split())} <= {Path(each).name for each in kept}
    assert len(output.split()) == 40
    with sqlite_engine.connect() as connection:
        assert connection.execute(text("PRAGMA integrity_check")).scalar() == "ok"
        assert connection.execute(text("SELECT instance_count FROM series")).scalar() == len(kept)
