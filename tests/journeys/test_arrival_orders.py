"""However the slices of a series arrive, the series is one and is read once it is whole."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path

import pytest
from hospital.node import Node, Results
from hospital.pacs import Pacs
from hospital.scanner import Scanner
from hospital.studies import bleeding_head, coarse_head, head_study, study_uid
from hospital.waiting import wait_until
from pydicom.dataset import Dataset


def _read_once(results: Results, series: list[Dataset]) -> None:
    row = results.ended(study_uid(series))
    assert (row["state"], row["reason"]) == ("FORWARDED", None)
    found = results.only_series(study_uid(series))
    assert (found["revision"], found["instance_count"]) == (1, len(series))
    (revision,) = found["revisions"]
    assert [each["sop_instance_uid"] for each in revision["slices"]] == [each.SOPInstanceUID for each in series]


@pytest.mark.parametrize("seed", [1, 2])
def test_slices_in_random_order_without_instance_numbers(
    node: Node, results: Results, scanner: Scanner, seed: int
) -> None:
    series = head_study(coarse_head(), InstanceNumber=None)
    assert set(scanner.send(random.Random(seed).sample(series, len(series)))) == {0x0000}
    _read_once(results, series)


def test_two_series_interleaved_over_one_association(node: Node, results: Results, scanner: Scanner) -> None:
    one, other = head_study(coarse_head()), head_study(bleeding_head())
    shorter = min(len(one), len(other))
    mixed = [*chain.from_iterable(zip(one, other, strict=False)), *one[shorter:], *other[shorter:]]
    assert set(scanner.send(mixed)) == {0x0000}
    _read_once(results, one)
    _read_once(results, other)


def test_two_series_of_one_study_interleaved_are_read_as_the_better_one(
    node: Node, results: Results, scanner: Scanner
) -> None:
    soft = head_study(coarse_head())
    sharp = head_study(
        coarse_head(), StudyInstanceUID=study_uid(soft), ConvolutionKernel="H70h", SeriesDescription="HEAD 5.0 H70h"
    )
    scanner.send(chain.from_iterable(zip(sharp, soft, strict=True)))
    assert results.ended(study_uid(soft))["state"] == "FORWARDED"
    ended = {each["series_description"]: each["reason"] for each in results.study(study_uid(soft))["series"]}
    assert ended == {"HEAD 5.0 H31s": None, "HEAD 5.0 H70h": "BETTER_SERIES"}


def test_one_series_over_four_parallel_associations(node: Node, results: Results, scanner: Scanner) -> None:
    series = head_study(coarse_head())
    parts = [(Scanner(node.address, scanner.folder, f"CT{part}"), series[part::4]) for part in range(4)]
    with ThreadPoolExecutor(4) as pool:
        sent = pool.map(lambda part: part[0].send(part[1]), parts)
        assert set(chain.from_iterable(sent)) == {0x0000}
    _read_once(results, series)


def test_one_series_over_four_associations_one_after_the_other(node: Node, results: Results, scanner: Scanner) -> None:
    series = head_study(coarse_head())
    for part in range(4):
        assert set(scanner.send(series[part::4])) == {0x0000}
    _read_once(results, series)


def test_one_association_a_slice(node: Node, results: Results, scanner: Scanner) -> None:
    """Between two associations the series may look whole and be closed: then the slices after it make the next revision."""
    series = head_study(coarse_head())
    for dataset in series:
        assert scanner.send([dataset]) == [0x0000]
    row = results.ended_whole(study_uid(series), len(series))
    assert (row["state"], row["reason"]) == ("FORWARDED", None)
    revision = results.only_series(study_uid(series))["revisions"][-1]
    assert [each["sop_instance_uid"] for each in revision["slices"]] == [each.SOPInstanceUID for each in series]


def test_late_slice_makes_a_second_report_that_names_the_first(
    node: Node, results: Results, scanner: Scanner, pacs: Pacs
) -> None:
    series = head_study(bleeding_head())
    scanner.send(series[:-1])
    assert results.ended(study_uid(series))["state"] == "FORWARDED"
    (first,) = pacs.of_modality(study_uid(series), "SR")

    assert scanner.send(series[-1:]) == [0x0000]
    wait_until(lambda: len(pacs.of_modality(study_uid(series), "SR")) == 2, "a second report")
    assert results.ended(study_uid(series))["state"] == "FORWARDED"
    (second,) = [
        each for each in pacs.of_modality(study_uid(series), "SR") if each.SOPInstanceUID != first.SOPInstanceUID
    ]
    (predecessor_study,) = second.PredecessorDocumentsSequence
    (predecessor,) = predecessor_study.ReferencedSeriesSequence[0].ReferencedSOPSequence
    assert predecessor.ReferencedSOPInstanceUID == first.SOPInstanceUID
    found = results.only_series(study_uid(series))
    assert (found["revision"], len(found["revisions"][-1]["slices"])) == (2, len(series))
    assert results.row(study_uid(series))["priority"] == "STAT"  # type: ignore[index]
    assert pacs.times_arrived(study_uid(series)) == {1}


def test_sender_that_says_how_many_slices_come_is_believed(node: Node, results: Results, scanner: Scanner) -> None:
    """With the number given, a pause in the middle, longer than any settling, does not close half a series."""
    series = head_study(coarse_head())
    for dataset in series:
        dataset.NumberOfSeriesRelatedInstances = len(series)
    half = len(series) // 2
    scanner.send(series[:half])
    wait_until(lambda: results.row(study_uid(series)), "half of it is indexed")
    scanner.send(series[half:])
    _read_once(results, series)


def test_files_are_in_the_spool_by_series_and_instance(
    node: Node, results: Results, scanner: Scanner, tmp_path: Path
) -> None:
    series = head_study(coarse_head())
    scanner.send(series)
    results.ended(study_uid(series))
    folder = node.data_dir / "spool" / series[0].SeriesInstanceUID
    assert {path.stem for path in folder.glob("*.dcm")} == {str(each.SOPInstanceUID) for each in series}
    assert not list((node.data_dir / "spool" / "incoming").iterdir())
