"""DCMTK as the scanner."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset

pytestmark = [
    pytest.mark.debian,
    pytest.mark.skipif(shutil.which("storescu") is None, reason="needs DCMTK (apt-get install dcmtk)"),
]


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def test_echoscu_is_answered(node: Any) -> None:
    assert run("echoscu", "-aec", "TRIAGE", "127.0.0.1", str(node.port)).returncode == 0


def test_storescu_hands_over_a_series(
    node: Any, make_instance: Callable[..., Dataset], write_instances: Callable[..., list[Path]]
) -> None:
    paths = write_instances(*(make_instance(size=512) for _ in range(10)))
    sent = run("storescu", "-aec", "TRIAGE", "127.0.0.1", str(node.port), *map(str, paths))
    assert sent.returncode == 0, sent.stderr
    assert len(node.files()) == 10
    assert node.told == ["opened", *["stored"] * 10, "released"]


@pytest.mark.parametrize(
    ("proposal", "syntax"),
    [("-xr", "1.2.840.10008.1.2.5"), ("-xs", "1.2.840.10008.1.2.4.70"), ("-xd", "1.2.840.10008.1.2.1.99")],
)
def test_storescu_hands_over_compressed_instances(
    node: Any,
    make_instance: Callable[..., Dataset],
    write_instances: Callable[..., list[Path]],
    proposal: str,
    syntax: str,
) -> None:
    paths = write_instances(make_instance(syntax))
    sent = run("storescu", proposal, "-aec", "TRIAGE", "127.0.0.1", str(node.port), *map(str, paths))
    assert sent.returncode == 0, sent.stderr
    assert node.stored[0].header.transfer_syntax_uid == syntax


def test_dcmtk_reads_what_was_stored(
    node: Any, make_instance: Callable[..., Dataset], write_instances: Callable[..., list[Path]]
) -> None:
    instance = make_instance()
    paths = write_instances(instance)
    run("storescu", "-aec", "TRIAGE", "127.0.0.1", str(node.port), *map(str, paths))
    (kept,) = node.files()
    dumped = run("dcmdump", str(kept))
    assert dumped.returncode == 0
    assert dumped.stderr == ""
    assert instance.SOPInstanceUID in dumped.stdout
    assert "[STORESCU]" in dumped.stdout  # Source Application Entity Title


def test_storescu_that_aborts_is_told_as_an_abort(
    node: Any,
    make_instance: Callable[..., Dataset],
    write_instances: Callable[..., list[Path]],
    eventually: Callable[..., Any],
) -> None:
    paths = write_instances(make_instance())
    run("storescu", "--abort", "-aec", "TRIAGE", "127.0.0.1", str(node.port), *map(str, paths))
    eventually(lambda: node.ended)
    assert node.ended[0][1] is True
    assert len(node.files()) == 1


def test_storescu_with_the_wrong_called_title_reads_why(
    node: Any, make_instance: Callable[..., Dataset], write_instances: Callable[..., list[Path]]
) -> None:
    paths = write_instances(make_instance())
    sent = run("storescu", "-aec", "OTHER", "127.0.0.1", str(node.port), *map(str, paths))
    assert sent.returncode != 0
    assert "Called AE Title Not Recognized" in sent.stderr
