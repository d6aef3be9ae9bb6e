"""Create the views for people who query the database with their own tools; docs/DATABASE.md says what each column means.

Revision ID: 0005
Revises: 0004
"""

# ruff: noqa: S608 (fixed fragments; no value comes from outside)

from __future__ import annotations

from collections.abc import Callable

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_SUBTYPES = ("CPH", "IVH", "SDH", "EDH", "SAH")


def upgrade() -> None:
    """Create the views; no table changes."""
    on_sqlite = op.get_bind().dialect.name == "sqlite"
    seconds = _seconds_on_sqlite if on_sqlite else _seconds_on_postgresql
    probability = _probability_on_sqlite if on_sqlite else _probability_on_postgresql
    for name, select in (
        ("v_studies", _studies(probability)),
        ("v_series", _series(probability)),
        ("v_slices", _slices(probability)),
        ("v_turnaround", _turnaround(seconds)),
        ("v_deliveries", _deliveries(seconds)),
        ("v_feedback", _FEEDBACK),
        ("v_escalations", _ESCALATIONS),
        ("v_refusals", _REFUSALS),
        ("v_scanner_days", _SCANNER_DAYS),
    ):
        op.execute(f"CREATE VIEW {name} AS {select}")


def downgrade() -> None:
    """Drop them; what they show stays in the tables."""
    for name in (
        "v_scanner_days",
        "v_refusals",
        "v_escalations",
        "v_feedback",
        "v_deliveries",
        "v_turnaround",
        "v_slices",
        "v_series",
        "v_studies",
    ):
        op.execute(f"DROP VIEW {name}")


def _seconds_on_sqlite(since: str, until: str) -> str:
    return f"round((julianday({until}) - julianday({since})) * 86400.0, 3)"


def _seconds_on_postgresql(since: str, until: str) -> str:
    return f"round(CAST(extract(epoch FROM {until} - {since}) AS numeric), 3)::double precision"


def _probability_on_sqlite(column: str, subtype: str) -> str:
    return f"json_extract({column}, '$.{subtype}')"


def _probability_on_postgresql(column: str, subtype: str) -> str:
    return f"({column} ->> '{subtype}')::double precision"


Seconds = Callable[[str, str], str]
Probability = Callable[[str, str], str]


def _subtypes(probability: Probability, column: str) -> str:
    return ", ".join(f"{probability(column, name)} AS {name.lower()}_probability" for name in _SUBTYPES)


def _studies(probability: Probability) -> str:
    return f"""
SELECT s.study_instance_uid, s.patient_id, s.patient_name, s.accession_number, s.study_date, s.study_time,
       s.study_description, s.state, s.reason, s.reason_detail, s.priority, s.flagged, s.ich_probability,
       {_subtypes(probability, "s.subtypes")},
       s.received_at, s.last_received_at, s.released_at, s.classified_at, s.forwarded_at,
       s.task_state, t.performer, t.taken_at, t.acknowledged_by, t.acknowledged_at, t.completed_by, t.completed_at
FROM studies s LEFT JOIN reader_tasks t ON t.study_id = s.id"""


def _series(probability: Probability) -> str:
    return f"""
SELECT s.study_instance_uid, e.series_instance_uid, e.modality, e.series_description, e.revision, e.state, e.reason,
       e.reason_detail, e.instance_count,
       (SELECT c.calling_ae_title FROM series_associations sa
        JOIN associations c ON c.association_id = sa.association_id
        WHERE sa.series_id = e.id ORDER BY sa.revision DESC, c.opened_at DESC LIMIT 1) AS calling_ae_title,
       e.revision_opened_at, e.last_received_at, e.closed_at, e.ended_at,
       a.flagged, a.ich_probability, {_subtypes(probability, "a.subtypes")},
       a.model_name, a.model_version, a.operating_point, a.operating_threshold, a.elapsed_ms, a.classified_at
FROM series e JOIN studies s ON s.id = e.study_id
LEFT JOIN analyses a ON a.series_id = e.id AND a.revision = e.revision"""


def _slices(probability: Probability) -> str:
    return f"""
SELECT s.study_instance_uid, e.series_instance_uid, a.revision, x.slice_index, x.sop_instance_uid, x.ich_probability,
       x.flagged, {_subtypes(probability, "x.subtypes")}
FROM slice_scores x JOIN analyses a ON a.id = x.analysis_id JOIN series e ON e.id = a.series_id
JOIN studies s ON s.id = e.study_id"""


def _turnaround(seconds: Seconds) -> str:
    # A revision that slices opened was opened before its last slice; one opened to read the same slices again, after it.
    return f"""
SELECT s.study_instance_uid, e.series_instance_uid, a.revision, a.flagged, s.received_at,
       e.last_received_at AS last_slice_at, e.closed_at, a.classified_at, s.forwarded_at, t.acknowledged_at,
       t.completed_at,
       {seconds("e.last_received_at", "e.closed_at")} AS slice_to_close_s,
       {seconds("e.last_received_at", "a.classified_at")} AS slice_to_flag_s,
       {seconds("a.classified_at", "s.forwarded_at")} AS flag_to_forward_s,
       {seconds("a.classified_at", "t.acknowledged_at")} AS flag_to_acknowledge_s,
       {seconds("a.classified_at", "t.completed_at")} AS flag_to_complete_s
FROM studies s JOIN series e ON e.study_id = s.id
JOIN analyses a ON a.series_id = e.id AND a.revision = e.revision AND a.classified_at = s.classified_at
LEFT JOIN reader_tasks t ON t.study_id = s.id
WHERE e.revision_opened_at <= e.last_received_at"""


def _deliveries(seconds: Seconds) -> str:
    return f"""
SELECT d.id AS delivery_id, s.study_instance_uid, e.series_instance_uid, v.revision, v.kind, v.number,
       v.sop_instance_uid, d.destination, d.state, d.attempts, d.due_since,
       CASE WHEN d.state = 'DUE' THEN d.next_attempt_at END AS next_attempt_at, d.sent_at,
       {seconds("d.due_since", "d.sent_at")} AS due_to_sent_s, d.status_code, d.detail, d.warned, d.commitment,
       d.committed_at
FROM deliveries d JOIN evidence v ON v.id = d.evidence_id JOIN series e ON e.id = v.series_id
JOIN studies s ON s.id = e.study_id"""


_FEEDBACK = """
SELECT s.study_instance_uid, f.revision, f.finding, f.present, f.verdict, f.comment, f.reader, f.given_at,
       CASE WHEN f.verdict = 'AGREE' THEN f.present ELSE NOT f.present END AS present_by_reader,
       NOT EXISTS (SELECT 1 FROM feedback later WHERE later.study_id = f.study_id AND later.finding = f.finding
                   AND later.reader = f.reader AND later.id > f.id) AS is_latest_of_reader,
       NOT EXISTS (SELECT 1 FROM feedback later WHERE later.study_id = f.study_id AND later.finding = f.finding
                   AND later.id > f.id) AS is_latest
FROM feedback f JOIN studies s ON s.id = f.study_id"""

_ESCALATIONS = """
SELECT s.study_instance_uid, x.step, x.state, x.due_at, x.attempts, x.ended_at, x.detail
FROM escalations x JOIN studies s ON s.id = x.study_id"""

_REFUSALS = """
SELECT o.observed_at, o.observed_on, o.calling_ae_title, o.station_name, o.outcome AS reason
FROM observations o WHERE o.counted AND o.outcome <> 'READ'"""

_SCANNER_DAYS = """
SELECT o.observed_on, o.calling_ae_title, o.station_name, count(*) AS series_count,
       sum(CASE WHEN o.outcome = 'READ' THEN 1 ELSE 0 END) AS read_count,
       sum(CASE WHEN o.flagged THEN 1 ELSE 0 END) AS flagged_count,
       sum(CASE WHEN o.outcome <> 'READ' THEN 1 ELSE 0 END) AS refused_count,
       max(o.observed_at) AS last_observed_at
FROM observations o WHERE o.counted GROUP BY o.observed_on, o.calling_ae_title, o.station_name"""
