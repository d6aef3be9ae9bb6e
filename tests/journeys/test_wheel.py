"""A wheel built from the project runs where no checkout is: migrations, weights and templates travel with it."""

from __future__ import annotations

import shutil
import subprocess
import sys
import urllib.request
import zipfile
from pathlib import Path

import pytest
from hospital.node import environment
from hospital.waiting import wait_until

from triage_node.supervisor import free_port

pytestmark = pytest.mark.slow

_NOT_BUILT_FROM = shutil.ignore_patterns(
    ".*", "build", "dist", "var", "tests", "*.egg-info", "__pycache__", "node_modules"
)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Path:
    """Build a wheel from a copy of the project; nothing is fetched."""
    source, target = tmp_path_factory.mktemp("source") / "project", tmp_path_factory.mktemp("wheel")
    shutil.copytree(pytestconfig.rootpath, source, ignore=_NOT_BUILT_FROM)
    offline = ["--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check"]
    built = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", *offline, "--wheel-dir", target, source],
        capture_output=True,
        text=True,
        timeout=110,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    (path,) = target.glob("triage_node-*.whl")
    return path


@pytest.fixture(scope="module")
def site_packages(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel's contents and nothing else; its dependencies are this environment's."""
    folder = tmp_path_factory.mktemp("installed")
    offline = ["--no-deps", "--no-index", "--disable-pip-version-check"]
    subprocess.run(
        [sys.executable, "-m", "pip", "install", *offline, "--target", folder, wheel],
        check=True,
        capture_output=True,
        timeout=110,
    )
    return folder


def _run(site_packages: Path, cwd: Path, *arguments: str, **settings: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env=environment(**settings) | {"PYTHONPATH": str(site_packages)},
        capture_output=True,
        text=True,
        timeout=110,
    )


def test_wheel_holds_all_that_is_no_python(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    for ending in (
        "triage_node/py.typed",
        "triage_node/migrations/env.py",
        "triage_node/model_weights/active",
        "/manifest.json",
        ".safetensors",
        "triage_node/web/templates/health.html",
    ):
        assert any(name.endswith(ending) for name in names), ending
    assert not any(name.startswith("tests") for name in names)


def test_wheel_holds_every_module(wheel: Path, pytestconfig: pytest.Config) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    modules = (
        path.relative_to(pytestconfig.rootpath) for path in (pytestconfig.rootpath / "triage_node").rglob("*.py")
    )
    assert {str(path) for path in modules} <= names


def test_installed_wheel_migrates_and_checks_itself(site_packages: Path, tmp_path: Path) -> None:
    where = _run(site_packages, tmp_path, "-c", "import triage_node; print(triage_node.__file__)")
    assert where.stdout.startswith(str(site_packages))
    migrated = _run(site_packages, tmp_path, "-m", "triage_node", "migrate", data_dir=tmp_path / "data")
    assert (migrated.returncode, migrated.stdout) == (0, "the database is up to date\n"), migrated.stderr
    checked = _run(site_packages, tmp_path, "-m", "triage_node", "check", data_dir=tmp_path / "data")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "gives its reference output" in checked.stdout


def test_installed_wheel_runs_the_node(site_packages: Path, tmp_path: Path) -> None:
    """Every process comes up from the wheel alone: `up` is asked for its health page, then ended."""
    port = free_port()
    values = {"data_dir": tmp_path / "data", "dicom_host": "127.0.0.1", "dicom_port": free_port(), "http_port": port}
    node = subprocess.Popen(
        [sys.executable, "-m", "triage_node", "up"],
        cwd=tmp_path,
        env=environment(**values) | {"PYTHONPATH": str(site_packages)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def ready() -> bool:
        assert node.poll() is None
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    try:
        wait_until(ready, "the node is ready", within_s=90)
    finally:
        node.terminate()
        node.wait(30)
