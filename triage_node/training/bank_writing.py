"""Writes a bank scan by scan, so that hours of reading are not lost to a kill.

In: what the scans are made from, and what makes them. Out: a whole bank, or the beginning of one with a journal of what it
holds; the next call that is given the same works goes on behind it.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from triage_node.cascade.preprocessing import INPUT_SIZE
from triage_node.core.errors import ConfigurationRejected
from triage_node.core.finding import SUBTYPES
from triage_node.training.slice_bank import INDEX_NAME, LABELS_NAME, MASK_SIZE, MASKS_NAME, VOLUMES_NAME, BankedScan

_JOURNAL_NAME = "written.jsonl"
_VOLUME_BYTES = INPUT_SIZE * INPUT_SIZE * 2
_MASK_BYTES = len(SUBTYPES) * MASK_SIZE * MASK_SIZE

_Entry = dict[str, Any]


def write_bank(
    folder: Path,
    works: Sequence[str],
    made: Callable[[int], Iterable[Sequence[BankedScan]]],
    made_by: Mapping[str, Any] | None = None,
) -> None:
    """Write a bank, from the work on at which an earlier call was cut off; works without any scan make no bank.

    Parameters
    ----------
    folder
        Of this bank alone.
    works
        The names of what each lot of scans is made from. What others began is written anew.
    made
        Makes the lots of scans from the work of this number on, in order.
    made_by
        The settings that made-up scans came from, kept to be compared.

    Raises
    ------
    ConfigurationRejected
        A scan cannot be used; nothing is left. Whatever else is raised leaves the beginning of a bank.
    """
    try:
        _write(folder, works, made, dict(made_by or {}))
    except ConfigurationRejected:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _write(
    folder: Path,
    works: Sequence[str],
    made: Callable[[int], Iterable[Sequence[BankedScan]]],
    made_by: Mapping[str, Any],
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / INDEX_NAME).unlink(missing_ok=True)
    heading = hashlib.sha256(json.dumps([made_by, list(works)]).encode()).hexdigest()
    lots = _begun(folder, heading)
    entries = [entry for lot in lots for entry in lot]
    slices, masked = _counts(entries)
    with (
        (folder / VOLUMES_NAME).open("ab") as volumes,
        (folder / MASKS_NAME).open("ab") as masks,
        (folder / _JOURNAL_NAME).open("w", encoding="utf-8") as journal,
    ):
        volumes.truncate(slices * _VOLUME_BYTES)
        masks.truncate(masked * _MASK_BYTES)
        journal.writelines(json.dumps(line) + "\n" for line in (heading, *lots))
        for scans in made(len(lots)):
            lot = []
            for scan in scans:
                lot.append(_entry(scan, slices, masked))
                volumes.write(np.ascontiguousarray(scan.volume_hu, dtype="<i2").tobytes())
                slices += len(scan.volume_hu)
                if scan.masks is not None:
                    masks.write(np.ascontiguousarray(scan.masks).tobytes())
                    masked += len(scan.masks)
            volumes.flush()
            masks.flush()
            journal.write(json.dumps(lot) + "\n")  # last: it tells of nothing that is not there
            journal.flush()
            entries += lot
    if entries:
        _complete(folder, entries, made_by)
    else:
        shutil.rmtree(folder)


def _entry(scan: BankedScan, start: int, first_mask: int) -> _Entry:
    """What the journal holds of a scan: its line of the index, and its labels."""
    return {
        "scan": scan.scan,
        "subject": scan.subject,
        "kind": scan.kind,
        "start": start,
        "stop": start + len(scan.volume_hu),
        "first_mask": None if scan.masks is None else first_mask,
        "subject_labels": [None if np.isnan(value) else float(value) for value in scan.subject_labels],
        "slice_ids": list(scan.slice_ids),
        "labels": scan.labels.tolist(),
    }


def _begun(folder: Path, heading: str) -> list[list[_Entry]]:
    """The lots that an earlier call wrote whole; none where it was given other works."""
    try:
        lines = (folder / _JOURNAL_NAME).read_text(encoding="utf-8").splitlines(keepends=True)
        whole = [json.loads(line) for line in lines if line.endswith("\n")]
        sizes = [(folder / name).stat().st_size for name in (VOLUMES_NAME, MASKS_NAME)]
    except (FileNotFoundError, ValueError):
        return []
    lots = whole[1:] if whole[:1] == [heading] else []
    slices, masked = _counts([entry for lot in lots for entry in lot])
    return lots if sizes[0] >= slices * _VOLUME_BYTES and sizes[1] >= masked * _MASK_BYTES else []


def _counts(entries: Sequence[_Entry]) -> tuple[int, int]:
    """Slices, and slices with masks."""
    lengths = [(entry["stop"] - entry["start"], entry["first_mask"] is not None) for entry in entries]
    return sum(length for length, _ in lengths), sum(length for length, has_masks in lengths if has_masks)


def _complete(folder: Path, entries: Sequence[_Entry], made_by: Mapping[str, Any]) -> None:
    """Write labels and index; the index is last, so that a bank with one is whole."""
    labels = [np.asarray(entry.pop("labels"), dtype=np.float32) for entry in entries]
    np.save(folder / LABELS_NAME, np.concatenate(labels))
    draft = folder / f"{INDEX_NAME}.new"
    draft.write_text(json.dumps({"made_by": made_by, "scans": entries}), encoding="utf-8")
    os.replace(draft, folder / INDEX_NAME)
    (folder / _JOURNAL_NAME).unlink()
