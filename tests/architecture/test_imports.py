"""Who may import whom, how large modules are, and what a module must say of itself."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from statistics import median

import pytest

import triage_node

PACKAGE = Path(triage_node.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))
FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "common", "manager", "data", "info", "misc"}


def _names() -> list[str]:
    return [str(path.relative_to(PACKAGE)) for path in MODULES]


def test_left_imports_right_and_stations_never_each_other(pytestconfig: pytest.Config) -> None:
    command = Path(sys.executable).with_name("lint-imports")
    if not command.exists():
        pytest.skip("import-linter is not installed (extra: check)")
    linted = subprocess.run(
        [command, "--config", "setup.cfg", "--no-cache"],
        cwd=pytestconfig.rootpath,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert linted.returncode == 0, linted.stdout
    assert " 0 broken" in linted.stdout


def test_median_module_is_below_170_lines() -> None:
    lines = [len(path.read_text().splitlines()) for path in MODULES if path.name != "__init__.py"]
    assert median(lines) < 170


@pytest.mark.parametrize("path", MODULES, ids=_names())
def test_module_names_its_field_and_says_what_it_does(path: Path) -> None:
    assert path.stem not in FORBIDDEN_NAMES
    assert ast.get_docstring(ast.parse(path.read_text())), "a module docstring"
