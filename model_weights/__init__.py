"""Releases of the cascade; they travel in the wheel as ``triage_node.model_weights``."""
