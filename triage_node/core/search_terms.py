"""Under which words a study is found, and which words a search means; both are brought into one form here."""

from __future__ import annotations

import unicodedata

LONGEST_TERM = 64
"""Characters; a Study Instance UID is no longer (PS3.5 9.1)."""
_MOST_TERMS = 12
_SEPARATORS = str.maketrans({"^": " ", "=": " ", ",": " "})


def search_terms(text: str) -> tuple[str, ...]:
    """Return the words of a text as they are searched: small letters, no more than somebody would type.

    Person names are split at the carets and equals signs of PS3.5 6.2.1.

    Examples
    --------
    >>> search_terms("O'Neill^Jane  Anne")
    ("o'neill", 'jane', 'anne')
    """
    folded = unicodedata.normalize("NFC", text.replace("\0", "")).casefold()
    words = (word[:LONGEST_TERM] for word in folded.translate(_SEPARATORS).split())
    return tuple(dict.fromkeys(words))[:_MOST_TERMS]


def study_terms(patient_name: str, patient_id: str, accession_number: str, study_instance_uid: str) -> tuple[str, ...]:
    """Return under which terms a study is found, each once.

    Examples
    --------
    >>> study_terms("Doe^Jane", "MRN 7", "A1", "1.2.3")
    ('doe', 'jane', 'mrn', '7', 'a1', '1.2.3')
    """
    told = (patient_name, patient_id, accession_number, study_instance_uid)
    return tuple(dict.fromkeys(term for text in told for term in search_terms(text)))
