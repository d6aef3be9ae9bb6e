"""The spool: what is acknowledged is there, whole, under a path that nobody else chose."""

from __future__ import annotations

import errno
import json
import os
import shutil
import stat
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from triage_node.arrival.spool import STALE_AFTER_S, DirectorySpool, SpoolFull
from triage_node.core.identifiers import IllegalUid
from triage_node.core.instance import InstanceHeader
from triage_node.core.ports import AssociationPeer


def header(sop_instance_uid: str = "1.2.3", series_instance_uid: str = "1.2") -> InstanceHeader:
    return InstanceHeader(
        sop_instance_uid, "1.2.840.10008.5.1.4.1.1.2", series_instance_uid, "1.1", "1.2.840.10008.1.2.1"
    )


@pytest.fixture
def spool(tmp_path: Path) -> DirectorySpool:
    return DirectorySpool(tmp_path / "spool", floor_bytes=1)


def incoming(spool: DirectorySpool) -> list[Path]:
    return list((spool.root / "incoming").iterdir())


def test_an_instance_lies_whole_under_its_series(spool: DirectorySpool) -> None:
    path = spool.store(header(), b"bytes of an instance")
    assert path == spool.root / "1.2" / "1.2.3.dcm"
    assert path.read_bytes() == b"bytes of an instance"
    assert incoming(spool) == []


def test_the_same_instance_twice_is_one_file(spool: DirectorySpool) -> None:
    with capture_logs() as logs:
        assert spool.store(header(), b"same") == spool.store(header(), b"same")
    assert len(list(spool.instances())) == 1
    assert logs == []


def test_an_instance_that_comes_again_with_other_bytes_leaves_the_first_and_a_log_line(spool: DirectorySpool) -> None:
    path = spool.store(header(), b"first")
    with capture_logs() as logs:
        assert spool.store(header(), b"second") == path
    assert path.read_bytes() == b"first"
    assert [line["event"] for line in logs] == ["instance_differs_from_stored"]


def test_one_instance_from_many_senders_at_once_is_one_whole_file(spool: DirectorySpool) -> None:
    contents = [bytes([number]) * 200_000 for number in range(16)]
    with ThreadPoolExecutor(16) as senders:
        paths = set(senders.map(lambda content: spool.store(header(), content), contents))
    assert len(paths) == 1
    assert paths.pop().read_bytes() in contents
    assert incoming(spool) == []


def test_what_another_process_acknowledged_in_between_is_not_replaced(
    spool: DirectorySpool, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, written = DirectorySpool(spool.root, 1), spool._written

    def overtaken(content: bytes) -> Path:
        temporary = written(content)
        other.store(header(), b"the other's")
        return temporary

    monkeypatch.setattr(spool, "_written", overtaken)
    assert spool.store(header(), b"ours").read_bytes() == b"the other's"
    assert incoming(spool) == []


def test_a_file_system_without_hard_links_is_good_enough(
    spool: DirectorySpool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise OSError(errno.EOPNOTSUPP, "no hard links here")

    monkeypatch.setattr(os, "link", refused)
    assert spool.store(header(), b"renamed").read_bytes() == b"renamed"
    assert incoming(spool) == []


@pytest.mark.parametrize("uid", ["../..", "..", "1.2/../../etc", "/etc/passwd", "", "1" * 65, "1..2", "1.2\n", "1.2\0"])
def test_a_uid_that_is_none_never_becomes_a_path(spool: DirectorySpool, uid: str) -> None:
    before = sorted(spool.root.parent.rglob("*"))
    with pytest.raises(IllegalUid):
        spool.store(header(sop_instance_uid=uid), b"")
    with pytest.raises(IllegalUid):
        spool.store(header(series_instance_uid=uid), b"")
    assert sorted(spool.root.parent.rglob("*")) == before


def test_no_instance_is_taken_below_the_floor(tmp_path: Path) -> None:
    spool = DirectorySpool(tmp_path / "spool", floor_bytes=shutil.disk_usage(tmp_path).total + 1)
    with pytest.raises(SpoolFull, match="floor"):
        spool.store(header(), b"no room")
    assert list(spool.instances()) == []


def test_a_disk_that_fills_up_in_the_middle_leaves_nothing_half_written(
    spool: DirectorySpool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SpoolFull, match="No space left"):
        spool.store(header(), b"half")
    assert incoming(spool) == []
    assert list(spool.instances()) == []


def test_quarantine_keeps_the_bytes_and_says_why_and_from_whom(spool: DirectorySpool) -> None:
    peer = AssociationPeer("an id", "CT1", "TRIAGE", "127.0.0.1")
    path = spool.quarantine(b"broken", "the dataset ends too early", 0xC000, peer)
    note = json.loads(path.with_suffix(".json").read_text())
    assert path.read_bytes() == b"broken"
    assert note["reason"] == "the dataset ends too early"
    assert note["status"] == "0xC000"
    assert note["peer"]["calling_ae_title"] == "CT1"
    assert note["received_at"].endswith("+00:00")
    assert note["bytes_kept"] is True


def test_quarantine_leaves_the_last_room_to_whole_instances(tmp_path: Path) -> None:
    free = shutil.disk_usage(tmp_path).free
    spool = DirectorySpool(tmp_path / "spool", floor_bytes=int(free * 0.7))
    path = spool.quarantine(b"broken", "why", 0xC000)
    assert not path.exists()
    assert json.loads(path.with_suffix(".json").read_text())["bytes_kept"] is False
    assert spool.store(header(), b"whole").exists()


def test_only_acknowledged_instances_are_indexed_again(spool: DirectorySpool) -> None:
    paths = {spool.store(header(f"1.2.{number}", f"1.{number % 2}"), b"x") for number in range(4)}
    spool.quarantine(b"broken", "why", 0xC000)
    (spool.root / "incoming" / "dead.part").write_bytes(b"half")
    assert set(DirectorySpool(spool.root, 1).instances()) == paths


def test_remains_of_a_killed_process_are_removed_at_start_and_work_of_a_living_one_is_not(
    spool: DirectorySpool,
) -> None:
    remains, alive = spool.root / "incoming" / "old.part", spool.root / "incoming" / "new.part"
    for path in (remains, alive):
        path.write_bytes(b"half")
    long_ago = time.time() - STALE_AFTER_S - 60
    os.utime(remains, (long_ago, long_ago))
    DirectorySpool(spool.root, 1)
    assert incoming(spool) == [alive]


def test_instances_are_not_for_every_user_of_the_machine(spool: DirectorySpool) -> None:
    path = spool.store(header(), b"names a patient")
    assert stat.S_IMODE(path.stat().st_mode) & 0o007 == 0
    assert stat.S_IMODE(path.parent.stat().st_mode) & 0o007 == 0
