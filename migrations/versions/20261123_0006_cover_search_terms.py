"""Let an index answer whether a study has a term: a search for a common word asks that of thousands of studies in turn.

Revision ID: 0006
Revises: 0005
"""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Put the term beside the study; the new index does what the old one did, too."""
    op.create_index(op.f("ix_search_terms_study_id_term"), "search_terms", ["study_id", "term"])
    op.drop_index(op.f("ix_search_terms_study_id"), "search_terms")


def downgrade() -> None:
    """Go back to the smaller index."""
    op.create_index(op.f("ix_search_terms_study_id"), "search_terms", ["study_id"])
    op.drop_index(op.f("ix_search_terms_study_id_term"), "search_terms")
