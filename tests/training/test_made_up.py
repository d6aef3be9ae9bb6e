import math

import numpy as np
import pytest

from triage_node.training.made_up import (
    faint_slices,
    mask_labels,
    pasted_scans,
    phantom_scans,
    seen_labels,
    subject_labels,
)


def test_small_blood_is_neither_shown_nor_absent():
    masks = np.zeros((3, 40, 40), dtype=np.uint8)
    masks[1, :2, :2] = 1
    masks[2, :10, :10] = 1 | 16
    labels = mask_labels(masks, 1.0)
    assert labels[0].tolist() == [0] * 6
    assert math.isnan(labels[1, 0])
    assert labels[2].tolist() == [1, 1, 0, 0, 0, 1]
    assert subject_labels(labels, masks).tolist() == [1, 1, 0, 0, 0, 1]
    assert math.isnan(subject_labels(labels[:2], masks[:2])[0])


def test_a_kind_that_was_not_made_up_is_absent_however_little_can_be_seen():
    masks = np.zeros((3, 8, 8), dtype=np.uint8)
    masks[0, :4], masks[2, :4] = 1, 4
    labels = np.zeros((3, 6), dtype=np.float32)
    labels[0, :2], labels[2] = 1, np.nan
    np.testing.assert_array_equal(subject_labels(labels, masks), [1, 1, 0, np.nan, 0, 0])


@pytest.mark.slow
def test_a_phantom_is_banked_with_masks_where_its_labels_are():
    (made,) = phantom_scans((11, 128))
    assert made.volume_hu.shape[1:] == (256, 256)
    assert made.masks.shape == (len(made.labels), 5, 64, 64)
    for row, masks in zip(made.labels, made.masks, strict=True):
        for kind in range(5):
            if row[1 + kind] == 1:
                assert masks[kind].any()
            elif row[1 + kind] == 0:
                assert masks[kind].max() < 64


def test_blood_that_a_slice_hides_is_not_labelled():
    labels = np.array([[1, 1, 0, 0, 0, 1], [1, 0, 0, 1, 0, 0], [1, 0, 0, 1, 0, 0], [0, 0, 0, 0, 0, 0]], np.float32)
    clear = np.array([[20, 0, 0, 0, 6], [0, 0, 5, 0, 0], [0, 0, 8, 0, 0], [0, 0, 0, 0, 0]], np.float32)
    seen = seen_labels(labels, clear)
    assert seen[0, :5].tolist() == [1, 1, 0, 0, 0]
    assert math.isnan(seen[0, 5])
    assert np.isnan(seen[1]).all()  # nothing else shows: the slice teaches nothing
    assert (seen[2:] == labels[2:]).all()


def test_slices_whose_blood_hardly_stands_out_are_faint():
    masks = np.zeros((4, 8, 8), dtype=np.uint8)
    masks[:3, 2:4, 2:6] = 4
    rise_hu = np.zeros((4, 8, 8), dtype=np.int32)
    rise_hu[0, 2:4, 2:6], rise_hu[1, 2:4, 2:6] = 5, 20
    rise_hu[2, 2:4, 2:3] = 90  # one bright corner does not make the rest visible
    assert faint_slices(rise_hu, masks, 6.0).tolist() == [True, False, True, False]
    assert not faint_slices(rise_hu, masks, 0.0).any()


@pytest.mark.slow
def test_pasted_copies_keep_their_patients_name():
    from triage_node.phantom import make_head
    from triage_node.training.datasets import LabelledScan, ScanVolume

    head = make_head(3, kinds=(), size=160)
    volume = ScanVolume(head.volume_hu, head.pixel_spacing_mm, head.slice_spacing_mm)
    zeros = np.zeros((len(head.volume_hu), 6), dtype=np.float32)
    ids = tuple(str(index) for index in range(len(zeros)))
    scan = LabelledScan("patient", "series", "test", zeros[0], zeros, ids, lambda: volume)
    copies = pasted_scans((scan, 4, 100), least_rise_hu=6.0)
    assert copies
    assert {each.subject for each in copies} == {"patient"}
    assert all(each.subject_labels[0] == 1 for each in copies)
