"""Alembic scripts of the results database; they travel in the wheel as ``triage_node.migrations``."""
