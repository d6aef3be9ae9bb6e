"""Many keys as one value: what is found, by which index, in how many forms of the statement."""

from __future__ import annotations

import pytest
from fakes.studies import Studies
from sqlalchemy import Engine, not_, select
from sqlalchemy.orm import Session

from triage_node.worklist.id_lists import among
from triage_node.worklist.repository import SqlStudyRepository
from triage_node.worklist.tables import StudyRow


@pytest.mark.parametrize(("ids", "found"), [([], []), ([2], [2]), ([3, 1, 3, 99, -1, 1 << 40], [1, 3])])
def test_rows_among_the_keys_are_found_and_no_others(engine: Engine, ids: list[int], found: list[int]) -> None:
    studies = Studies(SqlStudyRepository(engine))
    for _ in range(3):
        studies.arrive()
    with Session(engine) as session:
        keys = list(session.scalars(select(StudyRow.id).order_by(StudyRow.id)))
        asked = [keys[each - 1] if 0 < each < 4 else each + 1000 for each in ids]
        ordered = select(StudyRow.id).order_by(StudyRow.id)
        assert list(session.scalars(ordered.where(among(StudyRow.id, asked)))) == [keys[each - 1] for each in found]
        others = list(session.scalars(ordered.where(not_(among(StudyRow.id, asked)))))
        assert others == [key for key in keys if key not in asked]


def test_sqlite_looks_the_keys_up_instead_of_reading_the_table(sqlite_engine: Engine) -> None:
    statement = select(StudyRow.patient_name).where(among(StudyRow.id, [1, 2]))
    compiled = str(statement.compile(sqlite_engine))
    with sqlite_engine.connect() as connection:
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled}", ("[1,2]",)).all()
    assert any("SEARCH studies USING INTEGER PRIMARY KEY" in row[3] for row in plan), plan
