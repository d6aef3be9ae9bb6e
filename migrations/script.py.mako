"""${message}.

Revision ID: ${up_revision}
Revises: ${down_revision | comma,n}
Create Date: ${create_date}
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
${imports if imports else ""}
revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = ${repr(branch_labels)}
depends_on = ${repr(depends_on)}


def upgrade() -> None:
    """Say what changes, and why it is safe while the previous release is still running."""
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:
    """Say what is lost."""
    ${downgrades if downgrades else "pass"}
