"""``triage-node weights`` as an administrator runs it: what it prints, its exit status, and what it leaves behind."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from triage_node.__main__ import main
from triage_node.cascade.network import Architecture, CascadeNetwork
from triage_node.cascade.release_writer import (
    ReleaseDescription,
    paper_operating_point,
    uncalibrated,
    write_release,
)
from triage_node.cascade.weights import combined_sha256, file_sha256

ARCHITECTURE = Architecture(input_size=64, units=16)
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two releases of random weights, `older` active."""
    home = tmp_path_factory.mktemp("model_weights")
    for seed, name in enumerate(("older", "newer")):
        torch.manual_seed(seed)
        described = ReleaseDescription(
            name,
            "1",
            uncalibrated(),
            0.4,
            {"balanced": paper_operating_point()},
            {"sources": {}},
            f"# Card of {name}\n",
        )
        write_release(home, [CascadeNetwork(ARCHITECTURE).eval()], described)
    (home / "active").write_text("older\n")
    return home


@pytest.fixture
def home(written: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(written, tmp_path / "model_weights"))


@pytest.fixture
def run(home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    def weights(*arguments: object) -> tuple[int, str, str]:
        words = ["triage-node", "weights", *map(str, arguments), "--model-weights", str(home)]
        monkeypatch.setattr(sys, "argv", words)
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        assert "Traceback" not in printed.err
        return int(ended.value.code or 0), printed.out, printed.err

    return weights


def replace_tensors(release: Path, change: Callable[[dict[str, torch.Tensor]], None]) -> None:
    """Change a release's tensors and every hash that is tied to them."""
    path = release / "member_1.safetensors"
    before, tensors = file_sha256(path), load_file(path)
    change(tensors)
    save_file(tensors, path)
    manifest = release / "manifest.json"
    manifest.write_text(manifest.read_text().replace(before, file_sha256(path)))
    for name in ("operating_points.json", "reference_output.json"):
        content = json.loads((release / name).read_text())
        content["weights_sha256"] = combined_sha256((("member_1.safetensors", file_sha256(path)),))
        (release / name).write_text(json.dumps(content))


def put_nan(release: Path) -> None:
    def change(tensors: dict[str, torch.Tensor]) -> None:
        next(each for each in tensors.values() if each.is_floating_point()).view(-1)[0] = float("nan")

    replace_tensors(release, change)


def change_a_byte(release: Path) -> None:
    path = release / "member_1.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))


def claim_another_architecture(release: Path) -> None:
    manifest = json.loads((release / "manifest.json").read_text())
    manifest["architecture"]["units"] = 32
    (release / "manifest.json").write_text(json.dumps(manifest))


def drop_a_tensor(release: Path) -> None:
    replace_tensors(release, lambda tensors: tensors.__delitem__("encoder.backbone.0.0.weight"))


BROKEN = [
    (change_a_byte, ["member_1.safetensors", "expected SHA-256", "restore the file from its release"]),
    (put_nan, ["member_1.safetensors", "NaN", "train or fetch the weights again"]),
    (claim_another_architecture, ["member_1.safetensors", "does not fit the architecture"]),
    (drop_a_tensor, ["member_1.safetensors", "does not fit the architecture"]),
]


def test_list_marks_the_active_release(run: Run) -> None:
    status, printed, _ = run("list")
    assert status == 0
    assert [line[:8] for line in printed.splitlines()] == ["  newer ", "* older "]
    _, printed, _ = run("list", "--json")
    assert [(row["name"], row["active"], row["problem"]) for row in json.loads(printed)] == [
        ("newer", False, None),
        ("older", True, None),
    ]


def test_list_names_what_is_wrong_with_a_release_and_ends_with_1(run: Run, home: Path) -> None:
    change_a_byte(home / "newer")
    status, printed, _ = run("list")
    assert status == 1
    assert "newer" in printed
    assert "expected SHA-256" in printed
    assert "* older" in printed


def test_show_prints_card_architecture_and_operating_points(run: Run) -> None:
    status, printed, _ = run("show")
    assert status == 0
    assert "# Card of older" in printed
    assert "backbone plain10" in printed
    assert "operating point balanced: threshold 0.500\n" in printed
    _, printed, _ = run("show", "newer", "--json")
    shown = json.loads(printed)
    assert shown["architecture"]["units"] == 16
    assert shown["operating_points"]["balanced"]["threshold"] == 0.5


def test_verify_compares_with_the_reference_output(run: Run, home: Path) -> None:
    status, printed, _ = run("verify", "newer")
    assert status == 0
    assert "newer is sound" in printed
    reference = home / "newer/reference_output.json"
    computed = json.loads(reference.read_text())
    computed["logits"]["subject"][0] += 1.0
    reference.write_text(json.dumps(computed))
    status, _, said = run("verify", "newer")
    assert status == 2
    assert "reference_output.json: this machine's logits differ by 1" in said


@pytest.mark.parametrize(("damage", "words"), BROKEN)
def test_verify_and_add_refuse_broken_weights_and_copy_nothing(
    run: Run, home: Path, tmp_path: Path, damage: Callable[[Path], None], words: list[str]
) -> None:
    damage(home / "newer")
    status, _, said = run("verify", "newer")
    assert status == 2
    assert all(each in said for each in words), said
    (home / "newer").rename(tmp_path / "fetched")
    status, _, said = run("add", tmp_path / "fetched")
    assert status == 2
    assert all(each in said for each in words), said
    assert sorted(each.name for each in home.iterdir()) == ["active", "older"]


def test_add_activate_and_rollback(run: Run, home: Path, tmp_path: Path) -> None:
    (home / "newer").rename(tmp_path / "fetched")
    assert run("add", tmp_path / "fetched")[0] == 0
    assert run("list", "--json")[1].count('"active": true') == 1
    status, _, said = run("add", tmp_path / "fetched")
    assert (status, "already" in said) == (2, True)
    assert run("activate", "newer")[0] == 0
    assert (home / "active").read_text().split() == ["newer", "older"]
    status, printed, _ = run("rollback")
    assert (status, "older is active again" in printed) == (0, True)


def test_rollback_without_a_release_before_is_refused(run: Run) -> None:
    status, _, said = run("rollback")
    assert status == 2
    assert "weights activate" in said


@pytest.mark.parametrize("name", ["unheard-of", "newer", "../newer"])
def test_activation_of_what_cannot_be_used_changes_nothing(run: Run, home: Path, name: str) -> None:
    change_a_byte(home / "newer")
    status, _, said = run("activate", name)
    assert status == 2
    assert name in said
    assert (home / "active").read_text() == "older\n"


def test_a_name_that_is_no_release_names_those_there_are(run: Run) -> None:
    for command in ("show", "verify"):
        status, _, said = run(command, "unheard-of")
        assert status == 2
        assert "newer, older" in said
