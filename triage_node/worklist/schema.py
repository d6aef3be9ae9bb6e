"""Every table there is, for whoever compares them with a database."""

from __future__ import annotations

from triage_node.worklist import account_tables, reader_tables, tables
from triage_node.worklist.base import Base

__all__ = ["Base", "account_tables", "reader_tables", "tables"]
