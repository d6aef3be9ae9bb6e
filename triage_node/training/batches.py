"""Which slices and scans a training step sees.

In: banks on disk and the scans a job may train on. Out: batches. A batch depends on the seed and the step's number
alone, so a run that was cut off sees the same batches when it goes on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from triage_node.training.configuration import EncoderPhase
from triage_node.training.slice_bank import SliceBank

Indices = npt.NDArray[np.int64]
_RARE_KINDS = [2, 3, 5]
"""IVH, SDH, SAH: drawn more often among made-up slices, since real ones are few."""


@dataclass(frozen=True)
class AllowedScans:
    """The scans of one bank that a job may train on.

    Attributes
    ----------
    bank
        Where they lie.
    scans
        Indices into ``bank.scans``.
    """

    bank: SliceBank
    scans: Indices

    def slices(self) -> Indices:
        """Every slice of these scans."""
        return np.flatnonzero(np.isin(self.bank.scan_of_slice, self.scans))


@dataclass(frozen=True)
class SliceBatch:
    """Slices mixed from many scans.

    Attributes
    ----------
    volume_hu : (slices, 1 or 3, 256, 256), HU
        With the slices below and above where the network is shown them.
    labels : (slices, 6), NaN where unknown
    masks : (slices, 6, 64, 64), 0 to 1
    has_mask : (slices,)
    """

    volume_hu: Tensor
    labels: Tensor
    masks: Tensor
    has_mask: Tensor


def trained_labels(bank: SliceBank, slices: Indices, setting: str) -> npt.NDArray[np.float32]:
    """Slice labels that a label setting may use : (slices, 6).

    Sub-Lab knows no slice label of a real scan, but where a scan is free of something, all its slices are; made-up
    scans come with their masks in both settings.
    """
    labels = bank.labels[slices]
    if setting == "sli":
        return labels
    scans = bank.scan_of_slice[slices]
    real = np.array([kind == "real" for kind in bank.kinds])[scans]
    of_subject = np.where(bank.subject_labels[scans] == 0, np.float32(0), np.float32(np.nan))
    return np.where(real[:, None], of_subject, labels).astype(np.float32)


_BLOODLESS_DRAWS: Mapping[str, float] = {"pasted": 0.1, "phantom": 0.3}
"""How often a made-up slice without blood is drawn: pasted ones are seen as real slices too, phantoms' mimics only here."""


def _evened(positive: npt.NDArray[np.bool_], scan_of_slice: Indices) -> npt.NDArray[np.float64]:
    """More draws for a scan's slices with blood the fewer it has of them, by the square root, with a mean of 1 : (slices,).

    A small bleed is on one slice or two and would hardly be drawn beside those on fifteen, though it is another patient.
    """
    counts = np.bincount(scan_of_slice[positive], minlength=int(scan_of_slice.max(initial=0)) + 1)
    shares = 1.0 / np.sqrt(np.maximum(counts[scan_of_slice], 1))
    return np.asarray(shares / shares[positive].mean() if positive.any() else shares, dtype=np.float64)


def _draw_weights(
    labels: npt.NDArray[np.float32], scan_of_slice: Indices, kind: str, positive_draws: float
) -> npt.NDArray[np.float64]:
    positive = labels[:, 0] == 1
    evened = _evened(positive, scan_of_slice)
    if kind == "real":
        weights = np.where(positive, positive_draws * evened, 1.0)
    else:
        rare = (labels[:, _RARE_KINDS] == 1).any(axis=1)
        weights = np.where(positive, (1.0 + 1.5 * rare) * evened, _BLOODLESS_DRAWS[kind])
    weights = np.where(np.isnan(labels).all(axis=1), 0.0, weights)
    return np.asarray(weights / weights.sum(), dtype=np.float64)


class MixedSlices:
    """Batches for an encoder phase.

    Parameters
    ----------
    allowed
        By kind: ``real``, ``pasted``, ``phantom``.
    phase
        Batch size and shares.
    setting
        ``sub`` or ``sli``.
    seed
        Of this job and phase.
    neighbours
        Whether each slice comes with the ones below and above.
    """

    def __init__(
        self,
        allowed: Mapping[str, AllowedScans],
        phase: EncoderPhase,
        setting: str,
        seed: int,
        neighbours: bool = False,
    ) -> None:
        self._seed = seed
        self._neighbours = neighbours
        self._setting = setting
        self._parts: list[tuple[SliceBank, Indices, npt.NDArray[np.float64], int]] = []
        counts = {
            kind: round(phase.batch * share) for kind, share in (("pasted", phase.pasted), ("phantom", phase.phantom))
        }
        counts = {kind: count for kind, count in counts.items() if count and kind in allowed}
        counts["real"] = phase.batch - sum(counts.values())
        for kind, count in counts.items():
            if count <= 0:
                continue
            bank, slices = allowed[kind].bank, allowed[kind].slices()
            labels = trained_labels(bank, slices, setting)
            weights = _draw_weights(labels, bank.scan_of_slice[slices], kind, phase.positive_draws)
            self._parts.append((bank, slices, weights, count))

    def at(self, step: int) -> SliceBatch:
        """The batch of a step."""
        chance = np.random.default_rng([self._seed, step])
        volumes, labels, masks, has_mask = [], [], [], []
        for bank, slices, weights, count in self._parts:
            drawn = np.sort(chance.choice(slices, size=count, p=weights))
            volumes.append(bank.planes_hu(drawn, self._neighbours))
            labels.append(trained_labels(bank, drawn, self._setting))
            masks.append(bank.masks(drawn))
            has_mask.append(bank.has_mask(drawn))
        return SliceBatch(
            torch.from_numpy(np.concatenate(volumes)),
            torch.from_numpy(np.concatenate(labels)),
            torch.from_numpy(np.concatenate(masks)),
            torch.from_numpy(np.concatenate(has_mask)),
        )


def padded(rows: Sequence[Tensor], length: int) -> Tensor:
    """Stack (slices, ...) of different lengths to (scans, length, ...), zeros behind the shorter ones."""
    stacked = rows[0].new_zeros((len(rows), length, *rows[0].shape[1:]))
    for index, row in enumerate(rows):
        stacked[index, : len(row)] = row
    return stacked


def valid_mask(lengths: Sequence[int]) -> Tensor:
    """True where a slice is real : (scans, longest)."""
    return torch.arange(max(lengths))[None, :] < torch.as_tensor(list(lengths))[:, None]
