import pytest
import torch

from triage_node.cascade.network import CLASS_ORDER, Architecture, CascadeNetwork
from triage_node.cascade.sequence_model import RECURRENCES, SUBJECT_HEADS, SequenceModel
from triage_node.cascade.slice_encoder import BACKBONES, SliceEncoder
from triage_node.core.finding import SUBTYPES


def macs(network: torch.nn.Module, shown: torch.Tensor) -> int:
    counted = []

    def count(module, _inputs, output):
        counted.append(module.weight[0].numel() * output.shape[1] * output.shape[2] * output.shape[3])

    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_hook(count)
    with torch.inference_mode():
        network(shown)
    return sum(counted)


@pytest.mark.parametrize("neighbours", [False, True])
def test_the_default_backbone_stays_within_its_budget(neighbours):
    channels = Architecture(neighbours=neighbours).input_channels
    encoder = SliceEncoder("plain10", channels).eval()
    assert macs(encoder, torch.rand(1, channels, 256, 256)) <= 0.4e9
    assert sum(each.numel() for each in encoder.parameters()) < 1.3e6
    assert encoder(torch.rand(1, channels, 256, 256)).last_map.shape == (1, 256, 16, 16)


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("channels", [3, 5])
def test_every_backbone_gives_a_map_and_pooled_features(backbone, channels):
    encoder = SliceEncoder(backbone, channels).eval()
    with torch.inference_mode():
        encoding = encoder(torch.rand(2, channels, 64, 64))
    assert encoding.last_map.shape[:2] == (2, encoder.channels)
    assert encoding.features.shape == (2, encoder.feature_count)


def test_an_unknown_third_window_is_refused_by_name():
    with pytest.raises(ValueError, match="third_window must be one of bone, soft_tissue, not 'stroke'"):
        Architecture(third_window="stroke")


def test_an_unknown_backbone_is_refused_by_name():
    with pytest.raises(ValueError, match="no backbone named 'vgg19'"):
        SliceEncoder("vgg19", 3)


@pytest.mark.parametrize("recurrence", RECURRENCES)
@pytest.mark.parametrize("subject_head", SUBJECT_HEADS)
@pytest.mark.parametrize("layers", [1, 2])
def test_padding_never_changes_what_a_scan_gets(recurrence, subject_head, layers):
    torch.manual_seed(3)
    model = SequenceModel(10, 5, recurrence=recurrence, subject_head=subject_head, layers=layers, units=16).eval()
    torch.nn.init.normal_(model.slice_head.weight)
    lengths = (7, 3, 12)
    scans = [(torch.randn(length, 10), torch.randn(length, 5)) for length in lengths]
    features, logits = torch.randn(3, 12, 10) * 50, torch.randn(3, 12, 5) * 50
    mask = torch.zeros(3, 12, dtype=torch.bool)
    for index, (own_features, own_logits) in enumerate(scans):
        features[index, : len(own_features)], logits[index, : len(own_features)] = own_features, own_logits
        mask[index, : len(own_features)] = True
    with torch.inference_mode():
        together = model(features, logits, mask)
        for index, (own_features, own_logits) in enumerate(scans):
            alone = model(own_features[None], own_logits[None], torch.ones(1, len(own_features), dtype=torch.bool))
            torch.testing.assert_close(together.subjects[index], alone.subjects[0], atol=1e-5, rtol=0)
            torch.testing.assert_close(together.slices[index, : len(own_features)], alone.slices[0], atol=1e-5, rtol=0)
            assert not together.slices[index, len(own_features) :].any()


@pytest.mark.parametrize("backbone", BACKBONES)
def test_a_scan_in_a_padded_batch_gets_from_the_whole_network_what_it_gets_alone(backbone):
    torch.manual_seed(3)
    network = CascadeNetwork(Architecture(backbone=backbone)).train()
    with torch.no_grad():
        network.encoder(torch.rand(4, 3, 64, 64))  # so that batch norms have seen something
    network.eval()
    torch.nn.init.normal_(network.detection.slice_head.weight, std=0.3)
    scans = [torch.rand(length, 3, 64, 64) for length in (3, 1, 4)]
    together, mask = torch.rand(3, 4, 3, 64, 64) * 5, torch.zeros(3, 4, dtype=torch.bool)
    for index, scan in enumerate(scans):
        together[index, : len(scan)], mask[index, : len(scan)] = scan, True

    def read(slices, mask):
        encoding = network.encoder(slices.flatten(0, 1))
        logits = network.cnn_logits(encoding.features, network.location_logits(encoding.last_map))
        features, logits = (each.view(*mask.shape, -1) for each in (encoding.features, logits))
        return network.stage_one(features, logits, mask), network.stage_two(features, logits, mask)

    with torch.inference_mode():
        of_batch = read(together, mask)
        for index, scan in enumerate(scans):
            of_scan = read(scan[None], torch.ones(1, len(scan), dtype=torch.bool))
            for batched, alone in zip(of_batch, of_scan, strict=True):
                torch.testing.assert_close(batched.subjects[index], alone.subjects[0], atol=1e-5, rtol=0)
                torch.testing.assert_close(batched.slices[index, : len(scan)], alone.slices[0], atol=1e-5, rtol=0)


def test_a_slice_is_read_in_the_light_of_its_neighbours():
    torch.manual_seed(3)
    model = SequenceModel(10, 1, units=16).eval()
    torch.nn.init.normal_(model.slice_head.weight)
    features, logits, mask = torch.randn(1, 6, 10), torch.zeros(1, 6, 1), torch.ones(1, 6, dtype=torch.bool)
    changed = features.clone()
    changed[0, 5] = torch.randn(10)
    with torch.inference_mode():
        before, after = model(features, logits, mask).slices, model(changed, logits, mask).slices
    assert (before[0, 0] - after[0, 0]).abs().item() > 1e-6


def test_a_shadow_on_one_slice_weighs_less_than_blood_on_three():
    model = SequenceModel(10, 1, units=16, subject_head="cnn_neighbours").eval()
    features, mask = torch.zeros(2, 8, 10), torch.ones(2, 8, dtype=torch.bool)
    logits = torch.full((2, 8, 1), -4.0)
    logits[0, 3], logits[1, 3:6] = 4.0, 3.0
    with torch.inference_mode():
        once, thrice = model(features, logits, mask).subjects[:, 0].tolist()
    assert once == pytest.approx(0.0, abs=0.1)
    assert thrice == pytest.approx(3.0, abs=0.1)


def test_stage_two_may_read_the_subject_by_another_head_than_stage_one():
    own = CascadeNetwork(Architecture(subject_head="cnn_neighbours", subtype_head="log_sum_exp"))
    assert own.detection.subject_head_name == "cnn_neighbours"
    assert own.typing.subject_head_name == "log_sum_exp"
    earlier_manifest = {"subject_head": "cnn_neighbours"}
    alike = CascadeNetwork(Architecture.from_mapping(earlier_manifest))
    assert alike.typing.subject_head_name == "cnn_neighbours"
    with pytest.raises(ValueError, match=r"subtype_head must be one of pooled, .*, not 'loudest'"):
        Architecture(subtype_head="loudest")


def test_both_stages_read_the_same_features():
    network = CascadeNetwork(Architecture()).eval()
    with torch.inference_mode():
        encoding = network.encoder(torch.rand(4, 3, 64, 64))
        logits = network.cnn_logits(encoding.features, network.location_logits(encoding.last_map))
        mask = torch.ones(1, 4, dtype=torch.bool)
        one = network.stage_one(encoding.features[None], logits[None], mask)
        two = network.stage_two(encoding.features[None], logits[None], mask)
    assert logits.shape == (4, len(CLASS_ORDER))
    assert one.subjects.shape == (1, 1)
    assert two.subjects.shape == (1, len(SUBTYPES))
    assert two.slices.shape == (1, 4, len(SUBTYPES))
