"""arrival."""
