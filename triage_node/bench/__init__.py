"""``triage-node bench``: how long the node takes, measured on real processes. Never a test: a machine is as fast as it is."""
