"""Results laid out for the terminal: the worklist, one study, the outbox."""
