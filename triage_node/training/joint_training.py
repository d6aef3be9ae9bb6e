"""End-to-end training on whole scans: the paper's own way, here the last and short phase.

In: a network whose encoder and RNNs are trained. Out: the same network, fine-tuned. Batch norm keeps its statistics:
those over the slices of a few scans mislead.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import nn

from triage_node.cascade.network import CascadeNetwork
from triage_node.cascade.slice_encoder import pooled
from triage_node.training.augmentation import augmented
from triage_node.training.batches import AllowedScans
from triage_node.training.configuration import RunConfiguration
from triage_node.training.encoder_training import Progress, Report, mixed_precision, seeded_generator
from triage_node.training.losses import positive_weights
from triage_node.training.schedule import cosine_factor, grouped_parameters
from triage_node.training.sequence_training import ScanFeatures, scan_labels, scan_loss, scan_volume

_MADE_UP_SHARE = 0.34


def _frozen_norms(network: nn.Module) -> None:
    """Put a network in training mode, all but its batch norms."""
    network.train()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()


def _encoded_scan(
    network: CascadeNetwork,
    part: AllowedScans,
    scan: int,
    configuration: RunConfiguration,
    chance: torch.Generator,
) -> ScanFeatures:
    """Encode one augmented scan with gradient."""
    device = chance.device
    volume_hu = scan_volume(part.bank, scan, network.architecture).to(device)
    together = torch.zeros(len(volume_hu), dtype=torch.long, device=device)
    size, windows = configuration.joint.size, network.architecture.windows
    shown, _ = augmented(volume_hu, None, together, size, windows, configuration.augmentation, chance)
    with mixed_precision(device, configuration.optimization.mixed_precision):
        last_map = network.encoder(shown).last_map
        features = pooled(last_map)
        logits = network.cnn_logits(features, network.location_logits(last_map))
    labels, subject_labels = scan_labels(part.bank, scan, configuration.labels)
    return ScanFeatures(features.float(), logits.float(), labels, subject_labels, part.bank.kinds[scan] == "real")


def train_jointly(
    network: CascadeNetwork,
    allowed: Mapping[str, AllowedScans],
    configuration: RunConfiguration,
    device: torch.device,
    seed: int,
    job: str,
    report: Report,
) -> list[dict[str, float]]:
    """Fine-tune everything on whole scans; nothing is done where the phase has no steps."""
    phase, settings = configuration.joint, configuration.optimization
    if phase.steps <= 0:
        return []
    optimizer = torch.optim.AdamW(grouped_parameters(network, settings.weight_decay), lr=phase.learning_rate)
    real = allowed["real"]
    weights = positive_weights(torch.nan_to_num(torch.from_numpy(real.bank.subject_labels[real.scans]))).to(device)
    weights[0] = 1.0
    positive = real.bank.subject_labels[real.scans, 0] == 1
    share = np.where(positive, 0.5 / max(positive.sum(), 1), 0.5 / max((~positive).sum(), 1))
    made_up = [part for kind, part in allowed.items() if kind != "real"]
    curve, recent = [], float("nan")
    for step in range(phase.steps):
        draw = np.random.default_rng([seed, 17, step])
        chance = seeded_generator(device, seed, 17, step)
        _frozen_norms(network)
        batch = []
        for _ in range(phase.scans):
            if made_up and draw.random() < _MADE_UP_SHARE:
                part = made_up[int(draw.integers(len(made_up)))]
                scan = int(draw.choice(part.scans))
            else:
                part, scan = real, int(draw.choice(real.scans, p=share / share.sum()))
            batch.append(_encoded_scan(network, part, scan, configuration, chance))
        for group in optimizer.param_groups:
            group["lr"] = phase.learning_rate * cosine_factor(
                step, phase.steps, min(settings.warm_up_steps, phase.steps // 4)
            )
        loss = scan_loss(network, batch, configuration.labels, weights)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), settings.clip_norm)
        optimizer.step()
        recent = float(loss.detach()) if step == 0 else 0.97 * recent + 0.03 * float(loss.detach())
        report(Progress(job, "joint", step + 1, phase.steps, recent))
        if (step + 1) % 25 == 0:
            curve.append({"step": float(step + 1), "loss": recent})
    network.eval()
    return curve
