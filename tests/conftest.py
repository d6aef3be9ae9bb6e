"""What every test shares: no settings from outside, and the rule about skips.

With ``NO_SKIPS=1`` a skipped test fails the run: the gate installs all that a skip could be for.
"""

from __future__ import annotations

import logging
import os
import shutil
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest
from sqlalchemy import Engine, text
from sqlalchemy.engine import make_url

from triage_node.worklist import migrate
from triage_node.worklist.engine import make_engine
from triage_node.worklist.repository import SqlStudyRepository

hypothesis.settings.register_profile("gate", derandomize=True, deadline=None)
hypothesis.settings.register_profile("bench side", deadline=None)


def pytest_configure(config: pytest.Config) -> None:
    # The gate judges the change, not the draw; at the bench side every run looks for new counterexamples.
    hypothesis.settings.load_profile("gate" if os.environ.get("NO_SKIPS") == "1" else "bench side")
    for name in [each for each in os.environ if each.startswith("TRIAGE_")]:
        del os.environ[name]
    # In an activated environment pynetdicom's commands hide DCMTK's, which have the same names.
    if sys.prefix != sys.base_prefix:
        own, found = os.path.join(sys.prefix, "bin"), os.environ.get("PATH", "").split(os.pathsep)
        os.environ["PATH"] = os.pathsep.join(each for each in found if each != own)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or hasattr(session.config, "workerinput"):
        return
    skipped = reporter.stats.get("skipped", [])
    if skipped and os.environ.get("NO_SKIPS") == "1":
        reporter.write_line(f"NO_SKIPS is set and {len(skipped)} tests were skipped: the run fails")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_unconfigure(config: pytest.Config) -> None:
    """Leave one closing line for the gate, which runs more after the tests."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or hasattr(config, "workerinput") or os.environ.get("NO_SKIPS") != "1":
        return
    counts = {name: len(reporter.stats.get(name, [])) for name in ("passed", "failed", "error", "skipped")}
    line = f"{counts['passed']} passed, {counts['failed'] + counts['error']} failed, {counts['skipped']} skipped\n"
    Path(config.rootpath, ".pytest_summary").write_text(line)


@pytest.fixture(autouse=True)
def logs_left_alone() -> Iterator[None]:
    """Give back the handlers that a process under test put in place: they hold a stream that its test closes."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


# databases -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def migrations_folder(pytestconfig: pytest.Config) -> Path:
    return pytestconfig.rootpath / "migrations"


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    """A real PostgreSQL: the one at POSTGRESQL_TEST_URL, else the pgserver wheel's, shared by all xdist workers."""
    if "POSTGRESQL_TEST_URL" in os.environ:
        yield os.environ["POSTGRESQL_TEST_URL"]
        return
    pgserver = pytest.importorskip("pgserver", reason="needs the pgserver wheel or POSTGRESQL_TEST_URL")
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID") or uuid.uuid4().hex
    # Not below pytest's own folder: the server runs as another user when we are root, and pytest takes its rights away.
    folder = Path(tempfile.gettempdir(), f"triage-pg-{run[:12]}")
    folder.mkdir(exist_ok=True)
    try:
        server = pgserver.get_server(folder, cleanup_mode="delete")
    except Exception as error:
        pytest.skip(f"the pgserver wheel cannot start PostgreSQL here: {error}")
    server.psql("ALTER SYSTEM SET fsync = off")  # what a test writes may be lost with the machine
    server.psql("SELECT pg_reload_conf()")
    yield server.get_uri()
    server.cleanup()


@pytest.fixture(scope="session")
def new_postgresql_database(postgresql_url: str) -> Iterator[Callable[[], str]]:
    """Make empty databases; they are dropped at the end."""
    server = make_engine(postgresql_url).execution_options(isolation_level="AUTOCOMMIT")
    made: list[str] = []

    def make() -> str:
        name = f"triage_{uuid.uuid4().hex}"
        with server.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
        made.append(name)
        return make_url(postgresql_url).set(database=name).render_as_string(hide_password=False)

    yield make
    if "POSTGRESQL_TEST_URL" in os.environ:  # the wheel's server goes as a whole
        with server.connect() as connection:
            for name in made:
                connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    server.dispose()


@pytest.fixture(scope="session")
def _postgresql_engine(new_postgresql_database: Callable[[], str], migrations_folder: Path) -> Iterator[Engine]:
    engine = make_engine(new_postgresql_database())
    migrate.upgrade(engine, migrations_folder)
    yield engine
    engine.dispose()


_TOP_TABLES = (
    "studies",
    "associations",
    "quarantine",
    "processes",
    "breakers",
    "observations",
    "drift_baselines",
    "drift_alarms",
)


@pytest.fixture
def postgresql_engine(_postgresql_engine: Engine) -> Engine:
    """A migrated PostgreSQL database without rows."""
    with _postgresql_engine.begin() as connection:
        for table in _TOP_TABLES:
            connection.execute(text(f"DELETE FROM {table}"))  # the rest goes with them, faster than TRUNCATE
    return _postgresql_engine


@pytest.fixture(scope="session")
def _migrated_sqlite_file(tmp_path_factory: pytest.TempPathFactory, migrations_folder: Path) -> Path:
    path = tmp_path_factory.mktemp("migrated") / "triage.db"
    migrate.upgrade(f"sqlite:///{path}", migrations_folder)
    return path


@pytest.fixture
def sqlite_engine(tmp_path: Path, _migrated_sqlite_file: Path) -> Iterator[Engine]:
    """A migrated SQLite database without rows."""
    engine = make_engine(f"sqlite:///{shutil.copy(_migrated_sqlite_file, tmp_path / 'triage.db')}")
    yield engine
    engine.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest) -> Engine:
    """Each of the two databases in turn."""
    engine: Engine = request.getfixturevalue(f"{request.param}_engine")
    return engine


@pytest.fixture
def repository(engine: Engine) -> SqlStudyRepository:
    """The results database on each of the two databases in turn."""
    return SqlStudyRepository(engine)
