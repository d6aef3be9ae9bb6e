"""The conformance statement in docs/ is the one that this version would print."""

from __future__ import annotations

from pathlib import Path

from triage_node.conformance_statement import statement


def test_page_equals_what_the_code_negotiates() -> None:
    page = Path(__file__).parents[2] / "docs" / "CONFORMANCE.md"
    assert page.read_text(encoding="utf-8") == statement(), "run: triage-node conformance > docs/CONFORMANCE.md"
