"""What a trained member says of the patients that it was not trained on.

In: a finished job. Out: raw logits of every scan of its fold, as the node would compute them. They are kept beside the
member, so that figures can be made again without reading the scans again.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from triage_node.cascade.network import CascadeNetwork
from triage_node.cascade.slice_encoder import pooled
from triage_node.training.augmentation import at_size
from triage_node.training.job import JobSetting, TrainingJob, trained_member
from triage_node.training.sequence_training import scan_volume
from triage_node.training.slice_bank import SliceBank

PARTS = ("subject", "slices", "cnn_slices")


@dataclass(frozen=True)
class ScanLogits:
    """Raw logits of one scan, any blood first: subject (6,), slices (slices, 6), and the CNN's own (slices, 6)."""

    subject: npt.NDArray[np.float32]
    slices: npt.NDArray[np.float32]
    cnn_slices: npt.NDArray[np.float32]


def scan_logits(network: CascadeNetwork, volume_hu: torch.Tensor) -> ScanLogits:
    """Read one scan as the node does, its mirror image too where the architecture says so.

    Parameters
    ----------
    network
        In evaluation mode.
    volume_hu : (slices, 1 or 3, 256, 256), HU
        As ``sequence_training.scan_volume`` gives it.
    """
    subjects, slices, cnn_slices = [], [], []
    for mirrored in (False, True) if network.architecture.mirrored else (False,):
        seen_hu = volume_hu.flip(3) if mirrored else volume_hu
        shown = at_size(seen_hu, network.architecture.input_size, network.architecture.windows)
        with torch.inference_mode():
            last_map = network.encoder(shown).last_map
            features = pooled(last_map)[None]
            logits = network.cnn_logits(features[0], network.location_logits(last_map))[None]
            mask = torch.ones(features.shape[:2], dtype=torch.bool, device=features.device)
            one, two = network.stage_one(features, logits, mask), network.stage_two(features, logits, mask)
        subjects.append(torch.cat([one.subjects[0], two.subjects[0]]))
        slices.append(torch.cat([one.slices[0], two.slices[0]], dim=1))
        cnn_slices.append(logits[0])
    means = (torch.stack(each).mean(dim=0).float().cpu().numpy() for each in (subjects, slices, cnn_slices))
    return ScanLogits(*means)


def _path(job: TrainingJob, setting: JobSetting) -> Path:
    mirrored = setting.configuration.architecture.mirrored
    return setting.folder(job) / ("held_out_mirrored.npz" if mirrored else "held_out.npz")


def held_out_logits(job: TrainingJob, setting: JobSetting, real: SliceBank) -> dict[int, ScanLogits]:
    """Read every scan of a finished job's fold, by index of the scan in the real bank; none where no fold was kept aside."""
    if job.fold is None:
        return {}
    path = _path(job, setting)
    if path.is_file() and path.stat().st_mtime >= (setting.folder(job) / "finished").stat().st_mtime:
        stored = np.load(path)
        scans = sorted({int(name.split(".")[0]) for name in stored.files})
        return {scan: ScanLogits(*(stored[f"{scan}.{name}"] for name in PARTS)) for scan in scans}
    network = trained_member(job, setting).to(setting.device)
    read = {}
    for index, subject in enumerate(real.subjects):
        if setting.fold_of_subject[subject] == job.fold:
            volume_hu = scan_volume(real, index, network.architecture).to(setting.device)
            read[index] = scan_logits(network, volume_hu)
    np.savez(path, **{f"{scan}.{name}": getattr(each, name) for scan, each in read.items() for name in PARTS})
    return read
