import torch

from triage_node.cascade.network import Architecture, CascadeNetwork
from triage_node.cascade.saliency import slice_activation, subject_activation
from triage_node.cascade.slice_encoder import pooled


def random_network(seed):
    torch.manual_seed(seed)
    network = CascadeNetwork(Architecture()).eval()
    torch.nn.init.normal_(network.detection.slice_head.weight, std=0.3)
    return network


def last_map_of(network, slices=5):
    torch.manual_seed(2)
    with torch.inference_mode():
        return network.encoder(torch.rand(slices, 3, 64, 64)).last_map


def test_the_cnn_is_not_run_again():
    network = random_network(1)
    last_map = last_map_of(network)

    def fail(*_):
        raise AssertionError("the encoder ran")

    network.encoder.register_forward_hook(fail)
    assert slice_activation(network, last_map, [1, 3]).shape == (2, 4, 4)
    assert subject_activation(network, last_map).shape == (5, 4, 4)


def test_heat_lies_between_zero_and_one():
    network = random_network(1)
    for heat in (
        slice_activation(network, last_map_of(network), range(5)),
        subject_activation(network, last_map_of(network)),
    ):
        assert heat.min() >= 0
        assert heat.max() <= 1


def test_slices_explained_together_get_what_each_gets_alone():
    network = random_network(4)
    last_map = last_map_of(network)
    together = slice_activation(network, last_map, range(5))
    for index in range(5):
        torch.testing.assert_close(
            slice_activation(network, last_map, [index])[0], together[index], atol=1e-5, rtol=1e-4
        )


def test_the_gradient_is_that_of_the_whole_network():
    network = random_network(6)
    last_map = last_map_of(network).clone().requires_grad_(True)
    features = pooled(last_map)
    logits = network.cnn_logits(features, network.location_logits(last_map))
    scored = network.stage_one(features[None], logits[None], torch.ones(1, 5, dtype=torch.bool))
    (gradient,) = torch.autograd.grad(scored.slices[0, 2, 0], last_map)
    heat = torch.relu((gradient[2].mean(dim=(1, 2), keepdim=True) * last_map[2]).sum(dim=0)).detach()
    expected = heat / heat.max() if heat.max() > 1e-6 else heat
    torch.testing.assert_close(slice_activation(network, last_map, [2])[0], expected, atol=1e-5, rtol=1e-4)


def test_no_slice_asked_for_gives_no_heatmap():
    network = random_network(1)
    assert slice_activation(network, last_map_of(network), []).shape == (0, 4, 4)
