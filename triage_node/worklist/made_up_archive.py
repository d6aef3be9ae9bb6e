"""A made-up archive in an empty database: as many studies as a hospital has in years, in a minute or two, for timing.

The database makes the rows itself from their numbers, so that nothing but statements travels. Study 1 is the latest; the
others lie evenly in the year before it. One in ten is flagged, three in twenty were not analysed, and nearly all that is
older than two days was read.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy import Connection, Engine, text

from triage_node.core.errors import Refused
from triage_node.worklist.engine import for_writing

SPAN = timedelta(days=365)
FAMILIES = [
    "Abbott",
    "Ahmed",
    "Almeida",
    "Andersson",
    "Bakker",
    "Bauer",
    "Bennett",
    "Bianchi",
    "Brown",
    "Campbell",
    "Chen",
    "Clark",
    "Costa",
    "Cruz",
    "Diaz",
    "Doe",
    "Dubois",
    "Duran",
    "Edwards",
    "Evans",
    "Fischer",
    "Fournier",
    "Garcia",
    "Gruber",
    "Haddad",
    "Hansen",
    "Hernandez",
    "Hoffmann",
    "Horvat",
    "Huber",
    "Ito",
    "Ivanov",
    "Jansen",
    "Jensen",
    "Johnson",
    "Kaya",
    "Keller",
    "Khan",
    "Kim",
    "Kowalski",
    "Kumar",
    "Lambert",
    "Larsen",
    "Lee",
    "Lindqvist",
    "Lopez",
    "Marino",
    "Martin",
    "Mbeki",
    "Meyer",
    "Moreau",
    "Murphy",
    "Nagy",
    "Nguyen",
    "Novak",
    "Okafor",
    "Olsen",
    "Ortega",
    "Park",
    "Patel",
    "Petrov",
    "Popescu",
    "Ramos",
    "Reyes",
    "Ricci",
    "Rossi",
    "Sato",
    "Schmidt",
    "Silva",
    "Singh",
    "Smith",
    "Sorensen",
    "Suzuki",
    "Taylor",
    "Thomas",
    "Tran",
    "Varga",
    "Weber",
    "Wilson",
    "Wong",
    "Yamada",
    "Yilmaz",
    "Young",
    "Zhang",
    "Zimmermann",
]
GIVEN = [
    "Adam",
    "Aisha",
    "Ana",
    "Ben",
    "Carla",
    "Chidi",
    "Dina",
    "Elif",
    "Emil",
    "Fatima",
    "Hugo",
    "Ines",
    "Jane",
    "Kofi",
    "Lea",
    "Liam",
    "Mei",
    "Nora",
    "Omar",
    "Petra",
    "Rosa",
    "Yui",
]
PREFIX = "1.2.826.0.1.3680043.8.498."
"""Of every Study Instance UID in it; what lies elsewhere is somebody's."""

_NUMBERED = """
INSERT INTO {table} ({columns})
WITH RECURSIVE numbered(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM numbered WHERE i < :studies)
SELECT {values} FROM numbered
JOIN made_up_families f ON f.n = (i * 37) % :families
JOIN made_up_given g ON g.n = (i * 101) % :given
"""
_FLAGGED = "(i % 10 = 3)"
_NOT_ANALYSED = "(i % 20 IN (1, 8, 15))"
_FAILED = "(i % 400 = 7)"
_OPEN = "(i * :step_s < 172800 AND i % 2 = 0 OR i % 40 = 13)"
_TAKEN = "(i < 200 AND i % 20 = 4)"
_TASK = f"CASE WHEN {_TAKEN} THEN 'IN_PROGRESS' WHEN {_OPEN} THEN 'SCHEDULED' ELSE 'COMPLETED' END"
_STATE = f"CASE WHEN {_FAILED} THEN 'FAILED' WHEN {_NOT_ANALYSED} THEN 'NOT_ANALYSED' ELSE 'FORWARDED' END"
_READ_BY_NODE = f"(NOT {_NOT_ANALYSED})"
_PROBABILITY = f"CASE WHEN {_FLAGGED} THEN 0.5 + (i % 499) / 1000.0 WHEN {_READ_BY_NODE} THEN (i % 400) / 1000.0 END"
_SUBTYPES = """'{"CPH": 0.8, "IVH": 0.1, "SDH": 0.7, "EDH": 0.1, "SAH": 0.2}'"""

Moment = Callable[[str], str]


def fill(engine: Engine, studies: int, now: datetime, done: Callable[[str], None]) -> None:
    """Make the archive, or leave the one that is there with as many studies.

    Parameters
    ----------
    studies
        How many.
    done
        Told the name of each table that is full.

    Raises
    ------
    Refused
        The database holds studies that were not made here, or another number of them.
    """
    with for_writing(engine).begin() as connection:
        if not _is_empty(connection, studies):
            return
        sqlite = connection.dialect.name == "sqlite"
        values = {"studies": studies, "step_s": SPAN.total_seconds() / studies, "now_s": now.timestamp()}
        _make_names(connection)
        for table, columns in _tables(_sqlite_moment if sqlite else _postgresql_moment, sqlite).items():
            _insert(connection, table, columns, values)
            done(table)
        for table in ("studies", "search_terms", "series", "analyses", "evidence", "deliveries"):
            _go_on_numbering(connection, table, sqlite)
    if not sqlite:
        with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            connection.execute(text("VACUUM ANALYZE"))


def received_at(number: int, studies: int, now: datetime) -> datetime:
    """Return when the study of a number was received."""
    return now - number * (SPAN / studies)


def _is_empty(connection: Connection, studies: int) -> bool:
    found = connection.execute(text("SELECT count(*) FROM studies")).scalar_one()
    made_up = text("SELECT count(*) FROM studies WHERE study_instance_uid LIKE :made_up")
    if found != connection.execute(made_up, {"made_up": PREFIX + "%"}).scalar_one():
        raise Refused("this database holds studies of its own: give an empty one")
    if found not in (0, studies):
        raise Refused(f"this database holds {found} made-up studies, not {studies}: give an empty one, or that number")
    return bool(found == 0)


def _make_names(connection: Connection) -> None:
    for table, names in (("made_up_families", FAMILIES), ("made_up_given", GIVEN)):
        connection.execute(text(f"CREATE TEMPORARY TABLE {table} (n INTEGER PRIMARY KEY, name TEXT)"))
        rows = [{"n": number, "name": name} for number, name in enumerate(names)]
        connection.execute(text(f"INSERT INTO {table} VALUES (:n, :name)"), rows)  # noqa: S608 (a name from above)


def _insert(connection: Connection, table: str, columns: dict[str, str], values: dict[str, float]) -> None:
    name, _, only = table.partition(" ")
    statement = _NUMBERED.format(table=name, columns=", ".join(columns), values=", ".join(columns.values()))
    if only:
        statement += f" WHERE {only}"
    sizes = {"families": len(FAMILIES), "given": len(GIVEN)}
    connection.execute(text(statement.replace(":step_s", f"{values['step_s']!r}")), values | sizes)


def _postgresql_moment(later_s: str) -> str:
    return f"to_timestamp(:now_s - i * :step_s + {later_s})"


def _sqlite_moment(later_s: str) -> str:
    return f"strftime('%Y-%m-%d %H:%M:%f', :now_s - i * :step_s + {later_s}, 'unixepoch') || '000'"


def _tables(moment: Moment, sqlite: bool) -> dict[str, dict[str, str]]:
    """Return the columns of each table by their expressions; a table may come twice, with another condition behind it."""
    json = "" if sqlite else "::json"
    received, classified = moment("0"), moment("9")
    return {
        "studies": _study(received, classified, moment, json),
        **{f"search_terms {condition}": columns for condition, columns in _terms().items()},
        "series": _series(received, moment),
        f"analyses {_READ_BY_NODE}": _analysis(classified, json),
        **{f"evidence {_READ_BY_NODE} AND {number} > 0": _evidence(number, moment) for number in (1, 2)},
        **{f"deliveries {_READ_BY_NODE} AND {number} > 0": _delivery(number, moment) for number in (1, 2)},
        f"reader_tasks (NOT {_OPEN}) OR {_TAKEN}": _reader_task(moment),
    }


def _study(received: str, classified: str, moment: Moment, json: str) -> dict[str, str]:
    return {
        "id": "i",
        "study_instance_uid": f"'{PREFIX}' || i",
        "patient_id": "'MRN' || (i % 400000)",
        "patient_name": "f.name || '^' || g.name",
        "accession_number": "'ACC' || i",
        "study_date": "''",
        "study_time": "''",
        "study_description": "CASE i % 3 WHEN 0 THEN 'CT head without contrast' ELSE 'CT brain native, trauma' END",
        "state": _STATE,
        "reason": f"CASE WHEN {_FAILED} THEN 'DELIVERY_GIVEN_UP' WHEN i % 20 = 1 THEN 'CONTRAST'"
        f" WHEN {_NOT_ANALYSED} THEN 'NOT_HEAD' END",
        "reason_detail": "''",
        "priority": f"CASE WHEN {_FLAGGED} THEN 'STAT' ELSE 'ROUTINE' END",
        "urgency": f"CASE WHEN {_FLAGGED} THEN 0 ELSE 2 END",
        "task_state": _TASK,
        "workitem_uid": "'2.25.' || i",
        "ich_probability": _PROBABILITY,
        "flagged": f"CASE WHEN {_READ_BY_NODE} THEN {_FLAGGED} END",
        "subtypes": f"CASE WHEN {_FLAGGED} THEN {_SUBTYPES}{json} END",
        "received_at": received,
        "last_received_at": moment("4"),
        "released_at": moment("5"),
        "classified_at": f"CASE WHEN {_READ_BY_NODE} THEN {classified} END",
        "forwarded_at": moment("12"),
        "flagged_at": f"CASE WHEN {_FLAGGED} THEN {classified} END",
        "changed_at": moment("12"),
    }


def _terms() -> dict[str, dict[str, str]]:
    terms = ("lower(f.name)", "lower(g.name)", "'mrn' || (i % 400000)", "'acc' || i", f"'{PREFIX}' || i")
    return {f"{number} > 0": {"term": term, "study_id": "i"} for number, term in enumerate(terms, 1)}


def _series(received: str, moment: Moment) -> dict[str, str]:
    return {
        "id": "i",
        "study_id": "i",
        "series_instance_uid": f"'{PREFIX}' || i || '.1'",
        "modality": "'CT'",
        "series_description": "'Head 5.0 H31s'",
        "revision": "1",
        "state": _STATE,
        "reason_detail": "''",
        "instance_count": "30",
        "revision_opened_at": received,
        "last_received_at": moment("4"),
        "closed_at": moment("6"),
        "ended_at": moment("12"),
        "claims": "1",
    }


def _analysis(classified: str, json: str) -> dict[str, str]:
    return {
        "id": "i",
        "series_id": "i",
        "revision": "1",
        "ich_probability": _PROBABILITY,
        "flagged": _FLAGGED,
        "subtypes": f"CASE WHEN {_FLAGGED} THEN {_SUBTYPES}{json} END",
        "subtypes_present": f"""CASE WHEN {_FLAGGED} THEN '["CPH", "SDH"]'{json} ELSE '[]'{json} END""",
        "model_name": "'made_up'",
        "model_version": "'1'",
        "weights_sha256": "''",
        "operating_point": "'balanced'",
        "operating_threshold": "0.5",
        "elapsed_ms": "200",
        "classified_at": classified,
    }


def _evidence(number: int, moment: Moment) -> dict[str, str]:
    return {
        "id": f"2 * i + {number - 1}",
        "series_id": "i",
        "revision": "1",
        "kind": "'SR'" if number == 1 else "'SC'",
        "number": "1",
        "sop_class_uid": "''",
        "sop_instance_uid": f"'2.25.' || i || '.{number}'",
        "series_instance_uid": "'2.25.' || i",
        "path": "''",
        "created_at": moment("10"),
    }


def _delivery(number: int, moment: Moment) -> dict[str, str]:
    return {
        "id": f"2 * i + {number - 1}",
        "evidence_id": f"2 * i + {number - 1}",
        "destination": "'PACS@pacs.example:104'",
        "state": f"CASE WHEN {_FAILED} THEN 'GIVEN_UP' ELSE 'SENT' END",
        "attempts": "1",
        "due_since": moment("10"),
        "next_attempt_at": moment("10"),
        "sent_at": moment("12"),
        "detail": "''",
        "warned": "(1 = 0)",
    }


def _reader_task(moment: Moment) -> dict[str, str]:
    return {
        "study_id": "i",
        "acknowledged_by": "'reader' || (i % 9)",
        "acknowledged_at": moment("300"),
        "performer": f"CASE WHEN {_TAKEN} THEN 'reader' || (i % 9) END",
        "taken_at": f"CASE WHEN {_TAKEN} THEN {moment('400')} END",
        "completed_by": f"CASE WHEN NOT {_TAKEN} THEN 'reader' || (i % 9) END",
        "completed_at": f"CASE WHEN NOT {_TAKEN} THEN {moment('700')} END",
    }


def _go_on_numbering(connection: Connection, table: str, sqlite: bool) -> None:
    """PostgreSQL's sequences have not seen the rows; SQLite numbers from the last one."""
    if sqlite or table == "search_terms":
        return
    statement = f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), (SELECT max(id) FROM {table}))"  # noqa: S608
    connection.execute(text(statement))
