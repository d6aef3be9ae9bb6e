"""The text file ``model_weights/active``: the release in use on its first line, the one before it on its second.

In: a folder of releases. Out: names, as they were written. Read without torch, by processes that never load a network.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

ACTIVE_NAME = "active"


def active_names(model_weights: Path) -> list[str]:
    """Return the active release and the one before it, as far as the file names them.

    Raises
    ------
    OSError
        The file cannot be read.
    UnicodeDecodeError
        It is no text.
    """
    lines = (model_weights / ACTIVE_NAME).read_text(encoding="utf-8").splitlines()
    return [line.strip() for line in lines if line.strip()]


def write_active_names(model_weights: Path, names: Sequence[str]) -> None:
    """Write the file whole or not at all."""
    path = model_weights / ACTIVE_NAME
    draft = path.with_suffix(".new")
    draft.write_text("".join(f"{name}\n" for name in names), encoding="utf-8")
    os.replace(draft, path)
