"""``core.ports.SliceImages``: slices and heatmaps for the viewer, decoded one at a time and remembered for a while.

In: what the database says a series consists of, a reader of single slices, the heatmaps that were kept. Out: arrays, or the
reason why there is none. It changes nothing, and holds no more pixels in memory than it is allowed.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt
import structlog

from triage_node.core.errors import Refused
from triage_node.core.ports import (
    ImageGone,
    KeptHeatmaps,
    NoSuchImage,
    SeriesFiles,
    SeriesVersion,
    SliceReader,
    SliceStack,
)

log = structlog.get_logger(__name__)

DEFAULT_CACHE_BYTES = 128 * 2**20
"""A slice of 512 x 512 has half a MiB: the last two hundred or so."""
_STACKS = 64

_Kept = TypeVar("_Kept")


class LatestUsed(Generic[_Kept]):
    """The values that were used last, up to a limit; safe to share between threads.

    Two threads that miss the same value at once both make it, which costs less than making one wait for the other.

    Parameters
    ----------
    limit
        Of the sum of the sizes.
    size
        Of one value.
    """

    def __init__(self, limit: int, size: Callable[[_Kept], int]) -> None:
        self._limit = limit
        self._size = size
        self._values: OrderedDict[Hashable, _Kept] = OrderedDict()
        self._used = 0
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], _Kept]) -> _Kept:
        """Return the value of a key, made where it is not there."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
                return self._values[key]
        value = make()
        with self._lock:
            if key not in self._values:
                self._values[key] = value
                self._used += self._size(value)
            while self._used > self._limit and self._values:
                _, oldest = self._values.popitem(last=False)
                self._used -= self._size(oldest)
        return value


class SpooledImages:
    """Slices from the spool, heatmaps from beside the evidence."""

    def __init__(
        self,
        files: SeriesFiles,
        reader: SliceReader,
        heatmaps: KeptHeatmaps,
        *,
        cache_bytes: int = DEFAULT_CACHE_BYTES,
    ) -> None:
        self._files = files
        self._reader = reader
        self._heatmaps = heatmaps
        self._stacks: LatestUsed[SliceStack | None] = LatestUsed(_STACKS, lambda stack: 1)
        self._slices: LatestUsed[npt.NDArray[np.int16]] = LatestUsed(cache_bytes, lambda slice_hu: slice_hu.nbytes)

    def version(self, study_instance_uid: str, series_instance_uid: str, revision: int | None = None) -> SeriesVersion:
        """See ``core.ports.SliceImages``; asks the database each time, so that what was deleted is not shown."""
        found = self._files.version(study_instance_uid, series_instance_uid, revision)
        if found is None:
            raise NoSuchImage("there is no such series on this node any more, or no such revision of it")
        return found

    def stack(self, version: SeriesVersion) -> SliceStack | None:
        """See ``core.ports.SliceImages``."""
        return self._stacks.get(version, lambda: self._reader.stack(self._files.instances(version)))

    def slice_hu(self, version: SeriesVersion, index: int) -> npt.NDArray[np.int16]:
        """See ``core.ports.SliceImages``."""
        stack = self.stack(version)
        if stack is None or not 0 <= index < len(stack.slices):
            raise NoSuchImage(f"the series has no slice {index + 1}")
        return self._slices.get((version, index), lambda: self._decoded(stack, index))

    def _decoded(self, stack: SliceStack, index: int) -> npt.NDArray[np.int16]:
        try:
            return self._reader.read(stack, index)
        except FileNotFoundError as error:
            raise ImageGone(f"the file of slice {index + 1} is no longer kept on this node") from error
        except (Refused, OSError) as error:
            uid = stack.slices[index].sop_instance_uid
            log.warning("slice_not_shown", sop_instance_uid=uid, error=f"{type(error).__name__}: {error}")
            raise ImageGone(f"slice {index + 1} cannot be decoded") from error

    def heatmap_indices(self, version: SeriesVersion) -> Sequence[int]:
        """See ``core.ports.SliceImages``."""
        return self._heatmaps.indices(version)

    def heatmap(self, version: SeriesVersion, index: int) -> npt.NDArray[np.uint8]:
        """See ``core.ports.SliceImages``."""
        try:
            found = self._heatmaps.read(version, index)
        except OSError as error:
            raise ImageGone(f"the heatmap of slice {index + 1} cannot be read") from error
        if found is None:
            raise NoSuchImage(f"slice {index + 1} has no heatmap")
        return found
