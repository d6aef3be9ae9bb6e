"""The command on files, and on a data set read with a release of random weights."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import typer
from PIL import Image
from typer.testing import CliRunner, Result

from triage_node.cascade.network import Architecture, CascadeNetwork
from triage_node.cascade.release_writer import (
    ReleaseDescription,
    paper_operating_point,
    uncalibrated,
    write_release,
)
from triage_node.cascade.runner import Cascade
from triage_node.cli import evaluate_commands
from triage_node.core.errors import ConfigurationRejected
from triage_node.training.datasets import open_dataset, subject_digest
from triage_node.training.predictions import COLUMNS, read_predictions
from triage_node.training.release_reading import ReleaseReader, read_dataset, trained_on
from triage_node.training.sources import described_sources

app = typer.Typer()
evaluate_commands.register(app)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


@pytest.fixture
def table(tmp_path: Path) -> Path:
    chance = np.random.default_rng(0)
    lines = [",".join(COLUMNS)]
    for index in range(30):
        bleeds = index % 2
        scores = np.clip(0.5 + (bleeds - 0.5) * 0.6 + chance.normal(0, 0.2, 6), 0, 1)
        lines.append(f"P{index},,0," + ",".join(f"{each:.3f}" for each in scores) + f",{bleeds},{bleeds},0,0,0,0")
    (tmp_path / "sli.csv").write_text("\n".join(lines) + "\n")
    return tmp_path / "sli.csv"


def test_the_command_prints_table_3_and_writes_the_report(table: Path, tmp_path: Path) -> None:
    result = run(str(table), "--out", str(tmp_path / "out"))
    assert result.exit_code == 0, result.output
    for words in ("Sensitivity", "CPH", "30 subjects, 15 with hemorrhage", "gate", "Research use only"):
        assert words in result.output
    assert {each.name for each in (tmp_path / "out").iterdir()} == {"evaluation.html", "evaluation.json"}


def test_the_command_prints_the_reports_json(table: Path, tmp_path: Path) -> None:
    result = run(f"mine={table}", "--json", "--threshold", "0.6", "--out", str(tmp_path / "out"))
    printed = json.loads(result.output)
    assert printed == json.loads((tmp_path / "out/evaluation.json").read_text())
    assert printed["models"][0]["name"] == "mine"
    assert printed["thresholds"]["subject"] == 0.6


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "give either PREDICTIONS.csv or --data"),
        (["{table}", "--data", "ct-ich:."], "give either PREDICTIONS.csv or --data"),
        (["{table}", "{table}"], "two models are called sli"),
        (["{table}", "--slices"], "it holds no slices"),
        (["{table}", "--regions", "."], "need --data"),
        (["{table}", "--run", "."], "need --data"),
        (["--data", "ct-ich:.", "--run", ".", "--release", "x"], "leave --release and --shadow out"),
        (["missing.csv"], "missing.csv: it cannot be read"),
        (["--data", "ct-ich"], "Write SOURCE:FOLDER"),
    ],
)
def test_bad_input_is_one_clear_message(table: Path, tmp_path: Path, arguments: list[str], said: str) -> None:
    out = tmp_path / "out"
    result = run(*(each.format(table=table) for each in arguments), "--out", str(out))
    assert isinstance(result.exception, ConfigurationRejected)  # the entry point prints it and exits with 2
    assert said in str(result.exception)
    assert not out.exists()


# a release over a data set -------------------------------------------------------------------------------------------

HEADER = (
    "PatientNumber,SliceNumber,Intraventricular,Intraparenchymal,Subarachnoid,Epidural,Subdural,"
    "No_Hemorrhage,Fracture_Yes_No"
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """CT-ICH's layout with two small patients: discs of brain in bone, one with a bright spot."""
    folder = tmp_path_factory.mktemp("ct_ich")
    rows, columns = np.mgrid[:128, :128]
    radius = np.hypot(rows - 64, columns - 64)
    lines = [HEADER]
    for patient in (1, 2):
        for number in range(1, 5):
            bleeds = patient == 1 and number == 2
            brain = np.where(radius < 50, 110, np.where(radius < 55, 255, 0))
            if bleeds:
                brain[40:56, 40:56] = 200
            bone = np.where(radius < 50, 60, np.where(radius < 55, 160, 0))
            for window, grey in (("brain", brain), ("bone", bone)):
                path = folder / f"{patient:03d}" / window / f"{number:02d}.jpg"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(grey.astype(np.uint8)).save(path, quality=95)
            lines.append(f"{patient},{number},0,{int(bleeds)},0,0,0,{int(not bleeds)},0")
    (folder / "hemorrhage_diagnosis.csv").write_text("\n".join(lines) + "\n")
    drawn = np.zeros((128, 128), dtype=np.uint8)
    drawn[40:56, 40:56] = 255
    Image.fromarray(drawn).save(folder / "mask.png")
    (folder / "masks.csv").write_text("PatientNumber,SliceNumber,file\n1,2,mask.png\n")
    return folder


def write_random_release(home: Path, training: dict[str, object]) -> Path:
    torch.manual_seed(0)
    description = ReleaseDescription(
        name="random",
        version="0",
        calibrations=uncalibrated(),
        trained_prevalence=0.4,
        operating_points={"balanced": paper_operating_point()},
        training=training,
        model_card="made for a test",
    )
    return write_release(home, [CascadeNetwork(Architecture()).eval()], description)


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    digests = [subject_digest("ct-ich", "CTICH-002", "salt")]
    training = {"sources": {"ct-ich": {"subject_digests": digests, "subject_digest_salt": "salt"}}}
    return write_random_release(tmp_path_factory.mktemp("weights"), training)


def test_a_release_is_refused_on_patients_it_was_trained_on(data: Path, release: Path, tmp_path: Path) -> None:
    result = run("--data", f"ct-ich:{data}", "--release", str(release), "--out", str(tmp_path / "out"))
    assert "random was trained on 1 of these 2 patients (for example CTICH-002)" in str(result.exception)
    assert not (tmp_path / "out").exists()


def test_weights_of_another_architecture_are_told_in_one_line_with_what_to_do(
    data: Path, release: Path, tmp_path: Path
) -> None:
    other = shutil.copytree(release, tmp_path / "other")
    manifest = json.loads((other / "manifest.json").read_text())
    manifest["architecture"]["units"] += 8
    (other / "manifest.json").write_text(json.dumps(manifest))
    result = run("--data", f"ct-ich:{data}", "--release", str(other), "--out", str(tmp_path / "out"))
    assert isinstance(result.exception, ConfigurationRejected)
    said = str(result.exception)
    assert "member_1.safetensors does not fit the architecture" in said
    assert "restore weights and manifest together from one release" in said
    assert "\n" not in said
    assert len(said) < 800
    assert not (tmp_path / "out").exists()


def test_an_image_that_cannot_be_read_is_named_and_nothing_is_left(data: Path, tmp_path: Path) -> None:
    release = write_random_release(tmp_path / "weights", {})
    broken = shutil.copytree(data, tmp_path / "data")
    (broken / "002/bone/03.jpg").write_bytes(b"no picture")
    result = run("--data", f"ct-ich:{broken}", "--release", str(release), "--out", str(tmp_path / "out"))
    assert isinstance(result.exception, ConfigurationRejected)
    assert "002/bone/03.jpg: the image cannot be read" in str(result.exception)
    assert not (tmp_path / "out").exists()


def test_a_file_in_the_place_of_the_reports_folder_is_told(table: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    result = run(str(table), "--out", str(tmp_path / "out"))
    assert isinstance(result.exception, ConfigurationRejected)
    assert "out cannot be made a folder" in str(result.exception)


def test_an_operator_who_insists_is_warned(data: Path, release: Path, tmp_path: Path) -> None:
    arguments = ["--data", f"ct-ich:{data}", "--release", str(release), "--even-if-trained-on", "--slices", "--json"]
    result = run(*arguments, "--regions", str(data), "--out", str(tmp_path / "out"))
    assert result.exit_code == 0, result.exception
    printed = json.loads(result.stdout)
    assert "must not be reported" in printed["seen_in_training"][0]
    assert "Not figures of unseen patients" in (tmp_path / "out/evaluation.html").read_text()
    assert (printed["subjects"], printed["slices"], printed["heatmaps"]["slices"]) == (2, 8, 1)
    kept = read_predictions(tmp_path / "out/predictions_random.csv")
    assert kept.subjects == ("CTICH-001", "CTICH-002")


def test_scores_are_the_nodes_own(data: Path, release: Path) -> None:
    cascade = Cascade.load(release, device="cpu")
    scans = open_dataset(f"ct-ich:{data}").scans
    predictions = read_dataset(ReleaseReader(cascade), scans)
    volume = scans[0].load()
    finding = cascade.read_volume(volume.volume_hu, volume.slice_spacing_mm, scans[0].slice_ids).finding
    assert predictions.scores[0, 0] == pytest.approx(finding.ich_probability, abs=1e-5)
    assert predictions.slices is not None
    slices = [each.ich_probability for each in finding.slices]
    np.testing.assert_allclose(predictions.slices.scores[:4, 0], slices, atol=1e-5)
    if finding.subtypes is not None:
        np.testing.assert_allclose(predictions.scores[0, 1:], list(finding.subtypes.values()), atol=1e-5)


def test_a_manifest_that_names_the_source_alone_cannot_clear_a_patient() -> None:
    found = trained_on({"sources": {"ct-ich": {"licence": "CC BY 4.0"}}}, "ct-ich", ["CTICH-001"])
    assert found.source_named_without_subjects
    assert not trained_on({"sources": {"cq500": {}}}, "ct-ich", ["CTICH-001"]).source_named_without_subjects
    assert not trained_on({}, "ct-ich", ["CTICH-001"]).subjects


def test_a_manifest_keeps_digests_of_the_patients_and_no_names(data: Path) -> None:
    dataset = open_dataset(f"ct-ich:{data}")
    described = described_sources([dataset])
    assert "CTICH" not in json.dumps(described)
    assert trained_on({"sources": described}, "ct-ich", ["CTICH-001", "CTICH-009"]).subjects == ("CTICH-001",)
    again = described_sources([dataset])
    assert not set(described["ct-ich"]["subject_digests"]) & set(again["ct-ich"]["subject_digests"])


def test_two_data_sets_of_one_source_are_described_together(data: Path) -> None:
    dataset = open_dataset(f"ct-ich:{data}")
    other = replace(dataset, scans=tuple(replace(each, subject=f"other-{each.subject}") for each in dataset.scans))
    described = described_sources([dataset, other])["ct-ich"]
    assert (described["scans"], len(described["subject_digests"])) == (4, 4)
