"""What was answered with Success is there after kill -9, whole and nothing else."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE

from triage_node.arrival.spool import DirectorySpool
from triage_node.core.conformance import CT_IMAGE_STORAGE

PROCESS = Path(__file__).with_name("scp_process.py")
StartScp = Callable[..., tuple[subprocess.Popen[str], int]]


@pytest.fixture
def start_scp(tmp_path: Path) -> Iterator[StartScp]:
    processes: list[subprocess.Popen[str]] = []

    def start(port: int = 0) -> tuple[subprocess.Popen[str], int]:
        command = [sys.executable, str(PROCESS), str(tmp_path / "spool"), str(port)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        processes.append(process)
        assert process.stdout is not None
        return process, int(process.stdout.readline())

    yield start
    for process in processes:
        process.kill()
        process.wait(timeout=10)
        if process.stdout:
            process.stdout.close()


def acknowledged(port: int, instances: list[Dataset]) -> list[str]:
    """Send until the peer dies; return the UIDs that were answered with Success."""
    entity = AE("CT1")
    entity.add_requested_context(CT_IMAGE_STORAGE, ExplicitVRLittleEndian)
    association = entity.associate("127.0.0.1", port, ae_title="TRIAGE")
    answered = []
    for instance in instances:
        if association.send_c_store(instance).get("Status") != 0x0000:
            association.abort()
            break
        answered.append(str(instance.SOPInstanceUID))
    else:
        association.release()
    return answered


def test_an_instance_is_there_when_the_node_dies_right_after_success(
    start_scp: StartScp, make_instance: Callable[..., Dataset], tmp_path: Path
) -> None:
    process, port = start_scp()
    instance = make_instance(size=256)
    entity = AE("CT1")
    entity.add_requested_context(CT_IMAGE_STORAGE, ExplicitVRLittleEndian)
    association = entity.associate("127.0.0.1", port, ae_title="TRIAGE")
    status = association.send_c_store(instance).Status
    process.kill()
    process.wait(timeout=10)
    association.abort()
    assert status == 0x0000
    (path,) = DirectorySpool(tmp_path / "spool", 1).instances()
    assert dcmread(path).PixelData == instance.PixelData


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_nothing_acknowledged_is_lost_when_the_node_dies_at_a_random_moment(
    start_scp: StartScp, make_instance: Callable[..., Dataset], tmp_path: Path, seed: int
) -> None:
    process, port = start_scp()
    instances = {str(each.SOPInstanceUID): each for each in (make_instance(size=128) for _ in range(200))}
    reaper = threading.Thread(target=lambda: (time.sleep(random.Random(seed).uniform(0.1, 0.6)), process.kill()))
    reaper.start()
    answered = acknowledged(port, list(instances.values()))
    reaper.join()
    process.wait(timeout=10)
    kept = {path.stem: path for path in DirectorySpool(tmp_path / "spool", 1).instances()}
    assert set(answered) <= set(kept)
    for uid, path in kept.items():
        assert dcmread(path).PixelData == instances[uid].PixelData


def test_two_processes_serve_one_port(
    start_scp: StartScp, make_instance: Callable[..., Dataset], tmp_path: Path
) -> None:
    first, port = start_scp()
    second, _ = start_scp(port)
    instances = [make_instance() for _ in range(8)]
    for instance in instances:
        assert len(acknowledged(port, [instance])) == 1
    second.kill()
    second.wait(timeout=10)
    assert len(acknowledged(port, [make_instance()])) == 1
    assert first.poll() is None
    assert len(list(DirectorySpool(tmp_path / "spool", 1).instances())) == 9
