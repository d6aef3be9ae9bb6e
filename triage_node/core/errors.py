"""Errors sorted by whose fault they are, because that decides what happens next.

``Refused`` is the peer's or the sender's: it gets a reason and is not tried again. ``Transient`` is the world's: it is
tried again. ``Defect`` is ours: it is shown to the operator.
"""

from __future__ import annotations


class TriageError(Exception):
    """Anything this node raises on purpose."""


class Refused(TriageError):
    """What was sent cannot be used; the message says why and goes to the sender's side or the worklist."""


class Transient(TriageError):
    """It did not work now and may work later: a PACS that is down, a database that is locked."""


class Defect(TriageError):
    """This node is at fault; the operator has to look."""


class ConfigurationRejected(TriageError):
    """A setting, a file or an option is wrong; the message names it and says what to write instead."""
