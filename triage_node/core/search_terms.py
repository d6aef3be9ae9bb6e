"""Under which words a study is found, and which words a search means; both are brought into one form here."""

from __future__ import annotations

import re
import unicodedata

LONGEST_TERM = 64
"""Characters; a Study Instance UID is no longer (PS3.5 9.1)."""
_MOST_SEARCHED = 12
_MOST_KEPT = 60
"""Of one text; longer than any person name that PS3.5 6.2 allows would be in words of four letters."""
_SEPARATORS = str.maketrans({"^": " ", "=": " ", ",": " "})


def search_terms(text: str) -> tuple[str, ...]:
    """Return the words of a text as they are searched: small letters, no more than somebody would type.

    Person names are split at the carets and equals signs of PS3.5 6.2.1.

    Examples
    --------
    >>> search_terms("O'Neill^Jane  Anne")
    ("o'neill", 'jane', 'anne')
    """
    return _words(text)[:_MOST_SEARCHED]


def _words(text: str) -> tuple[str, ...]:
    folded = unicodedata.normalize("NFC", text.replace("\0", "")).casefold()
    return tuple(dict.fromkeys(word[:LONGEST_TERM] for word in folded.translate(_SEPARATORS).split()))


def beginnings(pattern: str) -> tuple[str, ...]:
    """Return with what words must begin in every text that a pattern with ``*`` and ``?`` matches.

    Examples
    --------
    >>> beginnings("DOE*^JA?E")
    ('doe', 'ja')
    >>> beginnings("*DOE*")
    ()
    """
    words = pattern.translate(_SEPARATORS).split()
    return search_terms(" ".join(re.split(r"[*?]", word)[0] for word in words))


def study_terms(patient_name: str, patient_id: str, accession_number: str, study_instance_uid: str) -> tuple[str, ...]:
    """Return under which terms a study is found, each once.

    Examples
    --------
    >>> study_terms("Doe^Jane", "MRN 7", "A1", "1.2.3")
    ('doe', 'jane', 'mrn', '7', 'a1', '1.2.3')
    """
    told = (patient_name, patient_id, accession_number, study_instance_uid)
    return tuple(dict.fromkeys(term for text in told for term in _words(text)[:_MOST_KEPT]))
