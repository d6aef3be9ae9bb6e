"""Values in addresses, checked before they go anywhere."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path

Uid = Annotated[str, Path(pattern=r"^[0-9.]+$", max_length=64)]
"""A UID as part of a path; what is none never reaches the database (PS3.5 9.1)."""
