"""``echo`` of a node that lets in only those whom it names, over TLS: what health checks of containers run."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from hospital.node import COMMAND, command, environment
from hospital.waiting import wait_until

from triage_node.supervisor import free_port


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "TLS"])
def test_a_node_that_names_its_peers_answers_its_own_echo(tmp_path: Path, secure: bool) -> None:
    settings: dict[str, object] = {"peers": "CT1@10.0.0.7", "data_dir": tmp_path / "data", "dicom_port": free_port()}
    settings["redis_url"] = f"redis://127.0.0.1:{free_port()}/0"  # nobody is there: arrivals do without
    if secure:
        if shutil.which("openssl") is None:
            pytest.skip("openssl is not installed")
        key, certificate = tmp_path / "node.key", tmp_path / "node.pem"
        made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        files = ["-subj", "/CN=node.hospital.example", "-days", "2", "-keyout", str(key), "-out", str(certificate)]
        subprocess.run([*made, *files], check=True, capture_output=True)
        settings |= {"tls_certificate": certificate, "tls_key": key, "tls_peer_ca": certificate}
    assert command("migrate", **settings).returncode == 0
    scp = subprocess.Popen([COMMAND, "scp"], env=environment(**settings), stderr=subprocess.DEVNULL)
    try:
        echoed = wait_until(lambda: _answered(settings), "an answer to the node's own echo", within_s=90)
        assert "answered in" in echoed
    finally:
        scp.terminate()
        scp.wait(30)


def _answered(settings: dict[str, object]) -> str:
    echoed = command("echo", **settings)
    return echoed.stdout if echoed.returncode == 0 else ""
