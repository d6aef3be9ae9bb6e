"""Brings every scan, real and made up, to the network's grid once.

In: labelled scans and a plan of made-up ones. Out: a bank of each kind. Banks that are whole are kept, one that was cut off
goes on, and those of other scans or another plan are refused.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np

from triage_node.core.errors import ConfigurationRejected
from triage_node.phantom import GENERATION
from triage_node.training.bank_writing import write_bank
from triage_node.training.configuration import RunConfiguration
from triage_node.training.datasets import LabelledScan
from triage_node.training.encoder_training import Progress, Report
from triage_node.training.made_up import made_in_parallel, pasted_scans, phantom_scans, real_scans
from triage_node.training.slice_bank import BankedScan, SliceBank

_FIRST_PHANTOM_SEED = 5_000_000
_SEEDS_PER_HEAD = 1000

Work = TypeVar("Work")
MadeBy = Mapping[str, float]


def build_banks(
    scans: Sequence[LabelledScan], configuration: RunConfiguration, folder: Path, processes: int, report: Report
) -> None:
    """Bring every scan, real and made up, to the network's grid once; banks that are whole are kept.

    Raises
    ------
    ConfigurationRejected
        The bank that is there was made from other scans, from other labels of them, or by another plan.
    """
    plan = configuration.made_up
    pasted_by: MadeBy = {
        "pasted_per_head": plan.pasted_per_head,
        "pasted_least_rise_hu": plan.pasted_least_rise_hu,
        "seed": plan.seed,
        "generation": GENERATION,
    }
    phantom_by: MadeBy = {
        "phantoms": plan.phantoms,
        "phantom_size": plan.phantom_size,
        "seed": plan.seed,
        "generation": GENERATION,
    }
    _refuse_other_plan(folder / "pasted", pasted_by)
    _refuse_other_plan(folder / "phantom", phantom_by)
    _refuse_other_scans(folder / "real", scans)

    def build(
        kind: str,
        make: Callable[[Work], list[BankedScan]],
        works: Sequence[Work],
        names: Sequence[str],
        made_by: MadeBy | None = None,
    ) -> None:
        def made(first: int) -> Iterator[list[BankedScan]]:
            for number, lot in enumerate(made_in_parallel(make, works[first:], processes), start=first + 1):
                report(Progress("data", _TOLD_AS[kind], number, len(works), float("nan")))
                yield lot

        if works and not SliceBank.exists(folder / kind):
            write_bank(folder / kind, names, made, made_by)

    build("real", real_scans, list(scans), [_name(scan) for scan in scans])
    if plan.pasted_per_head:
        bloodless = [scan for scan in scans if scan.labels[0] == 0]
        heads = [
            (scan, plan.pasted_per_head, (plan.seed * 100_000 + index) * _SEEDS_PER_HEAD)
            for index, scan in enumerate(bloodless)
        ]
        paste = partial(pasted_scans, least_rise_hu=plan.pasted_least_rise_hu)
        build("pasted", paste, heads, [_name(scan) for scan in bloodless], pasted_by)
    seeds = [_FIRST_PHANTOM_SEED + plan.seed * 100_000 + index for index in range(plan.phantoms)]
    build(
        "phantom",
        phantom_scans,
        [(seed, plan.phantom_size) for seed in seeds],
        [str(seed) for seed in seeds],
        phantom_by,
    )


_TOLD_AS = {"real": "real scans", "pasted": "pasted blood", "phantom": "phantoms"}


def _name(scan: LabelledScan) -> str:
    """A name that no scan with other labels has."""
    slice_labels = b"" if scan.slice_labels is None else scan.slice_labels.tobytes()
    labels = hashlib.sha256(scan.labels.tobytes() + slice_labels).hexdigest()
    return f"{scan.source}/{scan.subject}/{scan.series}/{labels}"


def _refuse_other_scans(folder: Path, scans: Sequence[LabelledScan]) -> None:
    if not SliceBank.exists(folder):
        return
    bank = SliceBank(folder)
    same = bank.scans == [scan.series for scan in scans] and bank.subjects == [scan.subject for scan in scans]
    if not same or not np.array_equal(bank.subject_labels, [scan.labels for scan in scans], equal_nan=True):
        raise ConfigurationRejected(
            f"{bank.folder} was made from other scans or labels than those of the data; name the data it was made from, "
            "or give another --out or --banks"
        )


def _refuse_other_plan(folder: Path, plan: MadeBy) -> None:
    """A bank of other made-up scans would be trained on, while the model card describes those of the plan."""
    if not SliceBank.exists(folder):
        return
    made_by = SliceBank(folder).made_by
    for name, wanted in plan.items():
        if made_by.get(name) != wanted:
            raise ConfigurationRejected(
                f"{folder} was made with {name} = {made_by.get(name, 'unknown')} and {wanted} is wanted now; "
                "delete the folder, or give another --out or --banks"
            )
