import hashlib
import json
import math

import pytest
import torch
from safetensors.torch import load_file, save_file

from triage_node.cascade import release_writer, self_test, weights
from triage_node.cascade.network import Architecture
from triage_node.cascade.runner import Cascade
from triage_node.cascade.self_test import reference_volume, run_self_test
from triage_node.cascade.weights import WeightsRejected, read_release


def edit_manifest(folder, **changes):
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text()) | changes
    path.write_text(json.dumps(manifest))


def rehash(folder):
    digest = weights.file_sha256(folder / "member_1.safetensors")
    edit_manifest(folder, files={"member_1.safetensors": digest})
    path = folder / "operating_points.json"
    points = json.loads(path.read_text())
    points["weights_sha256"] = weights.combined_sha256((("member_1.safetensors", digest),))
    path.write_text(json.dumps(points))


def test_a_release_that_was_written_can_be_loaded(make_release):
    folder = make_release(members=2)
    release = read_release(folder)
    assert release.name == "random"
    assert len(weights.load_networks(release)) == 2
    assert set(release.operating_points) == {"balanced", "always", "never"}


def test_a_changed_byte_names_file_and_both_hashes(make_release):
    folder = make_release()
    path = folder / "member_1.safetensors"
    expected = weights.file_sha256(path)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(WeightsRejected) as raised:
        Cascade.load(folder, device="cpu")
    for part in (str(path), expected, weights.file_sha256(path), "restore"):
        assert part in str(raised.value)


def test_missing_weights_are_named(make_release):
    folder = make_release()
    (folder / "member_1.safetensors").unlink()
    with pytest.raises(WeightsRejected, match=r"member_1\.safetensors is missing"):
        read_release(folder)


def test_weights_with_nan_are_refused(make_release):
    folder = make_release()
    path = folder / "member_1.safetensors"
    tensors = load_file(path)
    tensors["feature_head.bias"][2] = torch.nan
    save_file(tensors, path)
    rehash(folder)
    with pytest.raises(WeightsRejected, match=r"NaN or infinity in feature_head\.bias"):
        Cascade.load(folder, device="cpu")


def test_weights_of_another_architecture_are_refused(make_release):
    folder = make_release()
    architecture = read_release(folder).architecture.as_mapping() | {"units": 64}
    edit_manifest(folder, architecture=architecture)
    with pytest.raises(WeightsRejected, match="does not fit the architecture"):
        Cascade.load(folder, device="cpu")


def test_an_unknown_backbone_is_refused(make_release):
    folder = make_release()
    edit_manifest(folder, architecture=read_release(folder).architecture.as_mapping() | {"backbone": "vit"})
    with pytest.raises(WeightsRejected, match="vit"):
        Cascade.load(folder, device="cpu")


def test_another_class_order_is_refused(make_release):
    folder = make_release()
    edit_manifest(folder, class_order=["any", "EDH", "IVH", "SDH", "CPH", "SAH"])
    with pytest.raises(WeightsRejected, match="class order"):
        read_release(folder)


def test_windows_other_than_the_architectures_are_refused(make_release):
    folder = make_release()
    described = read_release(folder).architecture.as_mapping()
    edit_manifest(folder, architecture=described | {"third_window": "soft_tissue"})
    with pytest.raises(WeightsRejected, match="this version makes"):
        read_release(folder)


def test_a_manifest_without_a_third_window_means_bone(make_release):
    folder = make_release()
    described = read_release(folder).architecture.as_mapping()
    del described["third_window"]
    edit_manifest(folder, architecture=described)
    assert read_release(folder).architecture.third_window == "bone"


def test_another_input_is_refused(make_release):
    folder = make_release()
    edit_manifest(folder, input={**weights.expected_input(read_release(folder).architecture), "size": 512})
    with pytest.raises(WeightsRejected, match="this version makes"):
        read_release(folder)


def test_a_network_that_sees_neighbours_says_so_in_its_input():
    alone, beside = (weights.expected_input(Architecture(neighbours=each)) for each in (False, True))
    assert beside == {**alone, "neighbours_center_width_hu": [[40, 80], [40, 80]]}


def test_operating_points_of_other_weights_are_refused(make_release):
    folder = make_release()
    path = folder / "operating_points.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"weights_sha256": "0" * 64}))
    with pytest.raises(WeightsRejected, match="measured for other weights"):
        read_release(folder)


def test_an_unknown_operating_point_names_those_there_are(make_release):
    with pytest.raises(WeightsRejected, match="balanced, always, never"):
        Cascade.load(make_release(), device="cpu", operating_point="bold")


@pytest.mark.parametrize("content", ["", "[]", "{"])
def test_a_broken_manifest_is_refused(make_release, content):
    folder = make_release()
    (folder / "manifest.json").write_text(content)
    with pytest.raises(WeightsRejected, match=r"manifest\.json"):
        read_release(folder)


def test_a_manifest_cannot_reach_outside_its_folder(make_release):
    folder = make_release()
    edit_manifest(folder, files={"../elsewhere.safetensors": "0" * 64})
    with pytest.raises(WeightsRejected, match="release folder"):
        read_release(folder)


def test_a_pickle_is_not_read(make_release):
    folder = make_release()
    torch.save({"feature_head.bias": torch.zeros(6)}, folder / "member_1.safetensors")
    rehash(folder)
    with pytest.raises(WeightsRejected, match="not a readable safetensors file"):
        Cascade.load(folder, device="cpu")


def test_the_reference_volume_never_changes():
    volume = reference_volume()
    assert volume.shape == (6, 224, 192)
    digest = hashlib.sha256(volume.astype("<i2").tobytes()).hexdigest()
    assert digest == "e9f21cbd1ea8de975ee11b97cc42adb8000d4848497a6559d0260b7cbdb9cdd0"


def test_the_self_test_passes_on_the_machine_that_wrote_it(make_release):
    cascade = Cascade.load(make_release(), device="cpu")
    assert run_self_test(cascade) <= 1e-5


def test_the_self_test_finds_a_wrong_number(make_release):
    folder = make_release()
    path = folder / "reference_output.json"
    described = json.loads(path.read_text())
    described["logits"]["subject"][0] += 0.01
    path.write_text(json.dumps(described))
    with pytest.raises(WeightsRejected, match="logits differ by"):
        run_self_test(Cascade.load(folder, device="cpu"))


@pytest.mark.parametrize("head", ["subject", "slices", "subtypes", "subtype_slices"])
def test_the_self_test_finds_what_is_no_number(make_release, monkeypatch, head):
    cascade = Cascade.load(make_release(), device="cpu")
    computed = self_test.measured(cascade)
    monkeypatch.setattr(self_test, "measured", lambda _: computed | {head: [math.nan] * len(computed[head])})
    with pytest.raises(WeightsRejected, match="logits differ by nan"):
        run_self_test(cascade)


@pytest.mark.parametrize("content", ["[]", "{}", '{"logits": [], "tolerance": 1}', '{"logits": {}, "tolerance": null}'])
def test_a_reference_output_of_another_shape_is_named(make_release, content):
    cascade = Cascade.load(make_release(), device="cpu")
    (cascade.release.folder / "reference_output.json").write_text(content)
    with pytest.raises(WeightsRejected, match=r"reference_output\.json cannot be used"):
        run_self_test(cascade)


def test_files_of_another_shape_are_named_as_malformed(make_release):
    folder = make_release()
    edit_manifest(folder, files=["member_1.safetensors"])
    with pytest.raises(WeightsRejected, match=r"manifest\.json is incomplete or malformed"):
        read_release(folder)


@pytest.mark.parametrize("points", [[], {"balanced": []}, {"balanced": {"threshold": 0.5}}, {"balanced": None}])
def test_operating_points_of_another_shape_are_named_as_malformed(make_release, points):
    folder = make_release()
    path = folder / "operating_points.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"points": points}))
    with pytest.raises(WeightsRejected, match=r"operating_points\.json is incomplete or malformed"):
        read_release(folder)


def test_a_release_that_cannot_be_written_leaves_nothing(make_release, tmp_path, monkeypatch):
    def fail(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr(release_writer, "_write_json", fail)
    with pytest.raises(OSError, match="No space left"):
        make_release()
    assert not list((tmp_path / "model_weights").iterdir())
