"""Training both RNNs on cached features, then the whole network on whole scans.

In: a trained encoder. Out: the same network with both stages' sequence models trained. Features of several augmented
views of every scan are computed once; the RNNs then train in seconds. The joint phase runs end to end with batch norm
frozen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from triage_node.cascade.network import Architecture, CascadeNetwork
from triage_node.cascade.slice_encoder import pooled
from triage_node.training.augmentation import augmented
from triage_node.training.batches import AllowedScans, padded, trained_labels, valid_mask
from triage_node.training.configuration import RunConfiguration
from triage_node.training.encoder_training import Progress, Report, mixed_precision, seeded_generator
from triage_node.training.losses import label_loss, positive_weights
from triage_node.training.schedule import cosine_factor, grouped_parameters
from triage_node.training.slice_bank import SliceBank

_DROPPED_SLICE_SHARE = 0.1
_SHORTEST_SUBSEQUENCE = 0.6


@dataclass(frozen=True)
class ScanFeatures:
    """One augmented view of one scan.

    Attributes
    ----------
    features : (slices, features) and cnn_logits : (slices, 6)
    labels : (slices, 6) and subject_labels : (6,)
        NaN where unknown or not to be used in this label setting.
    real
        Whether the scan is a patient's own.
    """

    features: Tensor
    cnn_logits: Tensor
    labels: Tensor
    subject_labels: Tensor
    real: bool


def scan_volume(bank: SliceBank, scan: int, architecture: Architecture) -> Tensor:
    """One scan of a bank, as ``SliceBank.planes_hu`` gives it : (slices, 1 or 3, 256, 256), HU."""
    return torch.from_numpy(bank.planes_hu(np.arange(*bank.ranges[scan]), architecture.neighbours))


def scan_labels(bank: SliceBank, scan: int, setting: str) -> tuple[Tensor, Tensor]:
    """Labels of a scan's slices and of its subject, as a label setting may use them : (slices, 6) and (6,)."""
    slices = np.arange(*bank.ranges[scan])
    return torch.from_numpy(trained_labels(bank, slices, setting)), torch.from_numpy(bank.subject_labels[scan])


def cached_features(
    network: CascadeNetwork,
    allowed: Mapping[str, AllowedScans],
    configuration: RunConfiguration,
    device: torch.device,
    seed: int,
    job: str,
    report: Report,
) -> list[ScanFeatures]:
    """Encode augmented views: several of every real scan, one each of some made-up scans of every kind."""
    network.eval()
    phase = configuration.sequence
    chance = np.random.default_rng([seed, 7])
    wanted: list[tuple[SliceBank, int, bool]] = []
    real = allowed["real"]
    wanted += [(real.bank, int(scan), True) for scan in real.scans for _ in range(phase.views)]
    for kind, part in allowed.items():
        if kind != "real" and len(part.scans):
            count = min(len(part.scans), phase.made_up_scans)
            wanted += [(part.bank, int(scan), False) for scan in chance.choice(part.scans, count, replace=False)]
    views = []
    for number, (bank, scan, is_real) in enumerate(wanted):
        generator = seeded_generator(device, seed, 11, number)
        with torch.no_grad(), mixed_precision(device, configuration.optimization.mixed_precision):
            volume_hu = scan_volume(bank, scan, network.architecture).to(device)
            together = torch.zeros(len(volume_hu), dtype=torch.long, device=device)
            size, windows = configuration.architecture.input_size, configuration.architecture.windows
            shown, _ = augmented(volume_hu, None, together, size, windows, configuration.augmentation, generator)
            last_map = network.encoder(shown).last_map
            features = pooled(last_map)
            logits = network.cnn_logits(features, network.location_logits(last_map))
        labels, subject_labels = scan_labels(bank, scan, configuration.labels)
        views.append(ScanFeatures(features.float().cpu(), logits.float().cpu(), labels, subject_labels, is_real))
        report(Progress(job, "features", number + 1, len(wanted), float("nan")))
    return views


def _subsequence(view: ScanFeatures, chance: np.random.Generator) -> Tensor:
    """Which slices of a view are shown: half the time all, else a run of them with some dropped; never hiding the blood."""
    count = len(view.features)
    kept = np.ones(count, dtype=bool)
    if chance.random() < 0.5:
        length = round(count * chance.uniform(_SHORTEST_SUBSEQUENCE, 1.0))
        start = int(chance.integers(0, count - length + 1))
        kept[:] = False
        kept[start : start + length] = True
        kept &= chance.random(count) >= _DROPPED_SLICE_SHARE
        blood = view.labels[:, 0].numpy() != 0  # unknown slices may hold it too
        kept |= blood
    order = np.flatnonzero(kept)
    return torch.from_numpy(order if chance.random() < 0.5 else order[::-1].copy())


def scan_loss(network: CascadeNetwork, batch: Sequence[ScanFeatures], setting: str, weights: Tensor) -> Tensor:
    """Loss of both stages on some scans.

    Stage two's subject loss counts positive subjects only, as the paper trains it. Slice losses join under Sli-Lab.

    Parameters
    ----------
    network, batch, setting
        What is trained, on which scans, under ``sub`` or ``sli``.
    weights : (6,)
        Positive weights.
    """
    mask = valid_mask([len(view.features) for view in batch]).to(weights.device)
    longest = mask.shape[1]
    features, logits, labels = (
        padded([getattr(view, name) for view in batch], longest).to(weights.device)
        for name in ("features", "cnn_logits", "labels")
    )
    subject_labels = torch.stack([view.subject_labels for view in batch]).to(weights.device)
    one = network.stage_one(features, logits, mask)
    two = network.stage_two(features, logits, mask)
    positive = torch.where(subject_labels[:, :1] == 1, subject_labels[:, 1:], torch.nan)
    five = torch.ones(5, device=weights.device)
    loss = label_loss(one.subjects, subject_labels[:, :1], weights[:1]) + label_loss(
        two.subjects, positive, five, weights[1:]
    )
    if setting == "sli":
        loss = loss + label_loss(one.slices[mask], labels[mask][:, :1], five[:1])
        loss = loss + label_loss(two.slices[mask], labels[mask][:, 1:], five)
    return loss


def train_sequence(
    network: CascadeNetwork,
    views: Sequence[ScanFeatures],
    configuration: RunConfiguration,
    seed: int,
    job: str,
    report: Report,
) -> list[dict[str, float]]:
    """Train both sequence models on cached features; the encoder and its heads stay as they are."""
    phase, settings = configuration.sequence, configuration.optimization
    heads = nn.ModuleList([network.detection, network.typing])
    device = next(network.parameters()).device
    network.eval()
    heads.train()
    optimizer = torch.optim.AdamW(grouped_parameters(heads, settings.weight_decay), lr=phase.learning_rate)
    subject_labels = torch.stack([view.subject_labels for view in views])
    weights = positive_weights(torch.nan_to_num(subject_labels)).to(device)
    weights[0] = 1.0
    real = np.array([view.real for view in views])
    share = np.where(real, (1 - phase.made_up_share) / max(real.sum(), 1), phase.made_up_share / max((~real).sum(), 1))
    curve, recent = [], 0.0
    for step in range(phase.steps):
        chance = np.random.default_rng([seed, 13, step])
        seeded_generator(device, seed, 13, step)
        drawn = chance.choice(len(views), size=phase.scans, p=share / share.sum())
        batch = []
        for index in drawn:
            view = views[int(index)]
            order = _subsequence(view, chance)
            batch.append(
                ScanFeatures(
                    view.features[order], view.cnn_logits[order], view.labels[order], view.subject_labels, view.real
                )
            )
        for group in optimizer.param_groups:
            group["lr"] = phase.learning_rate * cosine_factor(step, phase.steps, settings.warm_up_steps)
        loss = scan_loss(network, batch, configuration.labels, weights)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(heads.parameters(), settings.clip_norm)
        optimizer.step()
        recent = float(loss.detach()) if step == 0 else 0.97 * recent + 0.03 * float(loss.detach())
        report(Progress(job, "sequence", step + 1, phase.steps, recent))
        if (step + 1) % 50 == 0:
            curve.append({"step": float(step + 1), "loss": recent})
    network.eval()
    return curve
