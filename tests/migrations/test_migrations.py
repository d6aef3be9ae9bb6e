"""Migrations: empty to head is what tables.py says, on both databases, also when several processes start at once."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, inspect, text

from triage_node.core.errors import ConfigurationRejected
from triage_node.core.reader_task import workitem_uid
from triage_node.worklist import migrate
from triage_node.worklist.engine import for_writing, make_engine
from triage_node.worklist.schema import Base


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """A database without tables."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'empty.db'}"
    else:
        new_database: Callable[[], str] = request.getfixturevalue("new_postgresql_database")
        url = new_database()
    engine = make_engine(url)
    yield engine
    engine.dispose()


def test_empty_to_head_equals_the_tables(empty_engine: Engine, migrations_folder: Path) -> None:
    assert migrate.current(empty_engine) is None
    migrate.upgrade(empty_engine, migrations_folder)
    assert migrate.current(empty_engine) == migrate.head(migrations_folder)
    with empty_engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []


def test_every_constraint_has_the_name_that_the_convention_gives(empty_engine: Engine, migrations_folder: Path) -> None:
    migrate.upgrade(empty_engine, migrations_folder)
    found = inspect(empty_engine)
    for table in Base.metadata.sorted_tables:
        assert found.get_pk_constraint(table.name)["name"] == table.primary_key.name
        names = {each["name"] for each in found.get_foreign_keys(table.name)}
        assert names == {each.name for each in table.foreign_key_constraints}


def test_down_to_base_leaves_nothing_and_up_again_works(empty_engine: Engine, migrations_folder: Path) -> None:
    migrate.upgrade(empty_engine, migrations_folder)
    migrate.downgrade(empty_engine, migrations_folder, "base")
    assert migrate.current(empty_engine) is None
    assert set(inspect(empty_engine).get_table_names()) <= {"alembic_version"}
    migrate.upgrade(empty_engine, migrations_folder)
    migrate.upgrade(empty_engine, migrations_folder)
    assert migrate.current(empty_engine) == migrate.head(migrations_folder)


def test_studies_keep_their_series_when_people_are_added(empty_engine: Engine, migrations_folder: Path) -> None:
    migrate.upgrade(empty_engine, migrations_folder, "0003")
    with for_writing(empty_engine).begin() as connection:
        connection.execute(
            text(
                "INSERT INTO studies (id, study_instance_uid, patient_id, patient_name, accession_number, study_date,"
                " study_time, study_description, state, reason_detail, priority, received_at, last_received_at)"
                " VALUES (1, '1.2.3', '', '', '', '', '', '', 'FORWARDED', '', 'STAT', '2026-01-01', '2026-01-02')"
            )
        )
        connection.execute(
            text(
                "INSERT INTO series (id, study_id, series_instance_uid, modality, series_description, revision, state,"
                " reason_detail, instance_count, revision_opened_at, last_received_at, claims)"
                " VALUES (1, 1, '1.2.3.4', 'CT', '', 1, 'FORWARDED', '', 30, '2026-01-01', '2026-01-02', 1)"
            )
        )
    migrate.upgrade(empty_engine, migrations_folder)
    with empty_engine.connect() as connection:
        study = connection.execute(text("SELECT urgency, task_state, workitem_uid FROM studies")).one()
        assert tuple(study) == (0, "SCHEDULED", workitem_uid("1.2.3"))
        assert connection.execute(text("SELECT count(*) FROM series")).scalar_one() == 1
    migrate.downgrade(empty_engine, migrations_folder, "0003")
    with empty_engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM series")).scalar_one() == 1


def test_several_processes_may_migrate_at_once(empty_engine: Engine, migrations_folder: Path) -> None:
    url = empty_engine.url.render_as_string(hide_password=False)
    errors: list[BaseException] = []

    def upgrade() -> None:
        try:
            migrate.upgrade(url, migrations_folder)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=upgrade) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert errors == []
    assert migrate.current(empty_engine) == migrate.head(migrations_folder)


def test_a_migration_that_fails_leaves_nothing(empty_engine: Engine, migrations_folder: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    (broken / "versions").mkdir(parents=True)
    for name in ("env.py", "script.py.mako"):
        (broken / name).write_text((migrations_folder / name).read_text())
    first = next((migrations_folder / "versions").glob("*_0001_*.py")).read_text()
    (broken / "versions" / "first.py").write_text(first)
    (broken / "versions" / "second.py").write_text(
        'from alembic import op\nrevision = "0002"\ndown_revision = "0001"\n'
        'def upgrade() -> None:\n    op.execute("SELECT no_such_column FROM studies")\n'
    )
    with pytest.raises(Exception, match="no_such_column"):
        migrate.upgrade(empty_engine, broken)
    assert migrate.current(empty_engine) is None
    assert "studies" not in inspect(empty_engine).get_table_names()


def test_references_are_enforced_again_after_a_migration(tmp_path: Path, migrations_folder: Path) -> None:
    engine = make_engine(f"sqlite:///{tmp_path / 'one.db'}")
    migrate.upgrade(engine, migrations_folder)
    with engine.connect() as connection:
        assert connection.execute(text("PRAGMA foreign_keys")).scalar() == 1
    engine.dispose()


def test_a_folder_without_scripts_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationRejected, match="no migration scripts"):
        migrate.upgrade(f"sqlite:///{tmp_path / 'one.db'}", tmp_path)


def test_revisions_are_one_line_and_files_say_when_and_what(migrations_folder: Path) -> None:
    scripts = ScriptDirectory.from_config(migrate.migration_config(migrations_folder))
    assert len(scripts.get_heads()) == 1
    for script in scripts.walk_revisions():
        assert re.fullmatch(rf"\d{{8}}_{script.revision}_[a-z0-9_]+\.py", Path(script.path).name)
