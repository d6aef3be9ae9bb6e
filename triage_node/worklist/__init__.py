"""The results database: what arrived, what was read, what was sent, and the worklist made from it."""
