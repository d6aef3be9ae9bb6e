"""The cascade on one series: volume in, finding and heatmaps out.

In: a head volume in HU with slice index 0 the most inferior. Out: ``CascadeReading``, whose finding covers every source
slice. Stage one reads every series; stage two (the kinds of blood) runs only where stage one is at or above its
operating point (Ye et al. 2019, Fig. 1). Every number comes from the release's networks; nothing is filled in.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from triage_node.cascade.calibration import Calibration, prior_shift
from triage_node.cascade.network import CascadeNetwork
from triage_node.cascade.preprocessing import Grid, network_input, on_network_grid
from triage_node.cascade.series_reading import CascadeReading, MemberState, one_thread
from triage_node.cascade.slice_encoder import pooled
from triage_node.cascade.weights import (
    MANIFEST_NAME,
    OperatingPoint,
    Release,
    WeightsRejected,
    load_networks,
    read_release,
)
from triage_node.core.errors import ConfigurationRejected
from triage_node.core.finding import SUBTYPES, Finding, SliceFinding
from triage_node.core.ports import SeriesVolume


@dataclass(frozen=True)
class CascadeLogits:
    """The ensemble's mean logits for one series, before calibration.

    Attributes
    ----------
    subject
        Stage one.
    slices : (network slices,)
    subtypes : (5,) and subtype_slices : (network slices, 5)
        Stage two in the order of ``SUBTYPES``; None where it did not run.
    """

    subject: float
    slices: npt.NDArray[np.float32]
    subtypes: npt.NDArray[np.float32] | None
    subtype_slices: npt.NDArray[np.float32] | None


def _device(name: str) -> torch.device:
    there_is_a_gpu = torch.cuda.is_available()
    if name == "cuda" and not there_is_a_gpu:
        raise ConfigurationRejected(
            "device is cuda, and torch finds no GPU here; set it to auto or cpu, or install the driver and a torch with CUDA"
        )
    return torch.device(("cuda" if there_is_a_gpu else "cpu") if name == "auto" else name)


class Cascade:
    """A release of weights, ready to read series. Not safe to share between threads.

    Parameters
    ----------
    release
        As ``weights.read_release`` checked it.
    networks
        Its members.
    operating_point
        Named in the release.
    device
        Where the networks run.
    site_prevalence
        Share of subjects with blood where the node stands; None leaves probabilities at the release's own prevalence.

    Raises
    ------
    WeightsRejected
        There is a site's prevalence, and the release states none that probabilities could be moved from.
    """

    def __init__(
        self,
        release: Release,
        networks: Sequence[CascadeNetwork],
        operating_point: OperatingPoint,
        device: torch.device,
        site_prevalence: float | None = None,
    ) -> None:
        self.release = release
        self.operating_point = operating_point
        self.device = device
        self._site_prevalence = site_prevalence
        if site_prevalence is not None and not 0.0 < release.trained_prevalence < 1.0:
            raise WeightsRejected(
                f"{release.folder / MANIFEST_NAME} states the prevalence {release.trained_prevalence:g}, from which no "
                "probability can be moved to the site's; leave site_prevalence empty, or calibrate the release on data with "
                "and without blood"
            )
        self._threshold = self._at_site(operating_point.threshold)
        self._networks = [each.to(device=device, memory_format=torch.channels_last) for each in networks]  # type: ignore[call-overload]

    @classmethod
    def load(
        cls,
        release_folder: Path,
        *,
        device: str = "auto",
        operating_point: str = "balanced",
        threads: int | None = None,
        site_prevalence: float | None = None,
    ) -> Cascade:
        """Check a release and make it resident.

        Parameters
        ----------
        release_folder
            ``model_weights/<release>``.
        device
            ``cpu``, ``cuda``, or ``auto`` for a GPU where there is one.
        operating_point
            A name in the release's ``operating_points.json``.
        threads
            CPU threads for the CNN of this process; None leaves torch's choice.
        site_prevalence
            See the class.

        Raises
        ------
        WeightsRejected
            The release is broken, of another architecture, or does not have this operating point.
        ConfigurationRejected
            A GPU is asked for where there is none.
        """
        release = read_release(release_folder)
        point = release.operating_point(operating_point)
        if threads is not None:
            torch.set_num_threads(threads)
        return cls(release, load_networks(release), point, _device(device), site_prevalence)

    def read(self, volume: SeriesVolume) -> CascadeReading:
        """Read one series as the assembly station hands it over."""
        return self.read_volume(
            volume.volume_hu,
            volume.slice_spacing_mm,
            volume.sop_instance_uids,
            pixel_spacing_mm=volume.pixel_spacing_mm,
        )

    def read_volume(
        self,
        volume_hu: npt.NDArray[np.generic],
        slice_spacing_mm: float,
        sop_instance_uids: Sequence[str],
        *,
        pixel_spacing_mm: tuple[float, float] = (1.0, 1.0),
    ) -> CascadeReading:
        """Read one series.

        Parameters
        ----------
        volume_hu : (slices, rows, columns), HU, slice 0 the most inferior
        slice_spacing_mm
            Between neighbours, mm.
        sop_instance_uids
            One a slice.
        pixel_spacing_mm : between rows, between columns
            Only their ratio matters.
        """
        if len(sop_instance_uids) != volume_hu.shape[0]:
            raise ValueError(f"{volume_hu.shape[0]} slices need as many UIDs, not {len(sop_instance_uids)}")
        started = time.perf_counter()
        grid_hu, grid = on_network_grid(volume_hu, slice_spacing_mm, pixel_spacing_mm)
        states = self._encoded(grid_hu)
        logits = self._scored(states, with_stage_two=None)
        finding = self._finding(logits, grid, sop_instance_uids, started)
        return CascadeReading(finding, grid, states)

    def logits(
        self,
        volume_hu: npt.NDArray[np.generic],
        slice_spacing_mm: float,
        pixel_spacing_mm: tuple[float, float] = (1.0, 1.0),
    ) -> CascadeLogits:
        """Return both stages' raw logits, stage two whether or not stage one is positive; for calibration and self-test."""
        grid_hu, _ = on_network_grid(volume_hu, slice_spacing_mm, pixel_spacing_mm)
        return self._scored(self._encoded(grid_hu), with_stage_two=True)

    def _encoded(self, grid_hu: npt.NDArray[np.float32]) -> list[MemberState]:
        """Run every member's CNN once over (slices, 256, 256), HU."""
        architecture = self.release.architecture
        shown = torch.from_numpy(
            network_input(grid_hu, architecture.input_size, architecture.windows, architecture.neighbours)
        )
        shown = shown.to(self.device, memory_format=torch.channels_last)
        mask = torch.ones((1, shown.shape[0]), dtype=torch.bool, device=self.device)
        states = []
        with torch.inference_mode():
            for network in self._networks:
                for mirrored in (False, True) if network.architecture.mirrored else (False,):
                    last_map = network.encoder(shown.flip(3) if mirrored else shown).last_map
                    features = pooled(last_map)
                    cnn_logits = network.cnn_logits(features, network.location_logits(last_map))
                    states.append(MemberState(network, mirrored, last_map, features[None], cnn_logits[None], mask))
        return states

    def _scored(self, states: Sequence[MemberState], with_stage_two: bool | None) -> CascadeLogits:
        """Mean logits over the members; stage two where it is asked for, or by the operating point where None."""
        with torch.inference_mode(), one_thread():
            ones = [each.network.stage_one(each.features, each.cnn_logits, each.mask) for each in states]
            subject = float(torch.stack([each.subjects[0, 0] for each in ones]).mean())
            slices = torch.stack([each.slices[0, :, 0] for each in ones]).mean(dim=0).cpu().numpy()
            if with_stage_two is None:
                with_stage_two = self._at_site(self._calibrated("subject", subject)) >= self._threshold
            if not with_stage_two:
                return CascadeLogits(subject, slices, None, None)
            twos = [each.network.stage_two(each.features, each.cnn_logits, each.mask) for each in states]
            subtypes = torch.stack([each.subjects[0] for each in twos]).mean(dim=0).cpu().numpy()
            subtype_slices = torch.stack([each.slices[0] for each in twos]).mean(dim=0).cpu().numpy()
        return CascadeLogits(subject, slices, subtypes, subtype_slices)

    def _calibrated(self, head: str, logit: float) -> float:
        calibration: Calibration = self.release.calibrations[head]
        return float(calibration.probabilities(np.array(logit)))

    def _at_site(self, probability: float) -> float:
        if self._site_prevalence is None:
            return probability
        return prior_shift(probability, self.release.trained_prevalence, self._site_prevalence)

    def _finding(self, logits: CascadeLogits, grid: Grid, sop_instance_uids: Sequence[str], started: float) -> Finding:
        point = self.operating_point
        calibrated = self._calibrated("subject", logits.subject)
        probability = self._at_site(calibrated)
        flagged = probability >= self._threshold
        subtypes = None
        if flagged and logits.subtypes is not None:
            subtypes = {
                kind: self._calibrated(kind, float(value))
                for kind, value in zip(SUBTYPES, logits.subtypes, strict=True)
            }
        return Finding(
            ich_probability=probability,
            flagged=flagged,
            subtypes=subtypes,
            subtypes_present=tuple(
                kind for kind, value in (subtypes or {}).items() if value >= point.subtype_thresholds[kind]
            ),
            slices=self._slice_findings(logits, grid, sop_instance_uids, flagged, probability / calibrated),
            model_name=self.release.name,
            model_version=self.release.version,
            weights_sha256=self.release.weights_sha256,
            operating_point=point.name,
            operating_threshold=self._threshold,
            elapsed_ms=(time.perf_counter() - started) * 1000.0,
        )

    def _slice_findings(
        self,
        logits: CascadeLogits,
        grid: Grid,
        sop_instance_uids: Sequence[str],
        study_flagged: bool,
        site_ratio: float,
    ) -> tuple[SliceFinding, ...]:
        """One finding a source slice. Slices are flagged only in a flagged study, and then at least the highest one.

        How likely blood is in a slice of a study that bleeds, or its kind, does not depend on how many studies bleed: a
        slice's probability therefore moves in proportion to the study's, by ``site_ratio``, and subtypes stay.
        """
        probabilities = self.release.calibrations["slice"].probabilities(logits.slices)
        threshold = min(self.operating_point.slice_threshold, float(probabilities.max()))
        findings = []
        for uid, group in zip(sop_instance_uids, grid.group_of_slice(), strict=True):
            subtypes = None
            if study_flagged and logits.subtype_slices is not None:
                subtypes = {
                    kind: self._calibrated(kind, float(value))
                    for kind, value in zip(SUBTYPES, logits.subtype_slices[group], strict=True)
                }
            probability = float(probabilities[group])
            flagged = study_flagged and probability >= threshold
            findings.append(SliceFinding(uid, min(probability * site_ratio, 1.0), subtypes, flagged))
        return tuple(findings)
