"""Conditions on many keys at once, as one bound value whatever their number.

SQLAlchemy's ``in_`` binds each key: every count of keys is another statement to compile here, and to plan in the database.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import BindParameter, ColumnElement, String, bindparam
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.visitors import InternalTraversal
from sqlalchemy.types import Boolean, TypeDecorator


class _IdList(TypeDecorator[Sequence[int]]):
    """Whole numbers as one text: a JSON array for SQLite, an array literal for PostgreSQL."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: Sequence[int] | None, dialect: Dialect) -> str:
        """Write the numbers down."""
        numbers = ",".join(map(str, value or ()))
        return f"[{numbers}]" if dialect.name == "sqlite" else f"{{{numbers}}}"


class _Among(ColumnElement[bool]):
    inherit_cache = True
    _is_implicitly_boolean = True  # else SQLite is asked whether it equals 1, and uses no index
    type = Boolean()
    _traverse_internals = [  # noqa: RUF012 (read by SQLAlchemy's cache of statements)
        ("column", InternalTraversal.dp_clauseelement),
        ("ids", InternalTraversal.dp_clauseelement),
    ]

    def __init__(self, column: Any, ids: BindParameter[Any]) -> None:
        self.column = column.__clause_element__() if hasattr(column, "__clause_element__") else column
        self.ids = ids


def among(column: Any, ids: Iterable[int]) -> ColumnElement[bool]:
    """Return the condition that a column of keys has one of these values."""
    return _Among(column, bindparam(None, list(ids), type_=_IdList()))


def among_given(column: Any, name: str) -> ColumnElement[bool]:
    """Return the same for values that are given by this name when the statement is run: it can be made once."""
    return _Among(column, bindparam(name, type_=_IdList()))


@compiles(_Among, "sqlite")
def _on_sqlite(element: _Among, compiler: SQLCompiler, **kw: Any) -> str:
    column, ids = compiler.process(element.column, **kw), compiler.process(element.ids, **kw)
    return f"{column} IN (SELECT value FROM json_each({ids}))"  # noqa: S608 (compiled, with its value bound)


@compiles(_Among, "postgresql")
def _on_postgresql(element: _Among, compiler: SQLCompiler, **kw: Any) -> str:
    column, ids = compiler.process(element.column, **kw), compiler.process(element.ids, **kw)
    return f"{column} = ANY (CAST({ids} AS BIGINT[]))"
