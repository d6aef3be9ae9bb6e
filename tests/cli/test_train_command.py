"""``triage-node train`` on files: a run that is killed and resumed, and data that are refused before anything is written."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from triage_node.__main__ import main
from triage_node.cascade.weights import read_release
from triage_node.cli.train_commands import with_setting
from triage_node.training.datasets import open_dataset
from triage_node.training.predictions import read_predictions
from triage_node.training.release_reading import trained_on

COLUMNS = ("Intraventricular", "Intraparenchymal", "Subarachnoid", "Epidural", "Subdural", "No_Hemorrhage")
HEADER = f"PatientNumber,SliceNumber,{','.join(COLUMNS)},Fracture_Yes_No"
CONFIGURATION = """
name = "small"
folds = 2
members = 1
[architecture]
input_size = 64
units = 16
[made_up]
pasted_per_head = 0
phantoms = 0
[[encoder]]
steps = 10
batch = 8
size = 64
[sequence]
steps = 4
scans = 4
views = 1
[optimization]
checkpoint_every_steps = 2
mixed_precision = false
"""
Run = Callable[..., tuple[int, str]]


def write_patients(folder: Path, patients: int = 6, slices: int = 3, first: int = 1) -> list[str]:
    """Write CT-ICH's layout: discs of brain in bone, a bright spot in every other patient; return the table's rows."""
    rows, columns = np.mgrid[:96, :96]
    radius = np.hypot(rows - 48, columns - 48)
    lines = []
    for patient in range(first, first + patients):
        for number in range(1, slices + 1):
            bleeds = patient % 2 == 0 and number == 2
            brain = np.where(radius < 38, 106 + patient - first, np.where(radius < 42, 255, 0))
            if bleeds:
                brain[30:42, 30:42] = 200
            bone = np.where(radius < 38, 60, np.where(radius < 42, 160, 0))
            for window, grey in (("brain", brain), ("bone", bone)):
                path = folder / f"{patient:03d}" / window / f"{number:02d}.jpg"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(grey.astype(np.uint8)).save(path, quality=95)
            lines.append(f"{patient},{number},0,{int(bleeds)},0,0,0,{int(not bleeds)},0")
    return lines


def write_table(folder: Path, lines: list[str], header: str = HEADER) -> None:
    (folder / "hemorrhage_diagnosis.csv").write_text("\n".join([header, *lines]) + "\n")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    write_table(folder, write_patients(folder))
    return folder


@pytest.fixture
def configuration(tmp_path: Path) -> Path:
    path = tmp_path / "small.toml"
    path.write_text(CONFIGURATION)
    return path


@pytest.fixture
def train(
    tmp_path: Path, configuration: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    def run(*arguments: object) -> tuple[int, str]:
        words = ["triage-node", "train", str(configuration), "--out", str(tmp_path / "run"), *map(str, arguments)]
        monkeypatch.setattr(sys, "argv", words)
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr().err
        assert "Traceback" not in said
        return int(ended.value.code or 0), said

    return run


def started(configuration: Path, data: Path, out: Path, *options: str) -> subprocess.Popen[str]:
    """Start the command in a process group of its own."""
    words = [sys.executable, "-m", "triage_node", "train", str(configuration), "--data", f"ct-ich:{data}"]
    words += ["--out", str(out), "--workers", "1", "--json", *options]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_killed_run_is_resumed_and_ends_in_a_release_that_names_its_patients(
    data: Path, configuration: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    killed = started(configuration, data, out)
    deadline = time.monotonic() + 240
    while not any(out.glob("jobs/*/checkpoint.pt")) and killed.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.communicate(timeout=60)
    assert any(out.glob("jobs/*/checkpoint.pt"))
    assert not (out / "release").exists()

    again = started(configuration, data, out)
    _, said = again.communicate(timeout=240)
    assert again.returncode == 2
    assert "--resume" in said

    resumed = started(configuration, data, out, "--resume")
    printed, said = resumed.communicate(timeout=400)
    assert resumed.returncode == 0, said
    release = read_release(Path(json.loads(printed)["release"]))
    subjects = [f"CTICH-{number:03d}" for number in range(1, 9)]
    assert trained_on(release.manifest["training"], "ct-ich", subjects).subjects == tuple(subjects[:6])
    assert "CTICH" not in json.dumps(release.manifest)
    predicted = read_predictions(out / "out_of_fold.csv")
    assert sorted(predicted.subjects) == subjects[:6]
    assert (out / "configuration.toml").read_text() == CONFIGURATION


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_run_starts_from_a_release_on_other_workers_and_is_resumed_with_the_same_alone(
    data: Path, configuration: Path, tmp_path: Path
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    others = tmp_path / "others"
    write_table(others, write_patients(others, first=51))
    begun = started(configuration, data, first)
    printed, said = begun.communicate(timeout=400)
    assert begun.returncode == 0, said
    release = json.loads(printed)["release"]
    refused = started(configuration, data, second, "--start", release)
    _, said = refused.communicate(timeout=400)
    assert refused.returncode == 2
    assert "small was trained on 6 of these 6 patients" in said
    gone_on = started(configuration, others, second, "--start", release, "--workers", "2")
    printed, said = gone_on.communicate(timeout=400)
    assert gone_on.returncode == 0, said
    stated = read_release(Path(json.loads(printed)["release"])).manifest["training"]
    assert stated["started_from"]["weights_sha256"] == read_release(Path(release)).weights_sha256
    assert tomllib.loads((second / "configuration.toml").read_text())["start"] == release
    forgotten = started(configuration, others, second, "--resume")
    _, said = forgotten.communicate(timeout=400)
    assert forgotten.returncode == 2
    assert f"go on with --start {second / 'start'}" in said


def drop_column(folder: Path) -> None:
    write_table(folder, write_patients(folder), HEADER.replace("Epidural,", ""))


def unknown_label(folder: Path) -> None:
    lines = write_patients(folder)
    write_table(folder, [*lines[:4], lines[4].replace(",1,", ",perhaps,", 1), *lines[5:]])


def images_without_labels(folder: Path) -> None:
    write_table(folder, write_patients(folder)[:-3])


def labels_without_images(folder: Path) -> None:
    write_table(folder, [*write_patients(folder), "7,1,0,0,0,0,0,1,0"])


def one_class(folder: Path) -> None:
    write_table(folder, [f"{line.rsplit(',', 7)[0]},0,0,0,0,0,1,0" for line in write_patients(folder)])


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (drop_column, ["hemorrhage_diagnosis.csv, row 1", "Epidural is missing", "The header must name"]),
        (unknown_label, ["hemorrhage_diagnosis.csv, row 6", "unknown label 'perhaps'", "Write 0 or 1"]),
        (images_without_labels, ["patient 006 has images", "Add the patient's labels"]),
        (
            labels_without_images,
            ["row 20: patient 7 has rows and no images", "Bring the images or delete"],
        ),
        (one_class, ["scans with blood and scans without"]),
    ],
)
def test_data_that_cannot_be_trained_on_are_refused_and_nothing_is_written(
    train: Run, tmp_path: Path, damage: Callable[[Path], None], words: list[str]
) -> None:
    folder = tmp_path / "damaged"
    folder.mkdir()
    damage(folder)
    status, said = train("--data", f"ct-ich:{folder}")
    assert status == 2
    assert all(each in said for each in words), said
    assert not (tmp_path / "run").exists()


def test_a_patient_in_two_folds_is_refused(train: Run, tmp_path: Path) -> None:
    folder = tmp_path / "hospital"
    folder.mkdir()
    rows = ["subject,slice,any,CPH,IVH,SDH,EDH,SAH,fold", "A,,1,1,0,0,0,0,one", "A,1.dcm,1,1,0,0,0,0,two"]
    (folder / "labels.csv").write_text("\n".join(rows) + "\n")
    status, said = train("--data", f"folder:{folder}")
    assert status == 2
    assert "labels.csv, row 3: subject A is in fold one and in fold two. Give all rows" in said
    assert not (tmp_path / "run").exists()


def test_fewer_patients_than_folds_are_refused(train: Run, data: Path, configuration: Path, tmp_path: Path) -> None:
    configuration.write_text(CONFIGURATION.replace("folds = 2", "folds = 7"))
    status, said = train("--data", f"ct-ich:{data}")
    assert status == 2
    assert "6 patients cannot be dealt to 7 folds" in said
    assert not (tmp_path / "run").exists()


def test_the_same_data_twice_are_refused(train: Run, data: Path, tmp_path: Path) -> None:
    status, said = train("--data", f"ct-ich:{data}", "--data", f"ct-ich:{data}")
    assert status == 2
    assert "series 001 occurs twice" in said
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--data", "nonsense"), "Write SOURCE:FOLDER"),
        (("--data", "ct-ich:nowhere"), "nowhere: the folder is missing"),
        (("--data", "ct-ich:.", "--labels", "slices"), "labels must be one of"),
        ((), "--data"),
    ],
)
def test_wrong_usage_ends_with_2(train: Run, tmp_path: Path, arguments: tuple[str, ...], words: str) -> None:
    status, said = train(*arguments)
    assert status == 2
    assert words in said
    assert not (tmp_path / "run").exists()


def test_a_start_that_is_no_release_is_refused(train: Run, data: Path, tmp_path: Path) -> None:
    status, said = train("--data", f"ct-ich:{data}", "--start", "earlier")
    assert status == 2
    assert "no release 'earlier'" in said
    assert "ct-ich-plain10" in said
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("text", ['name = "x"\n[sequence]\n', 'name = "x"\nstart = "before"\n[sequence]\n'])
def test_what_the_command_line_sets_is_written_into_the_runs_file(text: str) -> None:
    path = 'C:\\weights\\"7" \N{BRAIN}'
    assert tomllib.loads(with_setting(text, "start", path)) == {"name": "x", "start": path, "sequence": {}}


def test_a_misspelt_setting_names_file_and_key(train: Run, data: Path, configuration: Path, tmp_path: Path) -> None:
    configuration.write_text(CONFIGURATION.replace("phantoms = 0", "phantom = 0"))
    status, said = train("--data", f"ct-ich:{data}")
    assert status == 2
    assert f"{configuration}: [made_up] has the unknown key 'phantom'" in said
    assert not (tmp_path / "run").exists()


def test_an_unknown_configuration_names_the_shipped_ones(train: Run, data: Path, configuration: Path) -> None:
    configuration.unlink()
    status, said = train("--data", f"ct-ich:{data}")
    assert status == 2
    assert f"{configuration} is no file" in said
    assert "ct_ich, ct_ich_sub" in said


def test_the_data_of_these_tests_are_in_order(data: Path) -> None:
    assert [int(scan.labels[0]) for scan in open_dataset(f"ct-ich:{data}").scans] == [0, 1, 0, 1, 0, 1]
