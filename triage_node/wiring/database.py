"""The results database, and what is kept beside the studies in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from triage_node.core.errors import ConfigurationRejected
from triage_node.settings import Settings
from triage_node.wiring.installation import migrations_folder

if TYPE_CHECKING:
    from triage_node.worklist.audit import SqlAuditTrail
    from triage_node.worklist.drift import SqlDriftWatch
    from triage_node.worklist.lost_associations import SqlLostAssociations
    from triage_node.worklist.reader_tasks import SqlReaderTasks
    from triage_node.worklist.repository import SqlStudyRepository
    from triage_node.worklist.series_files import SqlSeriesFiles
    from triage_node.worklist.shadow import SqlShadowLog
    from triage_node.worklist.statistics import SqlStatistics
    from triage_node.worklist.worklist_page import SqlWorklist


def migrate(settings: Settings) -> None:
    """Bring the database's schema to this version's.

    Raises
    ------
    ConfigurationRejected
        The data folder cannot be made.
    """
    from triage_node.worklist.migrate import upgrade

    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationRejected(f"setting data_dir: {settings.data_dir} cannot be made: {error.strerror}") from None
    upgrade(settings.database, migrations_folder())


def repository(settings: Settings) -> SqlStudyRepository:
    """Connect to the results database.

    Raises
    ------
    ConfigurationRejected
        Its schema is not this version's.
    """
    from triage_node.worklist.engine import make_engine
    from triage_node.worklist.migrate import current, head
    from triage_node.worklist.repository import SqlStudyRepository

    engine = make_engine(settings.database)
    found, needed = current(engine), head(migrations_folder())
    if found != needed:
        state = f"is at schema {found}" if found else "has no schema"
        raise ConfigurationRejected(f"the database {state}, this version needs {needed}: run `triage-node migrate`")
    return SqlStudyRepository(engine)


def results(settings: Settings) -> SqlStudyRepository:
    """Connect to a results database that exists.

    Raises
    ------
    ConfigurationRejected
        There is no SQLite file yet: the data folder is probably another one.
    """
    if settings.database_url is None and not settings.sqlite_file.exists():
        raise ConfigurationRejected(
            f"there is no results database in {settings.data_dir.resolve()}; give the node's --data-dir or --database-url"
        )
    return repository(settings)


def shadow_log(settings: Settings) -> SqlShadowLog:
    """Return where readings in the shadow are kept."""
    from triage_node.worklist.engine import make_engine
    from triage_node.worklist.shadow import SqlShadowLog

    return SqlShadowLog(make_engine(settings.database))


def series_files(settings: Settings) -> SqlSeriesFiles:
    """Return which files each series consists of."""
    from triage_node.worklist.engine import make_engine
    from triage_node.worklist.series_files import SqlSeriesFiles

    return SqlSeriesFiles(make_engine(settings.database))


def drift_watch(settings: Settings) -> SqlDriftWatch:
    """Return the charts on what the node reads and refuses."""
    from triage_node.worklist.drift import SqlDriftWatch
    from triage_node.worklist.engine import make_engine

    return SqlDriftWatch(make_engine(settings.database))


def audit_trail(settings: Settings) -> SqlAuditTrail:
    """Return the trail of who looked and who changed what."""
    from triage_node.worklist.audit import SqlAuditTrail
    from triage_node.worklist.engine import make_engine

    return SqlAuditTrail(make_engine(settings.database))


def lost_associations(settings: Settings) -> SqlLostAssociations:
    """Return what ends the associations of SCP processes that were killed."""
    from triage_node.worklist.engine import make_engine
    from triage_node.worklist.lost_associations import SqlLostAssociations

    return SqlLostAssociations(make_engine(settings.database))


def reader_tasks(settings: Settings) -> SqlReaderTasks:
    """Return who reads which study."""
    from triage_node.worklist.engine import make_engine
    from triage_node.worklist.reader_tasks import SqlReaderTasks

    return SqlReaderTasks(make_engine(settings.database))


def statistics(settings: Settings) -> SqlStatistics:
    """Return what administrators ask of the results."""
    from triage_node.worklist.engine import make_engine
    from triage_node.worklist.statistics import SqlStatistics

    return SqlStatistics(make_engine(settings.database))


def worklist(settings: Settings) -> SqlWorklist:
    """Return the studies in the order in which they should be read."""
    from triage_node.worklist.engine import make_engine
    from triage_node.worklist.worklist_page import SqlWorklist

    return SqlWorklist(make_engine(settings.database))
