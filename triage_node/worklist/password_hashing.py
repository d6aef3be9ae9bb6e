"""Hashing of passwords with Argon2id (RFC 9106), so that a stolen database does not give them away."""

from __future__ import annotations

import threading

import argon2

_AT_ONCE = 2
"""Hashes computed at once in a process: each takes 64 MiB and a core that reading studies needs more."""


class PasswordHashing:
    """Argon2id with the second recommended option of RFC 9106 4 (64 MiB, 3 passes), on one lane.

    Parameters
    ----------
    memory_kib
        Memory of one hash, KiB.
    passes
        How many times it is gone over.
    """

    def __init__(self, memory_kib: int = 65_536, passes: int = 3) -> None:
        self._hasher = argon2.PasswordHasher(time_cost=passes, memory_cost=memory_kib, parallelism=1)
        self._free = threading.BoundedSemaphore(_AT_ONCE)
        self._nobodys = self.hashed("nobody has this password")

    def hashed(self, password: str) -> str:
        """Return what is kept of a password."""
        with self._free:
            return self._hasher.hash(password)

    def matches(self, kept: str | None, password: str) -> bool:
        """Return whether this is the password; where there is none to compare with, take as long and say no."""
        with self._free:
            try:
                return self._hasher.verify(kept or self._nobodys, password) and kept is not None
            except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
                return False

    def is_outdated(self, kept: str) -> bool:
        """Return whether it was hashed with other parameters than these."""
        return self._hasher.check_needs_rehash(kept)
