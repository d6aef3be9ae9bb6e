"""The hospital of the journeys: one node, one PACS and one scanner, shared by all tests of one pytest process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hospital.node import Node, Results
from hospital.pacs import Pacs
from hospital.scanner import Scanner

_FREQUENT = ("] instance_stored ", "] instance_sent ")


@pytest.fixture(scope="session")
def pacs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pacs]:
    pacs = Pacs(tmp_path_factory.mktemp("pacs"))
    pacs.start()
    yield pacs
    pacs.stop()


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory, pacs: Pacs) -> Iterator[Node]:
    """A running node that sends to the PACS. Tests may kill its processes; they wait until it is whole again."""
    node = Node(tmp_path_factory.mktemp("node"), [pacs.address])
    try:
        node.start()
        yield node
    finally:
        node.stop()


@pytest.fixture
def results(node: Node) -> Results:
    return node.results


@pytest.fixture
def scanner(node: Node, tmp_path: Path) -> Scanner:
    return Scanner(node.address, tmp_path / "scanner")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Show the end of the node's log below a journey that failed."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    node = getattr(item, "funcargs", {}).get("node")
    if report.failed and isinstance(node, Node):
        telling = [line for line in node.log().splitlines() if not any(each in line for each in _FREQUENT)]
        report.sections.append(("end of the node's log", "\n".join(telling[-60:])))
