"""triage_node."""
