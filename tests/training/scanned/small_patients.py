"""Patients of simple shapes, and a run that trains on them within seconds."""

from dataclasses import replace
from functools import partial

import numpy as np

from triage_node.cascade.self_test import reference_volume
from triage_node.training.bank_building import build_banks
from triage_node.training.configuration import EncoderPhase, JointPhase, MadeUp, RunConfiguration, SequencePhase
from triage_node.training.datasets import LabelledScan, ScanVolume
from triage_node.training.job import JobSetting
from triage_node.training.train import folds_of

BLEEDING = reference_volume()
BLOODLESS = np.where(BLEEDING > 58, np.where(BLEEDING < 80, 35, BLEEDING), BLEEDING).astype(np.int16)


def scan_volume(bleeds, number):
    shifted = np.roll(BLEEDING if bleeds else BLOODLESS, number, axis=2)
    return ScanVolume(shifted, (0.8, 0.8), 5.0)


def labelled(number):
    bleeds = number % 2 == 0
    slices = np.zeros((6, 6), dtype=np.float32)
    if bleeds:
        slices[2:5, [0, 4]] = 1
    return LabelledScan(
        subject=f"patient-{number}",
        series=f"series-{number}",
        source="made-for-a-test",
        labels=slices.max(axis=0),
        slice_labels=slices,
        slice_ids=tuple("123456"),
        reader=partial(scan_volume, bleeds, number),
    )


SCANS = [labelled(number) for number in range(8)]
CONFIGURATION = RunConfiguration(
    name="small",
    text='name = "small"',
    folds=2,
    members=1,
    architecture=replace(RunConfiguration("x").architecture, input_size=64, units=16, neighbours=True),
    made_up=MadeUp(pasted_per_head=0, phantoms=0),
    encoder=(EncoderPhase(steps=8, batch=8, size=64),),
    sequence=SequencePhase(steps=6, scans=4, views=1),
    joint=JointPhase(steps=2, scans=2, size=64),
)
CONFIGURATION = replace(
    CONFIGURATION, optimization=replace(CONFIGURATION.optimization, checkpoint_every_steps=2, mixed_precision=False)
)
SOURCES = {"made-for-a-test": {"scans": 8, "licence": "none", "citation": "none"}}


def quiet(_progress):
    """Tell nobody."""


def setting_in(folder, configuration=CONFIGURATION):
    build_banks(SCANS, configuration, folder / "banks", 1, quiet)
    return JobSetting(
        configuration, folder / "banks", folder / "jobs", folds_of(SCANS, configuration), device="cpu", threads=1
    )
