"""What every data set of DICOM series has in common."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from scanned.ct_slice import UPRIGHT, write_slice

from triage_node.training.datasets import DatasetRejected, open_dataset
from triage_node.training.datasets.dicom_series import read_series


def test_a_refusal_in_a_worker_arrives_whole() -> None:
    refusal = DatasetRejected("images/a.dcm", "it is cut short", "Fetch it again", 7)
    arrived = pickle.loads(pickle.dumps(refusal))
    assert (type(arrived), str(arrived), arrived.row) == (DatasetRejected, str(refusal), 7)


@pytest.mark.parametrize(
    ("orientation", "turned"),
    [
        (UPRIGHT, lambda stored: stored),
        ((-1, 0, 0, 0, 1, 0), lambda stored: stored[:, ::-1]),
        ((1, 0, 0, 0, -1, 0), lambda stored: stored[::-1]),
        ((0, 1, 0, 1, 0, 0), lambda stored: stored.T),
    ],
)
def test_slices_are_turned_upright(
    tmp_path: Path, orientation: tuple[float, ...], turned: Callable[[npt.NDArray[np.int64]], npt.NDArray[np.int64]]
) -> None:
    stored = np.arange(24, dtype=np.uint16).reshape(4, 6) + 1024
    write_slice(tmp_path / "a.dcm", 0.0, stored=stored, orientation=orientation)
    expected = turned(stored.astype(np.int64) - 1024)
    assert (read_series([tmp_path / "a.dcm"], 5.0).volume_hu[0] == expected).all()


def test_sources_are_named_with_their_folder(tmp_path: Path) -> None:
    with pytest.raises(DatasetRejected, match="Write SOURCE:FOLDER, SOURCE being ct-ich, rsna-2019, cq500, folder"):
        open_dataset("brains:/somewhere")
    with pytest.raises(DatasetRejected, match="the folder is missing"):
        open_dataset(f"cq500:{tmp_path / 'nowhere'}")
