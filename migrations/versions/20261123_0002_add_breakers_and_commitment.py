"""Add circuit breakers, warnings and storage commitment to the outbox; find instances by SOP Instance UID.

Revision ID: 0002
Revises: 0001
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Add what is new; deliveries that are there want no commitment."""
    op.create_table(
        "breakers",
        sa.Column("destination", sa.String(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("open_until", _TIME, nullable=True),
        sa.Column("probing_until", _TIME, nullable=True),
        sa.Column("failed_at", _TIME, nullable=True),
        sa.Column("detail", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("destination", name=op.f("pk_breakers")),
    )
    for column in (
        sa.Column("warned", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("commitment", sa.String(16), nullable=True),
        sa.Column("commitment_transaction_uid", sa.String(64), nullable=True),
        sa.Column("commitment_due_at", _TIME, nullable=True),
        sa.Column("committed_at", _TIME, nullable=True),
    ):
        op.add_column("deliveries", column)
    op.create_index(
        op.f("ix_deliveries_commitment_commitment_due_at"), "deliveries", ["commitment", "commitment_due_at"]
    )
    op.create_index(op.f("ix_deliveries_commitment_transaction_uid"), "deliveries", ["commitment_transaction_uid"])
    op.create_index(op.f("ix_instances_sop_instance_uid"), "instances", ["sop_instance_uid"])


def downgrade() -> None:
    """Take it away; what archives have committed to is forgotten."""
    op.drop_index(op.f("ix_instances_sop_instance_uid"), "instances")
    op.drop_index(op.f("ix_deliveries_commitment_transaction_uid"), "deliveries")
    op.drop_index(op.f("ix_deliveries_commitment_commitment_due_at"), "deliveries")
    with op.batch_alter_table("deliveries") as deliveries:
        for name in ("committed_at", "commitment_due_at", "commitment_transaction_uid", "commitment", "warned"):
            deliveries.drop_column(name)
    op.drop_table("breakers")
