"""What a worker holds: the stations that decode, read and write evidence."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from triage_node.settings import Settings
from triage_node.wiring.database import series_files, shadow_log
from triage_node.wiring.installation import version, weights_folder

if TYPE_CHECKING:
    from triage_node.assembly.volume_reader import PixelVolumeReader
    from triage_node.cascade.runner import Cascade
    from triage_node.evidence.writer import DicomEvidenceWriter
    from triage_node.pipeline.shadow import ShadowPath
    from triage_node.pipeline.slice_images import SpooledImages
    from triage_node.pipeline.steps import StudyPath


def volume_reader() -> PixelVolumeReader:
    """Return the station that decodes pixels."""
    from triage_node.assembly.volume_reader import PixelVolumeReader

    return PixelVolumeReader()


def slice_images(settings: Settings) -> SpooledImages:
    """Return what the viewer shows: single slices from the spool, heatmaps from beside the evidence."""
    from triage_node.assembly.slice_reader import PixelSliceReader
    from triage_node.evidence.kept_heatmaps import HeatmapArchives
    from triage_node.pipeline.slice_images import SpooledImages

    return SpooledImages(series_files(settings), PixelSliceReader(), HeatmapArchives(settings.evidence_dir))


def cascade(settings: Settings) -> Cascade:
    """Load the release, check it against its own reference output, and keep it resident.

    OpenMP's threads sleep while they wait instead of spinning: on a machine that the other processes use too, spinning took
    a reading of 0.6 s to 13 s (measured on 4 busy cores). The library reads the variable when torch is first imported.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from triage_node.cascade.runner import Cascade
    from triage_node.cascade.self_test import run_self_test
    from triage_node.cascade.weights import active_release_folder

    folder = weights_folder(settings)
    loaded = Cascade.load(
        folder / settings.release if settings.release else active_release_folder(folder),
        device=settings.device,
        operating_point=settings.operating_point,
        threads=settings.torch_threads,
        site_prevalence=settings.site_prevalence,
    )
    run_self_test(loaded)
    return loaded


def shadow_path(settings: Settings, path: StudyPath) -> ShadowPath | None:
    """Load the release that reads in the shadow; None where none is set, or where it cannot be used.

    A shadow that fails its checks is no reason to read nothing: the log says so, and ``triage-node check``.
    """
    if settings.shadow_release is None:
        return None
    import structlog

    from triage_node.pipeline.shadow import ShadowPath

    try:
        model = shadow_cascade(settings)
    except Exception:
        structlog.get_logger(__name__).exception("shadow_rejected", release=settings.shadow_release)
        return None
    return ShadowPath(model, shadow_log(settings), path.repository, path.clock)


def shadow_cascade(settings: Settings) -> Cascade:
    """Load the release of ``shadow_release`` as ``cascade`` loads the active one."""
    return cascade(settings.model_copy(update={"release": settings.shadow_release}))


def evidence_writer(settings: Settings) -> DicomEvidenceWriter:
    """Return the station that writes reports and heatmaps."""
    from triage_node.evidence.message_files import MessageFiles, message_kinds
    from triage_node.evidence.writer import DicomEvidenceWriter

    return DicomEvidenceWriter(
        settings.evidence_dir,
        station_name=settings.ae_title,
        software_version=version(),
        device_serial_number=settings.device_serial_number,
        kinds=settings.evidence_kinds,
        heatmap_limit=settings.heatmap_limit or None,
        messages=MessageFiles(message_kinds(settings.every_destination), settings.webhook_patient_id),
    )
