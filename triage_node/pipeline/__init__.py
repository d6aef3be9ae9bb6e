"""The order of the path: close, choose, read, write evidence, forward. Sees only ``core.ports`` and ``core`` rules."""
