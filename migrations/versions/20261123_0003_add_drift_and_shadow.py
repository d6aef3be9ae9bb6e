"""Add what drift is counted from, its baselines and alarms, and the readings of a release in the shadow.

Revision ID: 0003
Revises: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TIME = sa.DateTime(timezone=True)
_SERIES = ["series.id"]


def upgrade() -> None:
    """Make the tables; counting starts now."""
    _create_observations()
    _create_charts()
    op.create_table(
        "shadow_analyses",
        sa.Column("id", _ROW_ID, nullable=False),
        sa.Column("series_id", _ROW_ID, nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("ich_probability", sa.Double(), nullable=False),
        sa.Column("flagged", sa.Boolean(), nullable=False),
        sa.Column("subtypes", sa.JSON(), nullable=True),
        sa.Column("slices", sa.JSON(), nullable=False),
        sa.Column("model_name", sa.String(), nullable=False),
        sa.Column("model_version", sa.String(), nullable=False),
        sa.Column("weights_sha256", sa.String(64), nullable=False),
        sa.Column("operating_point", sa.String(), nullable=False),
        sa.Column("operating_threshold", sa.Double(), nullable=False),
        sa.Column("elapsed_ms", sa.Double(), nullable=False),
        sa.Column("read_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shadow_analyses")),
        sa.UniqueConstraint(
            "series_id", "revision", "model_name", name=op.f("uq_shadow_analyses_series_id_revision_model_name")
        ),
        sa.ForeignKeyConstraint(
            ["series_id"], _SERIES, name=op.f("fk_shadow_analyses_series_id_series"), ondelete="CASCADE"
        ),
    )
    op.create_index(op.f("ix_shadow_analyses_model_name_read_at"), "shadow_analyses", ["model_name", "read_at"])


def _create_observations() -> None:
    op.create_table(
        "observations",
        sa.Column("id", _ROW_ID, nullable=False),
        sa.Column("series_id", _ROW_ID, nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("outcome", sa.String(32), nullable=False),
        sa.Column("counted", sa.Boolean(), nullable=False),
        sa.Column("observed_at", _TIME, nullable=False),
        sa.Column("observed_on", sa.Date(), nullable=False),
        sa.Column("calling_ae_title", sa.String(), nullable=False),
        sa.Column("station_name", sa.String(), nullable=False),
        sa.Column("model_name", sa.String(), nullable=True),
        sa.Column("operating_point", sa.String(), nullable=True),
        sa.Column("ich_probability", sa.Double(), nullable=True),
        sa.Column("score_bin", sa.Integer(), nullable=True),
        sa.Column("flagged", sa.Boolean(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_observations")),
        sa.UniqueConstraint(
            "series_id", "revision", "outcome", name=op.f("uq_observations_series_id_revision_outcome")
        ),
        sa.ForeignKeyConstraint(
            ["series_id"], _SERIES, name=op.f("fk_observations_series_id_series"), ondelete="SET NULL"
        ),
    )
    for columns in (
        ["observed_on"],
        ["calling_ae_title", "station_name", "outcome", "flagged"],
        ["calling_ae_title", "station_name", "id"],
        ["model_name", "operating_point", "id"],
    ):
        op.create_index(op.f(f"ix_observations_{'_'.join(columns)}"), "observations", columns)


def _create_charts() -> None:
    scanner = ("calling_ae_title", "station_name")
    op.create_table(
        "drift_baselines",
        *(sa.Column(name, sa.String(), nullable=False) for name in scanner),
        sa.Column("after_observation_id", sa.BigInteger(), nullable=False),
        sa.Column("accepted_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint(*scanner, name=op.f("pk_drift_baselines")),
    )
    op.create_table(
        "drift_alarms",
        sa.Column("id", _ROW_ID, nullable=False),
        *(sa.Column(name, sa.String(), nullable=False) for name in scanner),
        sa.Column("measure", sa.String(16), nullable=False),
        sa.Column("direction", sa.String(8), nullable=False),
        sa.Column("since", _TIME, nullable=False),
        sa.Column("noticed_at", _TIME, nullable=False),
        sa.Column("cleared_at", _TIME, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_drift_alarms")),
        sa.UniqueConstraint(*scanner, "measure", "direction", "since", name=op.f("uq_drift_alarms_since")),
    )


def downgrade() -> None:
    """Take it away, with all that was counted."""
    for table in ("shadow_analyses", "drift_alarms", "drift_baselines", "observations"):
        op.drop_table(table)
