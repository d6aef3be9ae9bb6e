"""Banks that are cut off while they are written."""

from __future__ import annotations

import filecmp
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from triage_node.core.errors import ConfigurationRejected
from triage_node.training.bank_writing import write_bank
from triage_node.training.slice_bank import BankedScan, SliceBank

WORKS = ["a", "b", "c", "d"]


def lot(work: str) -> list[BankedScan]:
    """No scan of b, two of c; masks of all but d."""
    number = WORKS.index(work)
    made = []
    for copy in range({"b": 0, "c": 2}.get(work, 1)):
        labels = np.full((2 + number, 6), number % 2, dtype=np.float32)
        labels[0, 3] = np.nan
        volume_hu = np.full((2 + number, 256, 256), 10 * number + copy, dtype=np.int16)
        masks = None if work == "d" else np.full((2 + number, 5, 64, 64), number + copy, dtype=np.uint8)
        ids = tuple(map(str, range(2 + number)))
        made.append(BankedScan(f"{work}{copy}", work, "pasted", volume_hu, labels, labels.max(axis=0), masks, ids))
    return made


def made(first: int) -> Iterator[list[BankedScan]]:
    return map(lot, WORKS[first:])


def made_until(work: str, raised: BaseException) -> Callable[[int], Iterator[list[BankedScan]]]:
    def scans(first: int) -> Iterator[list[BankedScan]]:
        for each in WORKS[first:]:
            if each == work:
                raise raised
            yield lot(each)

    return scans


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    write_bank(tmp_path / "whole", WORKS, made, {"seed": 1})
    return tmp_path / "whole"


@pytest.fixture
def cut_off(tmp_path: Path) -> Path:
    """Ends before d."""
    with pytest.raises(KeyboardInterrupt):
        write_bank(tmp_path / "bank", WORKS, made_until("d", KeyboardInterrupt()), {"seed": 1})
    assert not SliceBank.exists(tmp_path / "bank")
    return tmp_path / "bank"


def assert_same(bank: Path, whole: Path) -> None:
    names = {path.name for path in whole.iterdir()}
    assert {path.name for path in bank.iterdir()} == names
    for name in names:
        assert filecmp.cmp(bank / name, whole / name, shallow=False), name


def test_bank_that_was_cut_off_goes_on_and_becomes_the_same(cut_off: Path, whole: Path) -> None:
    begun_at = []

    def rest(first: int) -> Iterator[list[BankedScan]]:
        begun_at.append(first)
        return made(first)

    write_bank(cut_off, WORKS, rest, {"seed": 1})
    assert begun_at == [3]
    assert_same(cut_off, whole)


def test_what_was_written_of_a_lot_that_was_cut_off_goes_again(cut_off: Path, whole: Path) -> None:
    with (cut_off / "volume_hu.raw").open("ab") as volumes:
        volumes.write(b"half a scan")
    with (cut_off / "written.jsonl").open("a") as journal:
        journal.write('[{"scan": "d')
    write_bank(cut_off, WORKS, made, {"seed": 1})
    assert_same(cut_off, whole)


def test_beginning_that_lost_voxels_is_written_anew(cut_off: Path, whole: Path) -> None:
    os.truncate(cut_off / "volume_hu.raw", 100)
    write_bank(cut_off, WORKS, made, {"seed": 1})
    assert_same(cut_off, whole)


@pytest.mark.parametrize(("works", "made_by"), [(["a", "b", "c", "other"], {"seed": 1}), (WORKS, {"seed": 2})])
def test_beginning_from_other_works_is_written_anew(cut_off: Path, works: list[str], made_by: dict[str, int]) -> None:
    write_bank(cut_off, works, lambda first: [lot("d")][first:], made_by)
    assert SliceBank(cut_off).scans == ["d0"]


def test_scan_that_cannot_be_used_leaves_nothing(cut_off: Path) -> None:
    with pytest.raises(ConfigurationRejected, match="unreadable"):
        write_bank(cut_off, WORKS, made_until("d", ConfigurationRejected("unreadable")), {"seed": 1})
    assert not cut_off.exists()


def test_works_without_scans_make_no_bank(tmp_path: Path) -> None:
    write_bank(tmp_path / "bank", ["b"], lambda _first: [lot("b")])
    assert not (tmp_path / "bank").exists()
