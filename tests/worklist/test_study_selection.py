"""Which studies a query by name means: what the words find is what the pattern alone finds, on both databases."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from fakes.slices import head
from sqlalchemy import Engine, event

from triage_node.worklist import study_selection
from triage_node.worklist.engine import Database
from triage_node.worklist.matching import Texts
from triage_node.worklist.repository import SqlStudyRepository
from triage_node.worklist.study_selection import Selection, select_studies
from triage_node.worklist.tables import StudyRow

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
NAMES = (
    "Doe^Jane",
    "DOE^JOHN^^DR",
    "Doerr^Jane",
    "Yamada^Tarou=山田^太郎=やまだ^たろう",
    "O'Neill^Mary Anne",
    "van der Berg^Jan",
    "",
    "^Jane",
    " ".join(f"word{number:02}" for number in range(30)),
)


@pytest.fixture
def archive(engine: Engine) -> Engine:
    """One study for each name."""
    repository = SqlStudyRepository(engine)
    for number, name in enumerate(NAMES, 1):
        repository.add_instances(head(NOW, study=f"1.2.{number}", numbers=[0], patient_name=name))
    return engine


def found(engine: Engine, pattern: str, *, words: bool) -> list[int]:
    wanted = Texts((pattern,), wildcards=True, person=True)
    condition = wanted.sql(StudyRow.patient_name, sqlite=engine.dialect.name == "sqlite")
    with Database(engine).reading() as session:
        return select_studies(session, Selection([condition], words=wanted.beginnings if words else ()), 100)


@pytest.mark.parametrize(
    ("pattern", "count"),
    [
        ("DOE*", 3),
        ("doe^*", 2),
        ("Doe^J?ne", 1),
        ("*^JANE", 3),
        ("D?e^Jane", 1),
        ("*oe*", 3),
        ("山田*", 1),
        ("yamada^tarou", 1),
        ("o'neill^mary a*", 1),
        ("van der*", 1),
        ("*word29", 1),
        ("Do_*", 0),
        ("nobody*", 0),
        ("%", 0),
    ],
)
def test_words_of_a_pattern_find_what_the_pattern_matches(archive: Engine, pattern: str, count: int) -> None:
    ids = found(archive, pattern, words=True)
    assert len(ids) == count
    assert ids == found(archive, pattern, words=False)


def test_names_that_are_too_many_to_sort_are_walked(archive: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study_selection, "_LOOKED_UP_AT_MOST", 1)
    assert len(found(archive, "DOE*", words=True)) == 3


def test_a_name_that_nobody_has_is_answered_without_a_walk(archive: Engine) -> None:
    statements: list[str] = []
    event.listen(archive, "before_cursor_execute", lambda *said: statements.append(said[2]))
    assert found(archive, "nobody*", words=True) == []
    asked = [each for each in statements if not each.startswith("BEGIN")]
    assert len(asked) <= 3  # how many have the word, which, and nothing more
