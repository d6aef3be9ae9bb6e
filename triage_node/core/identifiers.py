"""UIDs, AE titles and addresses of peers: checked before they become paths, keys or sockets.

Answers to PS3.5 9.1 (UID syntax), PS3.5 B.2 (UUID-derived UIDs) and PS3.8 9.3.2 (AE titles).
"""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass

from triage_node.core.errors import ConfigurationRejected, Refused

_UID = re.compile(r"[0-9]+(\.[0-9]+)*")
_NAMESPACE = uuid.UUID("6f6d1c55-0a4e-5c0a-9d3c-2b6a2a7b9a10")


class IllegalUid(Refused):
    """A UID that cannot be kept, let alone become part of a path."""


def checked_uid(value: str, attribute: str) -> str:
    """Return a UID that is safe as a path component and as a key.

    Components with leading zeros are let through: old scanners write them and every archive keeps them.

    Raises
    ------
    IllegalUid
        Empty, longer than 64 characters, or with other characters than digits and single dots (PS3.5 9.1).

    Examples
    --------
    >>> checked_uid("1.2.840.10008.1.1", "SOPClassUID")
    '1.2.840.10008.1.1'
    """
    if not value or len(value) > 64 or not _UID.fullmatch(value):
        shown = value if len(value) <= 80 else value[:80] + "..."
        raise IllegalUid(f"{attribute} is not a legal UID (PS3.5 9.1): {shown!r}")
    return value


def derived_uid(*parts: str) -> str:
    """Make the same UID for the same parts, on every machine (PS3.5 B.2, version 5 UUID under 2.25).

    Examples
    --------
    >>> derived_uid("series", "1") == derived_uid("series", "1")
    True
    >>> derived_uid("series", "1") == derived_uid("series", "2")
    False
    """
    return f"2.25.{uuid.uuid5(_NAMESPACE, chr(0).join(parts)).int}"


def checked_ae_title(value: str) -> str:
    """Return an AE title without padding: 1 to 16 printable ASCII characters, no backslash (PS3.5 6.2).

    Raises
    ------
    ConfigurationRejected
        Names the title and the rule.

    Examples
    --------
    >>> checked_ae_title(" TRIAGE ")
    'TRIAGE'
    """
    title = value.strip(" ")
    if not 1 <= len(title) <= 16 or "\\" in title or any(not " " <= each <= "~" for each in title):
        raise ConfigurationRejected(
            f"an AE title is 1 to 16 printable ASCII characters without backslash, not {value!r}"
        )
    return title


@dataclass(frozen=True)
class PeerAddress:
    """A DICOM peer, written ``AET@HOST:PORT``."""

    ae_title: str
    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> PeerAddress:
        """Read ``AET@HOST:PORT``; an IPv6 host stands in brackets.

        Raises
        ------
        ConfigurationRejected
            Names what is missing.

        Examples
        --------
        >>> PeerAddress.parse("PACS@127.0.0.1:104")
        PeerAddress(ae_title='PACS', host='127.0.0.1', port=104)
        """
        title, at, place = text.rpartition("@")
        host, colon, port = place.rpartition(":")
        if not (at and colon and host and port.isdecimal() and 0 < int(port) < 65536):
            raise ConfigurationRejected(f"a peer is written AET@HOST:PORT, for example PACS@10.0.0.5:104, not {text!r}")
        return cls(checked_ae_title(title), host.strip("[]"), int(port))

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.ae_title}@{host}:{self.port}"
