"""kill -9, a flushed Redis and a PACS that is down cost time, never a study, and nothing is sent twice."""

from __future__ import annotations

import contextlib
import os
import random
import re
import signal
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import psutil
import pytest
import redis
from hospital.node import PROCESSES, Node, Results
from hospital.pacs import Pacs
from hospital.scanner import Scanner
from hospital.studies import bleeding_head, coarse_head, head_study, plain_study, study_uid
from hospital.waiting import wait_until
from pydicom.dataset import Dataset


@pytest.fixture(autouse=True)
def _whole_again(node: Node) -> Iterator[None]:
    """Leave a node for the next test whose processes are all alive."""
    yield
    wait_until(lambda: set(node.results.alive()) >= PROCESSES, "all processes alive again", within_s=90)
    node.processes.family("up")


def _queue(node: Node) -> redis.Redis:
    """Connect to the node's private Redis, found as an operator would: by its process."""
    (server,) = [each for each in node.processes.family("up") if "redis-server" in each.name()]
    (path,) = re.findall(r"unixsocket:(\S+)", " ".join(server.cmdline()))
    return redis.Redis(unix_socket_path=path)


def test_study_ends_though_the_scp_is_killed_right_after_success(
    node: Node, results: Results, scanner: Scanner, pacs: Pacs
) -> None:
    series = head_study(coarse_head())
    scp = results.alive()["scp"]
    with scanner.association(series) as association:
        for dataset in series:
            assert association.store(dataset) == 0x0000
        os.kill(scp, signal.SIGKILL)
    node.restarted("scp", scp)
    row = results.ended_whole(study_uid(series), len(series))
    assert (row["state"], row["reason"]) == ("FORWARDED", None)
    record = results.only_series(study_uid(series))
    assert record["instance_count"] == len(series)
    # A restart slower than the quiet period finds slices that were not indexed in time: they open a further revision,
    # which may overtake the reading of the one before.
    reported = [each for each in record["revisions"] if each["evidence"]]
    assert len(pacs.of_modality(study_uid(series), "SR")) == len(reported)


def test_what_was_not_acknowledged_when_the_scp_died_can_be_sent_again(
    node: Node, results: Results, scanner: Scanner
) -> None:
    series = head_study(coarse_head())
    scp = results.alive()["scp"]
    with scanner.association(series) as association:
        for dataset in series[:10]:
            assert association.store(dataset) == 0x0000
        association.store_half(series[10])
        os.kill(scp, signal.SIGKILL)
    node.restarted("scp", scp)
    assert set(scanner.send(series)) == {0x0000}
    row = results.ended_whole(study_uid(series), len(series))
    assert (row["state"], row["reason"]) == ("FORWARDED", None)


def _claims(results: Results, series: list[Dataset]) -> int:
    return int(results.only_series(study_uid(series))["claims"])


def _killed_while_it_reads(results: Results, scanner: Scanner) -> tuple[int, list[Dataset]]:
    """Kill the worker while it has a study; on a busy machine one may be read before the test is told that it was begun."""
    for _ in range(5):
        series = head_study(bleeding_head())
        worker = psutil.Process(results.alive()["worker"])
        scanner.send(series)
        wait_until(partial(_claims, results, series), "a worker has the series", every_s=0.005)
        worker.suspend()
        if results.only_series(study_uid(series))["state"] in ("CLOSED", "CLASSIFIED"):
            worker.kill()
            return worker.pid, series
        worker.resume()
        results.ended(study_uid(series))
    pytest.fail("each of five studies was read before the worker could be stopped")


def test_series_is_read_once_though_its_worker_is_killed_while_it_reads(
    node: Node, results: Results, scanner: Scanner, pacs: Pacs
) -> None:
    worker, series = _killed_while_it_reads(results, scanner)
    node.restarted("worker", worker)
    row = results.ended(study_uid(series), within_s=90)
    assert (row["state"], row["flagged"]) == ("FORWARDED", True)
    assert results.only_series(study_uid(series))["claims"] == 2
    assert len(pacs.of_modality(study_uid(series), "SR")) == 1
    assert pacs.times_arrived(study_uid(series)) == {1}


def test_study_ends_though_redis_is_flushed_in_the_middle(
    node: Node, results: Results, scanner: Scanner, pacs: Pacs
) -> None:
    worker = psutil.Process(results.alive()["worker"])
    worker.suspend()  # the message is in the queue, and nobody takes it out
    try:
        series = head_study(coarse_head())
        scanner.send(series)
        wait_until(lambda: (results.row(study_uid(series)) or {}).get("state") == "CLOSED", "the series is closed")
        _queue(node).flushall()
    finally:
        worker.resume()
    assert results.ended(study_uid(series), within_s=90)["state"] == "FORWARDED"
    assert len(pacs.of_modality(study_uid(series), "SR")) == 1


def test_study_ends_though_redis_is_killed(node: Node, results: Results, scanner: Scanner) -> None:
    (server,) = [each for each in node.processes.family("up") if "redis-server" in each.name()]
    server.kill()
    series = head_study(coarse_head())
    assert set(scanner.send(series)) == {0x0000}
    assert results.ended(study_uid(series), within_s=90)["state"] == "FORWARDED"


def test_courier_killed_while_the_pacs_is_away_sends_everything_once(
    node: Node, results: Results, scanner: Scanner, pacs: Pacs
) -> None:
    pacs.stop()
    try:
        series = head_study(bleeding_head())
        scanner.send(series)
        wait_until(
            lambda: (results.row(study_uid(series)) or {}).get("state") == "EVIDENCED", "the evidence is written"
        )

        def put_off() -> bool:
            deliveries = results.only_series(study_uid(series))["revisions"][0]["evidence"][0]["deliveries"]
            return bool(deliveries[0]["attempts"] >= 1)

        wait_until(put_off, "a delivery was tried")
        assert not pacs.objects(study_uid(series))
        courier = results.alive()["courier"]
        os.kill(courier, signal.SIGKILL)
        node.restarted("courier", courier)
    finally:
        pacs.start()
    row = results.ended(study_uid(series), within_s=90)
    assert row["state"] == "FORWARDED"
    assert pacs.times_arrived(study_uid(series)) == {1}


def test_beat_killed_is_restarted_and_quiet_series_still_close(node: Node, results: Results, scanner: Scanner) -> None:
    beat = results.alive()["beat"]
    os.kill(beat, signal.SIGKILL)
    series = plain_study(5)
    scanner.send(series)
    assert results.ended(study_uid(series), within_s=90)["reason"] == "TOO_FEW_SLICES"
    node.restarted("beat", beat)


def _kill_at_random(results: Results, rng: random.Random, kills: int) -> None:
    for _ in range(kills):
        time.sleep(rng.uniform(0.2, 1.5))
        pid = results.alive().get(rng.choice(["scp", "worker", "courier", "beat"]))
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _send_until_acknowledged(scanner: Scanner, series: list[Dataset]) -> None:
    """Send what has no Success yet, again and again, as a scanner does."""
    left = list(series)

    def acknowledged() -> bool:
        statuses = scanner.send(left)
        left[:] = [dataset for dataset, status in zip(left, statuses, strict=True) if status != 0x0000]
        return not left

    wait_until(acknowledged, "every slice is acknowledged", within_s=60, every_s=0.3)


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.parametrize("seed", [7])
def test_whatever_is_killed_at_random_every_acknowledged_study_ends(
    node: Node, results: Results, scanner: Scanner, pacs: Pacs, seed: int
) -> None:
    studies = [head_study(coarse_head()) for _ in range(4)]
    killing = threading.Thread(target=_kill_at_random, args=(results, random.Random(seed), 8))
    killing.start()
    for series in studies:
        _send_until_acknowledged(scanner, series)
    killing.join()
    for series in studies:
        row = results.ended_whole(study_uid(series), len(series), within_s=120)
        assert (row["state"], row["reason"]) in {("FORWARDED", None), ("FAILED", "WORKER_LOST")}
        kept = (node.data_dir / "spool" / series[0].SeriesInstanceUID).glob("*.dcm")
        assert {path.stem for path in kept} == {str(dataset.SOPInstanceUID) for dataset in series}
        reports = [each for each in results.only_series(study_uid(series))["revisions"] if each["evidence"]]
        assert len(pacs.of_modality(study_uid(series), "SR")) == len(reports)


def _runs(process: psutil.Process) -> bool:
    """Whether a process still does anything: a child of nobody may be gone, or ended and not yet asked after."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_children_end_by_themselves_when_up_is_killed_and_a_new_one_goes_on(tmp_path: Path, pacs: Pacs) -> None:
    node = Node(tmp_path / "killed", [pacs.address])
    try:
        node.start()
        children = node.processes.family("up")
        scanner = Scanner(node.address, tmp_path / "scanner")
        series = head_study(coarse_head())
        with scanner.association(series) as association:
            for dataset in series:
                assert association.store(dataset) == 0x0000
            node.processes["up"].kill()
        node.processes["up"].wait()
        _, alive = psutil.wait_procs(filter(_runs, children), timeout=30)
        left = list(filter(_runs, alive))
        assert not left, left
        node.start()
        assert node.results.ended(study_uid(series))["state"] == "FORWARDED"
    finally:
        node.stop()
