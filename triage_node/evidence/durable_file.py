"""Write a DICOM object, or a message, so that it is either wholly on disk or not there at all.

In: an object and a folder. Out: the path. Answers to PS3.10 7 (DICOM File Format).
"""

from __future__ import annotations

import io
import os
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset

from triage_node.core.errors import Defect


def write_durably(dataset: Dataset, path: Path) -> None:
    """Write an object as ``write_bytes_durably`` does, and read it back.

    Raises
    ------
    Defect
        What was read back is not what was written.
    """
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    write_bytes_durably(buffer.getvalue(), path)
    _check(dataset, path)


def write_bytes_durably(content: bytes, path: Path) -> None:
    """Write to a temporary neighbour, fsync, rename; the caller fsyncs the folder once for all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _check(dataset: Dataset, path: Path) -> None:
    """Compare every element with what a reader of the file finds."""
    found = dcmread(path)
    expected = {element.tag for element in dataset}
    missing = expected ^ {element.tag for element in found}
    differing = [element.keyword for element in dataset if element.tag not in missing and found[element.tag] != element]
    if missing or differing:
        names = ", ".join([*(str(tag) for tag in sorted(missing)), *differing])
        raise Defect(f"{path.name} does not read back as it was written: {names}")


def fsync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
