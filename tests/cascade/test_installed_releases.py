import json
import os
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from triage_node.cascade import installed_releases as installed
from triage_node.cascade.measured_rates import measured_rates
from triage_node.cascade.weights import (
    WeightsRejected,
    active_release_folder,
    combined_sha256,
    file_sha256,
    read_release,
    release_names,
)


def rename(folder, name):
    """Give a release another name in its manifest."""
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"name": name}))


def break_tensors(folder):
    """Put a NaN into a release whose hashes are all right."""
    path = folder / "member_1.safetensors"
    tensors = load_file(path)
    tensors["feature_head.bias"][2] = torch.nan
    save_file(tensors, path)
    members = ((path.name, file_sha256(path)),)
    for name, changed in {
        "manifest.json": {"files": dict(members)},
        "operating_points.json": {"weights_sha256": combined_sha256(members)},
        "reference_output.json": {"weights_sha256": combined_sha256(members)},
    }.items():
        file = folder / name
        file.write_text(json.dumps(json.loads(file.read_text()) | changed))


def drop(name):
    return lambda folder: (folder / name).unlink()


def cut_short(folder):
    path = folder / "member_1.safetensors"
    os.truncate(path, path.stat().st_size // 2)


BROKEN = [
    (drop("manifest.json"), r"manifest\.json is missing"),
    (drop("operating_points.json"), r"operating_points\.json is missing"),
    (drop("reference_output.json"), r"reference_output\.json"),
    (drop("model_card.md"), r"model_card\.md is missing"),
    (drop("member_1.safetensors"), r"member_1\.safetensors is missing"),
    (cut_short, r"member_1\.safetensors is not what the manifest describes"),
    (break_tensors, "NaN or infinity"),
]


def test_activation_is_remembered_and_rolled_back(make_release):
    folder = make_release("first").parent
    make_release("second", seed=5)
    installed.activate(folder, "first")
    installed.activate(folder, "second")
    assert active_release_folder(folder).name == "second"
    assert installed.rollback(folder) == "first"
    assert active_release_folder(folder).name == "first"


def test_what_the_active_release_was_measured_at_is_known_after_a_change_of_release(make_release):
    folder = make_release("first").parent
    path = make_release("second", seed=5) / "operating_points.json"
    content = json.loads(path.read_text())
    figure = {"value": 0.9, "n": 40}
    content["points"]["balanced"]["measured"] = {"sensitivity": figure, "specificity": figure}
    path.write_text(json.dumps(content))
    for name in ("first", "second"):
        installed.activate(folder, name)
    rates = measured_rates(folder, None, "balanced")
    assert rates is not None
    assert (rates.release, rates.sensitivity) == ("second", 0.9)


@pytest.mark.parametrize(("damage", "said"), BROKEN)
def test_a_release_that_no_worker_would_load_is_neither_activated_nor_added(make_release, tmp_path, damage, said):
    folder = make_release("first").parent
    installed.activate(folder, "first")
    damage(make_release("second", seed=5))
    if (folder / "second/manifest.json").exists():
        with pytest.raises(WeightsRejected, match=said):
            installed.activate(folder, "second")
    assert (folder / "active").read_text() == "first\n"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    with pytest.raises(WeightsRejected, match=said):
        installed.add_release(elsewhere, folder / "second")
    assert not list(elsewhere.iterdir())


def test_a_release_is_not_activated_under_a_name_that_reports_would_not_give(make_release):
    folder = make_release("first").parent
    shutil.copytree(folder / "first", folder / "second")
    with pytest.raises(WeightsRejected, match="is of the release 'first'"):
        installed.activate(folder, "second")
    assert not (folder / "active").exists()


def test_nothing_to_roll_back_to_is_said(make_release):
    folder = make_release("first").parent
    installed.activate(folder, "first")
    with pytest.raises(WeightsRejected, match="no release before"):
        installed.rollback(folder)


def test_a_release_is_added_whole_and_once_and_nothing_else_with_it(make_release, tmp_path):
    source = make_release()
    (source / "notes.pkl").write_bytes(b"a pickle that nobody asked for")
    (source / "configuration.toml").write_text('name = "random"\n')
    there = tmp_path / "node"
    assert installed.add_release(there, source) == "random"
    assert read_release(there / "random").weights_sha256 == read_release(source).weights_sha256
    assert not (there / "random/notes.pkl").exists()
    assert (there / "random/configuration.toml").read_text() == 'name = "random"\n'
    with pytest.raises(WeightsRejected, match="already"):
        installed.add_release(there, source)
    assert [each.name for each in there.iterdir()] == ["random"]


def test_a_name_with_spaces_can_be_activated(make_release, tmp_path):
    source = make_release()
    rename(source, "second try")
    there = tmp_path / "node"
    installed.activate(there, installed.add_release(there, source))
    assert active_release_folder(there).name == "second try"


@pytest.mark.parametrize("name", ["../up", "a/b", ".hidden", "..", "two\nlines", " ", ""])
def test_a_name_that_is_no_folder_name_is_refused(make_release, tmp_path, name):
    source = make_release()
    rename(source, name)
    with pytest.raises(WeightsRejected, match="no folder name"):
        installed.add_release(tmp_path / "node", source)
    assert not (tmp_path / "node").exists()


def test_the_rest_of_a_copy_that_was_cut_off_is_no_release_and_is_replaced(make_release, tmp_path):
    source = make_release()
    there = tmp_path / "node"
    left = there / ".random.draft"
    left.mkdir(parents=True)
    shutil.copy(source / "manifest.json", left)
    assert release_names(there) == []
    installed.add_release(there, source)
    assert [each.name for each in there.iterdir()] == ["random"]


def test_a_folder_that_cannot_be_written_is_named(make_release, tmp_path):
    source, blocked = make_release(), tmp_path / "blocked"
    blocked.write_text("a file where the folder of releases should be")
    with pytest.raises(WeightsRejected, match="blocked cannot take the release"):
        installed.add_release(blocked, source)
    (source.parent / "active.new").mkdir()
    with pytest.raises(WeightsRejected, match="active cannot be written"):
        installed.activate(source.parent, source.name)


@pytest.mark.parametrize("source", ["nothing", "file"])
def test_what_is_no_folder_is_not_added(tmp_path, source):
    (tmp_path / "file").write_text("no release")
    with pytest.raises(WeightsRejected, match="is no folder"):
        installed.add_release(tmp_path / "node", tmp_path / source)
