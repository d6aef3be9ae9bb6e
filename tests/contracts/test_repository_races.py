"""StudyRepository: several threads at once, each with a connection of its own, as processes would have."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from triage_node.core.ports import AssociationPeer, StudyRepository

T = TypeVar("T")


def at_once(tasks: list[Callable[[], T]], threads: int = 8) -> list[T]:
    """Start all together and return what they return; the first error is raised."""
    with ThreadPoolExecutor(threads) as pool:
        barrier = threading.Barrier(min(threads, len(tasks)))

        def run(index: int, task: Callable[[], T]) -> T:
            if index < barrier.parties:
                barrier.wait(timeout=30)
            return task()

        futures = [pool.submit(run, index, task) for index, task in enumerate(tasks)]
        return [future.result(timeout=60) for future in futures]


def test_one_of_many_closes_a_series(repository: StudyRepository, site: Any) -> None:
    series_id = site.arrive()
    won = at_once([lambda: repository.close_series(series_id, 1, site.at(10))] * 8)
    assert sorted(won) == [False] * 7 + [True]


def test_one_of_many_claims_a_series(repository: StudyRepository, site: Any) -> None:
    series_id = site.closed()
    won = at_once([lambda: repository.claim(series_id, 1, now=site.at(11), lease_s=60)] * 8)
    assert sorted(won) == [False] * 7 + [True]
    assert site.series(series_id)["claims"] == 1


def test_one_of_many_claims_a_delivery(repository: StudyRepository, site: Any) -> None:
    site.evidenced()
    study_id = site.study()["study_id"]
    claim = lambda: repository.claim_deliveries(study_id, str(site.pacs), now=site.at(14), lease_s=60)  # noqa: E731
    assert sum(batch is not None for batch in at_once([claim] * 8)) == 1


def test_two_hundred_batches_at_once_lose_and_double_nothing(repository: StudyRepository, site: Any) -> None:
    """Four SCP processes, each with slices of all studies in an order of its own, every slice sent twice."""
    batches = [
        [
            site.instance((start + step) % 4, 1 + step % 2, start * 3 + step % 3, association=f"a{start % 5}")
            for step in range(6)
        ]
        for start in range(100)
    ]
    expected = {each.header.sop_instance_uid for batch in batches for each in batch}
    at_once([lambda batch=batch: repository.add_instances(batch) for batch in (*batches, *reversed(batches))])
    indexed: list[str] = []
    for series in repository.open_series():
        record = repository.series(series.series_id)
        uids = [header.sop_instance_uid for header, _ in record.instances]
        assert record.revision == 1
        assert site.series(series.series_id, int(record.study_instance_uid.split(".")[-1]))["instance_count"] == len(
            uids
        )
        indexed += uids
    assert len(indexed) == len(set(indexed))
    assert set(indexed) == expected


def test_studies_locked_in_opposite_orders_do_not_block_each_other(repository: StudyRepository, site: Any) -> None:
    def batch(first: int, second: int, number: int) -> Callable[[], None]:
        stored = [site.instance(study, 1, number, association=f"x{number % 3}") for study in (first, second)]
        return lambda: repository.add_instances(stored)

    def end(number: int) -> Callable[[], None]:
        peer = AssociationPeer(f"x{number % 3}", "SCANNER", "TRIAGE", "10.0.0.7")

        def run() -> None:
            repository.open_association(peer, site.at(0))
            repository.end_association(peer.association_id, site.at(5), aborted=False)

        return run

    steps = [batch(1, 2, n) if n % 2 else batch(2, 1, n) for n in range(40)] + [end(n) for n in range(3)]
    at_once(steps)
    assert [site.study(study)["series"][0]["instance_count"] for study in (1, 2)] == [40, 40]


def test_a_late_slice_and_the_end_of_the_path_meet(repository: StudyRepository, site: Any) -> None:
    """Whatever comes first, the study ends in one state with one story, and no slice is lost."""
    for study in range(1, 6):
        series_id = site.evidenced(study)
        at_once([lambda study=study: site.arrive(study, 1, [99]), lambda study=study: site.deliver(study)])
        assert site.state(series_id, study) == ("RECEIVING", 2)
        assert site.series(series_id, study)["instance_count"] == 4
        assert {each["state"] for each in repository.deliveries(limit=2)} == {"SENT"}
