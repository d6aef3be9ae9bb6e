"""Users and API tokens as tables for the terminal. Names are never read as markup."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from rich.table import Table
from rich.text import Text


def users_table(rows: Iterable[Mapping[str, Any]], now: datetime) -> Table:
    """Lay out users."""
    table = _table("Users", "Name", "Role", "State", "Last signed in")
    for row in rows:
        name = row["name"] + (" (identity provider)" if row["from_provider"] else "")
        table.add_row(Text(name), Text(row["role"]), _state(row, now), Text(_moment(row["signed_in_at"])))
    return table


def tokens_table(rows: Iterable[Mapping[str, Any]], now: datetime) -> Table:
    """Lay out tokens."""
    table = _table("API tokens", "User", "For", "Made", "Last used", "Ends")
    for row in rows:
        ends = Text(_moment(row["expires_at"]))
        if row["expires_at"] is not None and row["expires_at"] <= now:
            ends.stylize("yellow")
            ends.append(" expired")
        times = (Text(_moment(row[name])) for name in ("created_at", "used_at"))
        table.add_row(Text(row["user"]), Text(row["name"]), *times, ends)
    return table


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, header_style="bold", box=None, padding=(0, 1, 0, 0))
    for name in columns:
        table.add_column(name, overflow="fold")
    return table


def _state(row: Mapping[str, Any], now: datetime) -> Text:
    if row["disabled"]:
        return Text("disabled", style="bold red")
    if row["locked_until"] is not None and row["locked_until"] > now:
        return Text(f"locked until {_moment(row['locked_until'])}", style="yellow")
    return Text("must change the password" if row["must_change_password"] else "may sign in")


def _moment(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC" if at is not None else "never"
