"""PACS for a node to send to: our own Storage SCP, which counts what comes, and Orthanc."""

from __future__ import annotations

import json
import shutil
import subprocess
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any

import pydicom
from pydicom.dataset import Dataset

from hospital.waiting import wait_until
from triage_node.arrival.spool import DirectorySpool
from triage_node.arrival.storage_scp import StorageScp
from triage_node.assembly.header_reader import read_header
from triage_node.core.identifiers import PeerAddress
from triage_node.core.ports import StoredInstance
from triage_node.supervisor import free_port


class Pacs:
    """Takes everything on loopback; can go down and come up again on its port."""

    def __init__(self, folder: Path, ae_title: str = "PACS") -> None:
        self.folder = folder
        self.address = PeerAddress(ae_title, "127.0.0.1", free_port())
        self.arrivals: Counter[str] = Counter()
        self._study_of: dict[Path, str] = {}
        self._scp: StorageScp | None = None

    def start(self) -> None:
        self._scp = StorageScp(
            ae_title=self.address.ae_title,
            host=self.address.host,
            port=self.address.port,
            spool=DirectorySpool(self.folder, floor_bytes=0),
            read_header=read_header,
            on_stored=self._count,
            on_quarantined=lambda _: None,
            on_association_opened=lambda *_: None,
            on_association_ended=lambda *_: None,
        )
        self._scp.start()

    def stop(self) -> None:
        if self._scp is not None:
            self._scp.shutdown()
            self._scp = None

    def objects(self, study_instance_uid: str) -> list[Dataset]:
        """Return what has arrived of one study, in the order of series and instance number."""
        for path in self.folder.glob("*/*.dcm"):
            if path not in self._study_of:  # those of other journeys are not read again at every look
                self._study_of[path] = str(pydicom.dcmread(path, specific_tags=["StudyInstanceUID"]).StudyInstanceUID)
        ours = [pydicom.dcmread(path) for path, study in self._study_of.items() if study == study_instance_uid]
        return sorted(ours, key=lambda each: (each.SeriesNumber, each.InstanceNumber))

    def of_modality(self, study_instance_uid: str, modality: str) -> list[Dataset]:
        """Return the SR, KO or (as OT) the heatmaps of one study."""
        return [each for each in self.objects(study_instance_uid) if each.Modality == modality]

    def times_arrived(self, study_instance_uid: str) -> set[int]:
        """Return how often each object of a study was stored: {1} where none came twice."""
        return {self.arrivals[str(each.SOPInstanceUID)] for each in self.objects(study_instance_uid)}

    def _count(self, stored: StoredInstance) -> None:
        self.arrivals[stored.header.sop_instance_uid] += 1


class Orthanc:
    """Debian's Orthanc as PACS, on loopback ports with a storage of its own; ``settings`` go into its configuration."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.folder = folder
        self.address = PeerAddress("ORTHANC", "127.0.0.1", free_port())
        self._http_port = free_port()
        folder.mkdir(parents=True, exist_ok=True)
        self._configuration = folder / "orthanc.json"
        self._configuration.write_text(
            json.dumps(
                {
                    "Name": "Journey",
                    "StorageDirectory": str(folder / "storage"),
                    "IndexDirectory": str(folder / "index"),
                    "HttpPort": self._http_port,
                    "DicomPort": self.address.port,
                    "DicomAet": self.address.ae_title,
                    "RemoteAccessAllowed": False,
                    "AuthenticationEnabled": False,
                    "DicomAlwaysAllowStore": True,
                    "DicomAlwaysAllowEcho": True,
                    "Plugins": [],
                }
                | settings
            )
        )

    def configure(self, **settings: Any) -> None:
        """Change the configuration and start anew."""
        self.stop()
        configuration = json.loads(self._configuration.read_text()) | settings
        self._configuration.write_text(json.dumps(configuration))
        self.start()

    @staticmethod
    def executable() -> str | None:
        return shutil.which("Orthanc") or shutil.which("Orthanc", path="/usr/sbin")

    def start(self) -> None:
        executable = self.executable()
        assert executable is not None
        with (self.folder / "orthanc.log").open("wb") as output:
            self._process = subprocess.Popen([executable, str(self._configuration)], stdout=output, stderr=output)
        wait_until(self._answers, "Orthanc answers", within_s=30)

    def kill(self) -> None:
        """End as a power cut would."""
        self._process.kill()
        self._process.wait()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http_port}"

    def post(self, path: str, body: object) -> Any:
        """POST JSON to one REST resource."""
        request = urllib.request.Request(self.url + path, json.dumps(body).encode(), method="POST")
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.loads(answer.read())

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def get(self, path: str) -> Any:
        """GET one REST resource."""
        return json.loads(self._read(path))

    def study(self, study_instance_uid: str) -> dict[str, list[str]]:
        """Return the instance ids of each modality of one study."""
        found: dict[str, list[str]] = {}
        for study in self.get("/studies?expand"):
            if study["MainDicomTags"]["StudyInstanceUID"] != study_instance_uid:
                continue
            for series_id in study["Series"]:
                series = self.get(f"/series/{series_id}")
                found.setdefault(series["MainDicomTags"]["Modality"], []).extend(series["Instances"])
        return found

    def file(self, instance_id: str, target: Path) -> Path:
        """Fetch one instance as Orthanc holds it."""
        target.write_bytes(self._read(f"/instances/{instance_id}/file"))
        return target

    def _read(self, path: str) -> bytes:
        with urllib.request.urlopen(f"http://127.0.0.1:{self._http_port}{path}", timeout=10) as answer:
            content: bytes = answer.read()
            return content

    def _answers(self) -> bool:
        assert self._process.poll() is None, (self.folder / "orthanc.log").read_text()[-2000:]
        try:
            return bool(self.get("/system"))
        except OSError:
            return False
