"""Add what people do with studies: search, users, sessions, tokens, audit trail, reading tasks, feedback, escalations.

Revision ID: 0004
Revises: 0003
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from triage_node.core.reader_task import workitem_uid
from triage_node.core.search_terms import LONGEST_TERM, study_terms

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TIME = sa.DateTime(timezone=True)
_BATCH = 5000


def upgrade() -> None:
    """Make the tables; every study that is there waits for its reader."""
    _extend_studies()
    _create_search_terms()
    _create_accounts()
    _create_reading()


def _extend_studies() -> None:
    # Defaults instead of a batch: SQLite would make the table anew, and dropping the old one would cascade to all series.
    for column in (
        sa.Column("urgency", sa.Integer(), nullable=False, server_default="2"),
        sa.Column("task_state", sa.String(16), nullable=False, server_default="SCHEDULED"),
        sa.Column("workitem_uid", sa.String(64), nullable=False, server_default=""),
        sa.Column("changed_at", _TIME, nullable=False, server_default="1970-01-01 00:00:00"),
        sa.Column("flagged_at", _TIME, nullable=True),
    ):
        op.add_column("studies", column)
    studies = sa.table(
        "studies",
        sa.column("id", sa.BigInteger),
        sa.column("study_instance_uid", sa.String),
        sa.column("priority", sa.String),
        sa.column("last_received_at", _TIME),
        sa.column("urgency", sa.Integer),
        sa.column("task_state", sa.String),
        sa.column("workitem_uid", sa.String),
        sa.column("changed_at", _TIME),
        sa.column("flagged", sa.Boolean),
        sa.column("classified_at", _TIME),
        sa.column("flagged_at", _TIME),
    )
    connection = op.get_bind()
    rank = sa.case((studies.c.priority == "STAT", 0), (studies.c.priority == "HIGH", 1), else_=2)
    connection.execute(sa.update(studies).values(urgency=rank, changed_at=studies.c.last_received_at))
    connection.execute(sa.update(studies).where(studies.c.flagged).values(flagged_at=studies.c.classified_at))
    _name_workitems(connection, studies)
    op.create_index(op.f("ix_studies_workitem_uid"), "studies", ["workitem_uid"], unique=True)
    order = ["task_state", "urgency", "received_at", "id"]
    op.create_index(op.f(f"ix_studies_{'_'.join(order)}"), "studies", order)
    op.create_index(op.f("ix_studies_changed_at"), "studies", ["changed_at"])
    op.create_index(op.f("ix_studies_flagged_at"), "studies", ["flagged_at"])
    op.create_index(op.f("ix_studies_study_date"), "studies", ["study_date"])
    op.create_index(op.f("ix_studies_task_state_received_at_id"), "studies", ["task_state", "received_at", "id"])
    op.drop_index(op.f("ix_studies_state"), "studies")
    for first in ("state", "reason"):
        op.create_index(op.f(f"ix_studies_{first}_{'_'.join(order)}"), "studies", [first, *order])


def _create_search_terms() -> None:
    term = sa.String(LONGEST_TERM).with_variant(sa.String(LONGEST_TERM, collation="C"), "postgresql")
    op.create_table(
        "search_terms",
        sa.Column("term", term, nullable=False),
        sa.Column("study_id", _ROW_ID, nullable=False),
        sa.PrimaryKeyConstraint("term", "study_id", name=op.f("pk_search_terms")),
        sa.ForeignKeyConstraint(
            ["study_id"], ["studies.id"], name=op.f("fk_search_terms_study_id_studies"), ondelete="CASCADE"
        ),
    )
    op.create_index(op.f("ix_search_terms_study_id"), "search_terms", ["study_id"])
    _index_terms(op.get_bind())


def _index_terms(connection: sa.Connection) -> None:
    """Find every study that is there under its words: small letters beyond ASCII are ours to make, not SQLite's."""
    names = ("id", "patient_name", "patient_id", "accession_number", "study_instance_uid")
    studies = sa.table("studies", *(sa.column(name) for name in names))
    terms = sa.table("search_terms", sa.column("term"), sa.column("study_id"))
    last = 0
    while True:
        found = connection.execute(
            sa.select(*studies.c).where(studies.c.id > last).order_by(studies.c.id).limit(_BATCH)
        ).all()
        if not found:
            return
        rows = [{"term": term, "study_id": row.id} for row in found for term in study_terms(*row[1:])]
        connection.execute(sa.insert(terms), rows)
        last = found[-1].id


def _name_workitems(connection: sa.Connection, studies: sa.TableClause) -> None:
    """Derived UIDs are ours to compute: no database can."""
    name = sa.update(studies).where(studies.c.id == sa.bindparam("study")).values(workitem_uid=sa.bindparam("named"))
    last = 0
    while True:
        found = connection.execute(
            sa.select(studies.c.id, studies.c.study_instance_uid)
            .where(studies.c.id > last)
            .order_by(studies.c.id)
            .limit(_BATCH)
        ).all()
        if not found:
            return
        connection.execute(name, [{"study": row.id, "named": workitem_uid(row.study_instance_uid)} for row in found])
        last = found[-1].id


def _create_accounts() -> None:
    op.create_table(
        "users",
        sa.Column("id", _ROW_ID, nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("password_hash", sa.String(), nullable=True),
        sa.Column("must_change_password", sa.Boolean(), nullable=False),
        sa.Column("disabled", sa.Boolean(), nullable=False),
        sa.Column("failed_sign_ins", sa.Integer(), nullable=False),
        sa.Column("locked_until", _TIME, nullable=True),
        sa.Column("subject", sa.String(500), nullable=True),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("signed_in_at", _TIME, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        sa.UniqueConstraint("name", name=op.f("uq_users_name")),
        sa.UniqueConstraint("subject", name=op.f("uq_users_subject")),
    )
    op.create_table(
        "web_sessions",
        sa.Column("token_sha256", sa.String(64), nullable=False),
        sa.Column("user_id", _ROW_ID, nullable=False),
        sa.Column("csrf_token", sa.String(64), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("seen_at", _TIME, nullable=False),
        sa.Column("expires_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("token_sha256", name=op.f("pk_web_sessions")),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_web_sessions_user_id_users"), ondelete="CASCADE"
        ),
    )
    op.create_index(op.f("ix_web_sessions_user_id"), "web_sessions", ["user_id"])
    op.create_index(op.f("ix_web_sessions_expires_at"), "web_sessions", ["expires_at"])
    op.create_table(
        "api_tokens",
        sa.Column("id", _ROW_ID, nullable=False),
        sa.Column("user_id", _ROW_ID, nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("token_sha256", sa.String(64), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("used_at", _TIME, nullable=True),
        sa.Column("expires_at", _TIME, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_tokens")),
        sa.UniqueConstraint("token_sha256", name=op.f("uq_api_tokens_token_sha256")),
        sa.UniqueConstraint("user_id", "name", name=op.f("uq_api_tokens_user_id_name")),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_api_tokens_user_id_users"), ondelete="CASCADE"
        ),
    )
    op.create_table(
        "audit_trail",
        sa.Column("id", _ROW_ID, nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("action", sa.String(32), nullable=False),
        sa.Column("study_instance_uid", sa.String(64), nullable=True),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_trail")),
    )
    op.create_index(op.f("ix_audit_trail_study_instance_uid_at"), "audit_trail", ["study_instance_uid", "at"])
    op.create_index(op.f("ix_audit_trail_at"), "audit_trail", ["at"])
    op.create_index(op.f("ix_audit_trail_actor_at"), "audit_trail", ["actor", "at"])


def _create_reading() -> None:
    op.create_table(
        "reader_tasks",
        sa.Column("study_id", _ROW_ID, nullable=False),
        sa.Column("acknowledged_by", sa.String(), nullable=True),
        sa.Column("acknowledged_at", _TIME, nullable=True),
        sa.Column("performer", sa.String(), nullable=True),
        sa.Column("transaction_uid", sa.String(64), nullable=True),
        sa.Column("taken_at", _TIME, nullable=True),
        sa.Column("progress", sa.JSON(), nullable=True),
        sa.Column("completed_by", sa.String(), nullable=True),
        sa.Column("completed_at", _TIME, nullable=True),
        sa.PrimaryKeyConstraint("study_id", name=op.f("pk_reader_tasks")),
        sa.ForeignKeyConstraint(
            ["study_id"], ["studies.id"], name=op.f("fk_reader_tasks_study_id_studies"), ondelete="CASCADE"
        ),
    )
    op.create_table(
        "feedback",
        sa.Column("id", _ROW_ID, nullable=False),
        sa.Column("study_id", _ROW_ID, nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("finding", sa.String(8), nullable=False),
        sa.Column("present", sa.Boolean(), nullable=False),
        sa.Column("verdict", sa.String(16), nullable=False),
        sa.Column("comment", sa.String(), nullable=False),
        sa.Column("reader", sa.String(), nullable=False),
        sa.Column("given_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_feedback")),
        sa.ForeignKeyConstraint(
            ["study_id"], ["studies.id"], name=op.f("fk_feedback_study_id_studies"), ondelete="CASCADE"
        ),
    )
    op.create_index(op.f("ix_feedback_study_id"), "feedback", ["study_id"])
    op.create_index(op.f("ix_feedback_given_at"), "feedback", ["given_at"])
    op.create_table(
        "escalations",
        sa.Column("id", _ROW_ID, nullable=False),
        sa.Column("study_id", _ROW_ID, nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("flagged_at", _TIME, nullable=False),
        sa.Column("due_at", _TIME, nullable=False),
        sa.Column("next_attempt_at", _TIME, nullable=False),
        sa.Column("leased_until", _TIME, nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("ended_at", _TIME, nullable=True),
        sa.Column("detail", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_escalations")),
        sa.UniqueConstraint("study_id", "step", "flagged_at", name=op.f("uq_escalations_study_id_step_flagged_at")),
        sa.ForeignKeyConstraint(
            ["study_id"], ["studies.id"], name=op.f("fk_escalations_study_id_studies"), ondelete="CASCADE"
        ),
    )
    op.create_index(op.f("ix_escalations_state_next_attempt_at"), "escalations", ["state", "next_attempt_at"])


def downgrade() -> None:
    """Take it away, with everybody's accounts, what they said, and the audit trail."""
    for table in ("escalations", "feedback", "reader_tasks", "audit_trail", "api_tokens", "web_sessions", "users"):
        op.drop_table(table)
    op.drop_table("search_terms")
    order = "task_state_urgency_received_at_id"
    for first in ("state", "reason"):
        op.drop_index(op.f(f"ix_studies_{first}_{order}"), "studies")
    op.drop_index(op.f("ix_studies_task_state_received_at_id"), "studies")
    op.create_index(op.f("ix_studies_state"), "studies", ["state"])
    for name in (
        "ix_studies_study_date",
        "ix_studies_flagged_at",
        "ix_studies_changed_at",
        "ix_studies_task_state_urgency_received_at_id",
        "ix_studies_workitem_uid",
    ):
        op.drop_index(op.f(name), "studies")
    for name in ("flagged_at", "changed_at", "workitem_uid", "task_state", "urgency"):
        op.drop_column("studies", name)
