"""Where a long command writes: a place that cannot be written to is told before the work, and one that failed leaves nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from triage_node.core.errors import ConfigurationRejected


@contextmanager
def output_folder(folder: Path) -> Iterator[None]:
    """Make a folder for what the block writes; where the block fails, folders that were made and are empty go again.

    Raises
    ------
    ConfigurationRejected
        There is a file of that name, or nothing can be written there.
    """
    made = [each for each in (folder, *folder.parents) if not each.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationRejected(f"{folder} cannot be made a folder ({error.strerror}); name another one") from error
    if not os.access(folder, os.W_OK):
        raise ConfigurationRejected(
            f"{folder} cannot be written to; name another folder, or ask for the right to write"
        )
    try:
        yield
    except BaseException:
        for each in made:
            with suppress(OSError):  # it holds something after all
                each.rmdir()
        raise
