"""Keep freed memory for the next array instead of giving it back to the system.

Making a phantom, as a training step, makes and frees the same large arrays again and again. The C library hands blocks of this
size back at once, and the system clears every page anew: a quarter of a phantom's time.
"""

from __future__ import annotations

import ctypes

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3
"""Numbers of the settings in glibc's ``malloc.h``."""
_KEPT_BYTES = 1_000_000_000
_GROWTH_BYTES = 300_000_000


def keep_freed_memory() -> bool:
    """Tell this process's allocator; false where the C library is another and nothing is changed."""
    try:
        library = ctypes.CDLL("libc.so.6")
        settings = ((_TRIM_THRESHOLD, _KEPT_BYTES), (_MMAP_THRESHOLD, _KEPT_BYTES), (_TOP_PAD, _GROWTH_BYTES))
        return all(library.mallopt(name, value) == 1 for name, value in settings)
    except (OSError, AttributeError):
        return False
