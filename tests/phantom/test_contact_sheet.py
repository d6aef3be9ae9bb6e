"""The contact sheet: every kind of blood can be seen on it, whatever the number of slices."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from triage_node.phantom import make_head
from triage_node.phantom.contact_sheet import shown_slices, tile_row


@given(slices=st.integers(1, 300), tiles=st.integers(2, 20), needed=st.lists(st.integers(0, 299), max_size=5))
def test_needed_slices_are_shown_in_order_and_as_many_as_fit(slices: int, tiles: int, needed: list[int]) -> None:
    needed = [each for each in needed if each < slices]
    shown = shown_slices(slices, tiles, needed)
    assert shown == sorted(set(shown))
    assert len(shown) == min(slices, tiles)
    assert set(needed) <= set(shown) or set(shown) <= set(needed)


def test_a_slice_that_is_needed_is_in_the_picture_with_its_note() -> None:
    head = make_head(20, kinds=("CPH",), size=64, slice_spacing_mm=5.0)
    bleeding = int((head.masks > 0).sum(axis=(1, 2)).argmax())
    notes = ["CPH" if index == bleeding else "" for index in range(len(head.volume_hu))]
    plain = tile_row(head.volume_hu, "head", 4, needed=[bleeding])
    noted = tile_row(head.volume_hu, "head", 4, needed=[bleeding], notes=notes)
    place = shown_slices(len(head.volume_hu), 4, [bleeding]).index(bleeding)
    side = plain.shape[0]
    assert plain.shape == noted.shape == (side, 4 * side)
    changed = np.flatnonzero((plain != noted).any(axis=0)) // side
    assert set(changed.tolist()) == {place}
