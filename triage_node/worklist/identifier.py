"""C-FIND identifiers: which keys they hold, what they ask for, and the identifiers of the answers.

In: a dataset of a peer, whatever it holds. Out: keys by their path, and answers with the attributes that were asked for and
no others, in a character set that can write them (PS3.4 C.4.1.1.3).
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timezone
from typing import Any

import pydicom.config
from pydicom.charset import python_encoding
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from triage_node.core.errors import Refused
from triage_node.worklist.matching import Criterion, KeyRejected, criterion, zone_of

pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE  # its warnings print the values of patients

_NOT_KEYS = frozenset({"SpecificCharacterSet", "QueryRetrieveLevel", "TimezoneOffsetFromUTC"})
_ASCII_VRS = frozenset({"AE", "AS", "CS", "DA", "DS", "DT", "IS", "TM", "UI"})
_UTF_8 = "ISO_IR 192"

Path = tuple[str, ...]
"""Keywords from the outermost sequence inwards, for example ("ReferencedRequestSequence", "AccessionNumber")."""


class IdentifierRejected(Refused):
    """An identifier that does not fit the SOP class."""


@dataclass(frozen=True)
class Identifier:
    """What a query asks for.

    Attributes
    ----------
    criteria
        What has to match, by path.
    level
        Query/Retrieve Level; empty where there is none.
    asked
        The dataset itself, whose elements name what is to be returned.
    """

    criteria: Mapping[Path, Criterion]
    level: str
    asked: Dataset

    @classmethod
    def read(cls, asked: Dataset) -> Identifier:
        """Read every key.

        Raises
        ------
        KeyRejected
            A value cannot be understood.
        IdentifierRejected
            A sequence has more than one item.
        """
        try:
            zone = zone_of(str(asked.get("TimezoneOffsetFromUTC", "")))
            criteria = dict(_criteria(asked, zone, ()))
            return cls(criteria, str(asked.get("QueryRetrieveLevel", "")).strip(), asked)
        except Refused:
            raise
        except Exception as error:  # pydicom raises whatever the bytes lead it to
            raise KeyRejected(f"a key cannot be read: {type(error).__name__}") from error

    def unsupported(self, known: frozenset[str]) -> list[str]:
        """Return the keywords or tags of outermost keys that this node does not know."""
        return [
            element.keyword or str(element.tag)
            for element in self.asked
            if element.keyword not in known and element.keyword not in _NOT_KEYS and element.tag.element != 0
        ]


def _criteria(asked: Dataset, zone: timezone | None, above: Path) -> Iterator[tuple[Path, Criterion]]:
    for element in asked:
        if element.keyword in _NOT_KEYS or not element.keyword:
            continue
        path = (*above, element.keyword)
        if dictionary_VR(element.tag) != element.VR:
            raise KeyRejected(f"{element.keyword} is not {element.VR}")
        if element.VR == "SQ":
            yield from _item_criteria(element, zone, path)
        else:
            found = criterion(element, zone)
            if found is not None:
                yield path, found


def _item_criteria(element: DataElement, zone: timezone | None, path: Path) -> Iterator[tuple[Path, Criterion]]:
    items = element.value or []
    if len(items) > 1:
        raise IdentifierRejected(f"{element.keyword}: a key has one item (PS3.4 C.2.2.2.6)")
    for item in items:
        yield from _criteria(item, zone, path)


def answer(
    asked: Dataset, attributes: Mapping[str, Callable[..., Any]], always: Sequence[str], *record: Any
) -> Dataset:
    """Return an identifier with what was asked for, as far as it is known, and what every answer has.

    Parameters
    ----------
    attributes
        By keyword, each worked out from the record only where it is wanted. A sequence is a list of datasets.
    """
    made = Dataset()
    for keyword in always:
        put(made, keyword, attributes[keyword](*record))
    for element in asked:
        if element.keyword in attributes and element.keyword not in always:
            put(made, element.keyword, _narrowed(element, attributes[element.keyword](*record)))
    declare_character_set(made, _character_sets(asked))
    return made


def put(made: Dataset, keyword: str, value: Any) -> None:
    """Set an attribute; a value that its VR cannot write becomes empty, so that one bad study hides no other.

    What senders wrote into dates, codes and UIDs is kept as it came, and only text has a character set (PS3.5 6.1.2.3).
    """
    if dictionary_VR(keyword) in _ASCII_VRS and not str(value).isascii():
        value = ""
    setattr(made, keyword, value)


def _narrowed(element: DataElement, value: Any) -> Any:
    """Where an item names attributes, return only those of each item (C.2.2.2.6)."""
    if element.VR != "SQ" or not element.value or not len(element.value[0]):
        return value
    narrowed = []
    for item in value:
        made = Dataset()
        for inner in element.value[0]:
            if inner.keyword in item:
                setattr(made, inner.keyword, _narrowed(inner, item[inner.keyword].value))
        narrowed.append(made)
    return narrowed


def _character_sets(asked: Dataset) -> tuple[str, ...]:
    named = asked.get("SpecificCharacterSet")
    return tuple(named) if isinstance(named, Sequence) and not isinstance(named, str) else (str(named or ""),)


def declare_character_set(made: Dataset, wished: Sequence[str] = ("",)) -> None:
    """Name a character set that can write all of the dataset: none for ASCII, a single one that was wished, else UTF-8."""
    texts = "".join(_texts(made))
    if texts.isascii():
        return
    made.SpecificCharacterSet = wished[0] if len(wished) == 1 and _can_write(wished[0], texts) else _UTF_8


def _texts(dataset: Dataset) -> Iterator[str]:
    for element in dataset:
        if element.VR == "SQ":
            for item in element.value:
                yield from _texts(item)
        elif element.VR not in ("UI", "OB", "OW", "US"):
            yield str(element.value)


def _can_write(character_set: str, text: str) -> bool:
    """Of one set without code extensions; text in several is written as UTF-8, which every reader of such sets knows."""
    encoding = python_encoding.get(character_set)
    if not character_set or encoding is None or character_set.startswith("ISO 2022"):
        return False
    try:
        codecs.encode(text, encoding)
    except (UnicodeError, LookupError):
        return False
    return True
