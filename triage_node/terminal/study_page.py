"""One study at the terminal: its standing, its series, what the cascade said of each slice, and what went where."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from triage_node.terminal.worklist_table import priority_text, state_text, subtypes_text

BAR = 30
"""Width of a slice's bar at probability 1, in characters."""


def study_page(study: Mapping[str, Any]) -> RenderableType:
    """Lay out what ``StudyRepository.study`` returned."""
    title = Text(f"Study {study['study_instance_uid']}", style="bold", no_wrap=True)  # in one piece, to be copied
    series = (part for series in study["series"] for part in _series(series, study["received_at"]))
    return Group(title, _standing(study), *series)


def _standing(study: Mapping[str, Any]) -> Table:
    table = Table(show_header=False, box=None)
    table.add_row("patient", Text(f"{study['patient_name'] or ''}  ({study['patient_id'] or 'no patient ID'})"))
    table.add_row("accession", Text(study["accession_number"] or ""))
    table.add_row("description", Text(study["study_description"] or ""))
    table.add_row(
        "state", Text.assemble(state_text(study["state"]), f"  {study['reason'] or ''}  {study['detail'] or ''}")
    )
    table.add_row("priority", priority_text(study["priority"]))
    if study["ich_probability"] is not None:
        flagged = "FLAGGED" if study["flagged"] else "not flagged"
        table.add_row(
            "hemorrhage", Text(f"{study['ich_probability']:.3f} {flagged}  {subtypes_text(study['subtypes'])}")
        )
    for name in ("received_at", "released_at", "classified_at", "forwarded_at"):
        table.add_row(name.replace("_", " "), Text(_moment(study[name], study["received_at"])))
    return table


def _moment(value: str | None, since: str | None) -> str:
    if value is None:
        return ""
    at = datetime.fromisoformat(value)
    after_s = (at - datetime.fromisoformat(since)).total_seconds() if since else 0.0
    return f"{at:%Y-%m-%d %H:%M:%S} UTC  (+{after_s:.1f} s)"


def _series(series: Mapping[str, Any], received_at: str) -> Iterator[RenderableType]:
    title = f"\nSeries {series['series_instance_uid']}  {series['modality']} {series['series_description'] or ''}"
    yield Text(title, style="bold")
    ended = f"{series['reason'] or ''} {series['detail'] or ''}".strip()
    parts = [f"revision {series['revision']}, {series['instance_count']} instances  {ended}"]
    senders = sorted({f"{each['calling_ae_title']}@{each['address']}" for each in series["associations"]})
    parts.append(f"from {', '.join(senders)}" if senders else "found in the spool")
    yield Padding(Text.assemble(state_text(series["state"]), "  " + "; ".join(parts)), (0, 0, 0, 2))
    for revision in series["revisions"]:
        yield Padding(_reading(revision, received_at), (0, 0, 0, 2))


def _reading(revision: Mapping[str, Any], received_at: str) -> RenderableType:
    """Lay out what a revision came to; one that was not read, or not yet, may have a report all the same."""
    if revision["ich_probability"] is None:
        return Group(Text(f"revision {revision['revision']}: not read"), *_deliveries(revision["evidence"]))
    flagged = "FLAGGED" if revision["flagged"] else "not flagged"
    point = f"{revision['operating_point']} {revision['operating_threshold']:.3f}"
    head = (
        f"revision {revision['revision']}: {revision['ich_probability']:.3f} {flagged} (operating point {point}), "
        f"{revision['model_name']} {revision['model_version']}, {revision['elapsed_ms'] or 0:.0f} ms, "
        f"{_moment(revision['classified_at'], received_at)}"
    )
    return Group(Text(head), _slices(revision["slices"]), *_deliveries(revision["evidence"]))


def _slices(slices: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(box=None, header_style="bold")
    for name in ("slice", "ICH", "", "subtypes"):
        table.add_column(name, no_wrap=True)
    for number, each in reversed(list(enumerate(slices, start=1))):  # superior on top, as a head stands
        style = "red" if each["flagged"] else "dim"
        bar = "\u2588" * round(each["ich_probability"] * BAR)
        subtypes = subtypes_text(each["subtypes"]) if each["flagged"] else ""
        table.add_row(
            Text(str(number)), Text(f"{each['ich_probability']:.2f}", style), Text(bar, style), Text(subtypes)
        )
    return table


def _deliveries(evidence: Sequence[Mapping[str, Any]]) -> Iterator[Text]:
    kinds = Counter(each["kind"] for each in evidence)
    yield Text("evidence: " + (", ".join(f"{count} {kind}" for kind, count in kinds.items()) or "none"))
    states: dict[str, Counter[str]] = {}
    problems = []
    for each in evidence:
        for delivery in each["deliveries"]:
            states.setdefault(delivery["destination"], Counter())[delivery["state"]] += 1
            if delivery["detail"] and (delivery["state"] != "SENT" or delivery["warning"]):
                problems.append(f"{each['kind']} {each['number']}: {delivery['detail']}")
    for destination, counts in states.items():
        yield Text(f"to {destination}: " + ", ".join(f"{count} {state}" for state, count in counts.items()))
    yield from (Text(problem, style="yellow") for problem in problems[:5])


def deliveries_page(rows: Sequence[Mapping[str, Any]]) -> RenderableType:
    """Lay out ``StudyRepository.deliveries`` study by study: a line for each destination, state and answer."""
    groups: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for row in rows:
        commitment = f", {row['commitment']}" if row["commitment"] else ""
        key = (row["study_instance_uid"], row["destination"], row["state"] + commitment, row["detail"] or "")
        groups.setdefault(key, []).append(row)
    parts: list[RenderableType] = [Text("Deliveries, newest first", style="bold")]
    for uid in dict.fromkeys(key[0] for key in groups):
        table = Table.grid(padding=(0, 2, 0, 0))
        for overflow in ("fold", "ellipsis", "fold"):
            table.add_column(overflow=overflow, no_wrap=overflow == "ellipsis")
        for (study, destination, state, detail), members in groups.items():
            if study == uid:
                warned = any(each["warning"] for each in members)
                cells = (destination, state, _told_of(members, detail))
                table.add_row(*(Text(cell) for cell in cells), style="yellow" if warned else None)
        parts += [Text(f"\nStudy {uid}", no_wrap=True), Padding(table, (0, 0, 0, 2))]
    return Group(*parts)


def _told_of(members: Sequence[Mapping[str, Any]], detail: str) -> str:
    """Say what was or is to be sent, how often it was tried, when it is tried next and what the destination said."""
    kinds = Counter(each["kind"] for each in members)
    attempts = max(each["attempts"] for each in members)
    due = min((each["next_attempt_at"] for each in members if each["next_attempt_at"]), default="")
    said = [", ".join(f"{count} {kind}" for kind, count in kinds.items())]
    said.append(f"{attempts} attempt" + ("s" if attempts != 1 else ""))
    if due:
        said.append(f"next {due[:19].replace('T', ' ')} UTC")
    return "; ".join([*said, *([detail] if detail else [])])


def breakers_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Lay out ``StudyRepository.breakers``: a line for each destination that does not answer."""
    table = Table(title="Destinations that do not answer", header_style="bold")
    for name in ("Destination", "Breaker", "Failures in a row", "Left alone until (UTC)", "Last failure"):
        table.add_column(name, overflow="fold")
    for row in rows:
        until = (row["open_until"] or "")[:19].replace("T", " ")
        cells = (row["destination"], row["breaker"], str(row["failures"]), until, row["detail"] or "")
        table.add_row(*(Text(cell) for cell in cells))
    return table
