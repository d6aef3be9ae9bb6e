"""Training the CNN on slices mixed from many scans.

In: banks and phases. Out: an averaged encoder with its own heads. Slices of many scans go into a batch, because batch
norm over the slices of one scan misleads; the RNN comes afterwards, on this encoder's features.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from triage_node.cascade.network import CascadeNetwork
from triage_node.cascade.slice_encoder import pooled
from triage_node.training.augmentation import augmented
from triage_node.training.batches import AllowedScans, MixedSlices, SliceBatch
from triage_node.training.checkpoints import Checkpoint, Position, Resumption
from triage_node.training.configuration import EncoderPhase, RunConfiguration
from triage_node.training.early_stopping import EarlyStopping
from triage_node.training.losses import label_loss, location_loss
from triage_node.training.schedule import AveragedNetwork, cosine_factor, grouped_parameters

OUTPUT_WEIGHTS = (2.0, 0.6, 0.6, 0.6, 0.6, 0.6)
"""Any blood weighs as much as three subtypes and a bit: stage two can only follow stage one."""


@dataclass(frozen=True)
class Progress:
    """Where a job stands; ``steps`` is the length of the part named ``part``."""

    job: str
    part: str
    step: int
    steps: int
    loss: float


Report = Callable[[Progress], None]
Validate = Callable[[CascadeNetwork], float]


def mixed_precision(device: torch.device, wanted: bool) -> torch.autocast:
    """16-bit brain floats where they are wanted and the device computes them."""
    able = device.type == "cuda" or torch.cpu._is_avx512_bf16_supported()
    return torch.autocast(device.type, torch.bfloat16, enabled=wanted and able)


def seeded_generator(device: torch.device, *numbers: int) -> torch.Generator:
    """A generator that depends on these numbers alone; dropout's global one is seeded too."""
    seed = 0
    for number in numbers:
        seed = (seed * 1_000_003 + number) % (2**31 - 1)
    torch.manual_seed(seed)
    return torch.Generator(device=device).manual_seed(seed)


def _prefetched(batches: MixedSlices, first: int, steps: int) -> Iterator[tuple[int, SliceBatch]]:
    """Read the next batch from disk while the present one is computed."""
    with ThreadPoolExecutor(1) as reader:
        coming = reader.submit(batches.at, first)
        for step in range(first, steps):
            batch = coming.result()
            if step + 1 < steps:
                coming = reader.submit(batches.at, step + 1)
            yield step, batch


def slice_loss(
    network: CascadeNetwork, batch: SliceBatch, size: int, configuration: RunConfiguration, chance: torch.Generator
) -> Tensor:
    """Loss of one batch: slice labels, and the cells of the last map where masks or the absence of blood tell them."""
    device = chance.device
    volume_hu, labels, masks, has_mask = (
        each.to(device, non_blocking=True) for each in (batch.volume_hu, batch.labels, batch.masks, batch.has_mask)
    )
    shown, cells = augmented(
        volume_hu, masks, None, size, network.architecture.windows, configuration.augmentation, chance
    )
    assert cells is not None
    with mixed_precision(device, configuration.optimization.mixed_precision):
        last_map = network.encoder(shown).last_map
        located = network.location_logits(last_map)
        logits = network.cnn_logits(pooled(last_map), located)
    weights = torch.tensor(OUTPUT_WEIGHTS, device=device)
    return label_loss(logits.float(), labels, weights) + configuration.optimization.location_weight * location_loss(
        located.float(), cells, has_mask, labels
    )


@dataclass
class EncoderTraining:
    """The encoder phases of one job.

    Attributes
    ----------
    job, seed
        Its name, and its own seed.
    network, average
        What is trained, and what is kept.
    phases, allowed
        What is trained in which order, and the scans it may train on, by kind.
    configuration, device, checkpoint, report
        The run's settings, where it computes, where it is saved, whom it tells.
    validate
        Loss on patients kept aside for early stopping; None where none are.
    """

    job: str
    seed: int
    network: CascadeNetwork
    average: AveragedNetwork[CascadeNetwork]
    phases: Sequence[EncoderPhase]
    allowed: Mapping[str, AllowedScans]
    configuration: RunConfiguration
    device: torch.device
    checkpoint: Checkpoint
    report: Report
    validate: Validate | None = None

    def run(self, resumed: Resumption) -> list[dict[str, float]]:
        """Train all phases, or what a checkpoint left of them; return the learning curve, one entry a checkpoint."""
        curve = resumed.curve
        for index, phase in enumerate(self.phases):
            if index < resumed.position.phase:
                continue
            self._phase(index, phase, resumed if index == resumed.position.phase else Resumption(), curve)
            self.checkpoint.save(Position(index + 1, 0), self.network, self.average, curve)
        return curve

    def _phase(self, index: int, phase: EncoderPhase, resumed: Resumption, curve: list[dict[str, float]]) -> None:
        settings = self.configuration.optimization
        optimizer = torch.optim.AdamW(
            grouped_parameters(self.network.cnn, settings.weight_decay), lr=phase.learning_rate
        )
        if resumed.optimizer is not None:
            optimizer.load_state_dict(resumed.optimizer)
        stopping = EarlyStopping(settings.patience)
        if resumed.stopping is not None:
            stopping.load_state_dict(resumed.stopping)
        setting, neighbours = self.configuration.labels, self.network.architecture.neighbours
        batches = MixedSlices(self.allowed, phase, setting, self.seed * 100 + index, neighbours)
        first = resumed.position.step
        recent = _Recent(curve[-1]["loss"] if first else float("nan"))
        for step, batch in _prefetched(batches, first, phase.steps):
            if stopping.is_over:
                self.report(Progress(self.job, f"encoder {index + 1}, stopped early", step, step, recent.mean))
                break
            for group in optimizer.param_groups:
                group["lr"] = phase.learning_rate * cosine_factor(step, phase.steps, settings.warm_up_steps)
            recent.add(self._step(batch, phase, optimizer, seeded_generator(self.device, self.seed, index, step)))
            self.report(Progress(self.job, f"encoder {index + 1}", step + 1, phase.steps, recent.mean))
            if (step + 1) % settings.checkpoint_every_steps == 0 or step + 1 == phase.steps:
                entry = {"phase": float(index), "step": float(step + 1), "loss": recent.mean}
                if self.validate is not None:
                    entry["validation_loss"] = self.validate(self.average.network)
                curve.append(entry)
                stopping.see(entry.get("validation_loss"), self.average.network.cnn)
                self.checkpoint.save(Position(index, step + 1), self.network, self.average, curve, optimizer, stopping)
        for network in (self.network, self.average.network):  # the next phase starts where this one was best
            stopping.restore_best(network.cnn)

    def _step(
        self, batch: SliceBatch, phase: EncoderPhase, optimizer: torch.optim.Optimizer, chance: torch.Generator
    ) -> float:
        self.network.train()
        loss = slice_loss(self.network, batch, phase.size, self.configuration, chance)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.network.cnn.parameters(), self.configuration.optimization.clip_norm)
        optimizer.step()
        self.average.update(self.network)
        return float(loss.detach())


class _Recent:
    """A moving average of the last losses, on from an earlier one that is not NaN."""

    def __init__(self, mean: float) -> None:
        self.mean = mean

    def add(self, loss: float) -> None:
        self.mean = loss if self.mean != self.mean else 0.97 * self.mean + 0.03 * loss
