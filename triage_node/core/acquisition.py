"""What tags and free text say of how a series was taken: contrast, part of the body, kernel.

In: descriptions in whatever words a site uses. Out: what is clearly said, or None. Text is a hint: it can refuse a series
that says so plainly, it can never make one eligible; what text leaves open the pixels decide.
"""

from __future__ import annotations

import re
from enum import Enum
from functools import lru_cache

from triage_node.core.instance import InstanceHeader


def _words(*lines: str, then: str = "") -> re.Pattern[str]:
    """Compile words that stand alone; digits, underscores and signs may touch them (``HEAD_5.0``, ``CTA1.0``)."""
    words = "|".join(word for line in lines for word in line.split())
    return re.compile(rf"(?<![a-zà-ÿ])(?:{words}){then}(?![a-zà-ÿ])")


_NEGATION = _words(
    r"w\s?/?\s?o(?:ut)? wo\s?iv without unenhanced ncct nect plain pre[\s_-]*(?:con|contr|contrast|kontrast|km) c-",
    r"non?[\s_-]*(?:iv[\s_-]*)?(?:con|contr|contrast|contraste|enhanced|enh|kontrast|ce) non?[\s_-]*c nativ(?:e|a|o)?",
    r"ohne sans sin senza sem zonder utan uden",
    then=r"(?:[\s_-]*(?:iv|i\.v\.))?(?:[\s_-]*(?:con|contr|contrast\w*|kontrast\w*|km|injection))?",
)
"""Words that say there was no contrast, with the noun they negate."""

_CONTRAST = _words(
    r"c\+ \+c ce cect cta ctv ctp angio\w* perfusion\w* perf inject\w* bolus(?:[\s_-]*track\w*)?",
    r"art(?:eriell|eriel|erial)?[\s_-]*phase ven(?:oes|ös|ous)?[\s_-]*phase",
    r"post[\s_-]*(?:con|contr|contrast|kontrast|km|gd|iv) km kontrast(?:mittel)? contrast[eo]? enhanced",
    r"(?:with|w/?|mit|avec|con|com|met|med)[\s_-]*(?:iv[\s_-]*)?(?:con|contr|contrast[eo]?|kontrast|km|iv)",
)
_NO_AGENT = re.compile(
    r"\s*(?:no|none|non|nil|nein|n|false|0+|without.*|w/?o.*|no[\s_-]contrast.*|nativ\w*|ohne.*|sans.*)?\s*"
)

_HEAD = _words(
    r"(?:ct|nc|nect|ncct)?head brain skull crani\w* cerebr\w* stroke neuro\w*",
    r"kopf sch(?:ä|ae)del\w* (?:ge)?hirn\w* t[eê]te cr[aâ]ne cranio enc[eé]phal\w* cabe[zç]a testa",
    r"hoofd hersen\w* hoved huvud hj(?:ä|ae|e)rn\w*",
)
_OTHER_PARTS = _words(
    r"chest thora\w* lungs? breast heart cardiac coronar\w* aorta\w* abd\w* liver leber kidneys? colon\w* tap cap",
    r"pelvi\w* becken bassin neck hals cou cuello collo larynx",
    r"[ctl][\s_-]?(?:spine|sp|ws) (?:cervical|thoracic|lumbar)[\s_-]*(?:spine)? ss?pine hws bws lws rachis wirbels\w*",
    r"sinus(?:es)? nnh paranasal\w* orbits? orbita\w* fac(?:e|ial)\w* maxill\w* mandib\w* dental\w*",
    r"temporal[\s_-]*bones? petrous felsenbein\w* iacs? mastoids?",
    r"shoulder knee foot ankle wrist hand elbow hip extremity arm leg whole[\s_-]*body",
)

_SOFT_NAMES = {
    "STANDARD",
    "STAND",
    "STD",
    "STD+",
    "STND",
    "SOFT",
    "BRAIN",
    "UA",
    "UB",
    "UC",
    "A",
    "B",
    "C",
    "SA",
    "SB",
    "SMOOTH",
}
_SHARP_NAMES = {
    "BONE",
    "BONE+",
    "BONEPLUS",
    "EDGE",
    "DETAIL",
    "LUNG",
    "ULTRA",
    "SHARP",
    "CHST",
    "HD BONE",
    "HD BONEPLUS",
    "D",
    "E",
    "L",
}
_SHARP_NAMES |= {"YA", "YB", "YC", "YD", "YE", "EC", "HEAD BONE"}
_SIEMENS = re.compile(r"[A-Z]{1,2}(\d{2})[A-Z]?(?:\\.*)?")
_TOSHIBA = re.compile(r"FC(\d{2})\w*(?:\\.*)?")
_SIEMENS_SHARPEST_SOFT = 49
_TOSHIBA_SHARP_TENS = (3, 5, 8)
_BONE_WORDS = _words(r"bone\w* knochen\w* os(?:seux)? oss?e[oa] hueso bot sharp edge")


class Kernel(Enum):
    """How a series was reconstructed, in the order of preference for reading blood."""

    SHARP = 0
    UNKNOWN = 1
    SOFT = 2


class BodyPart(Enum):
    """What part of the body text names: the head, clearly another part, or both."""

    HEAD = "head"
    OTHER = "another part"
    BOTH = "head and another part"


def contrast_named(header: InstanceHeader) -> str | None:
    """Return what says that contrast was given, or None.

    The study's description is not asked: one study often holds the series before and after the injection.

    Examples
    --------
    >>> from dataclasses import replace
    >>> header = InstanceHeader("1.2", "1.3", "1.4", "1.5", "1.6")
    >>> contrast_named(replace(header, series_description="CTA HEAD 1.0"))
    "the description says 'cta'"
    >>> contrast_named(replace(header, series_description="HEAD W/O CONTRAST")) is None
    True
    >>> contrast_named(replace(header, contrast_agent="OMNIPAQUE 350"))
    'a contrast agent is named'
    """
    if not _NO_AGENT.fullmatch(header.contrast_agent.lower()):
        return "a contrast agent is named"
    return _contrast_word((header.series_description or header.protocol_name).lower())


def body_part(header: InstanceHeader) -> BodyPart | None:
    """Return what part of the body is named by the first text that names one, from the most to the least specific.

    Examples
    --------
    >>> from dataclasses import replace
    >>> header = InstanceHeader("1.2", "1.3", "1.4", "1.5", "1.6", study_description="CT HEAD AND C-SPINE")
    >>> body_part(header), body_part(replace(header, series_description="C-SPINE 2.0 B60s"))
    (<BodyPart.BOTH: 'head and another part'>, <BodyPart.OTHER: 'another part'>)
    """
    for text in (header.series_description, header.body_part_examined, header.protocol_name, header.study_description):
        named = _part_named(text.lower())
        if named is not None:
            return named
    return None


def kernel(header: InstanceHeader) -> Kernel:
    """Return how soft the reconstruction kernel is.

    Examples
    --------
    >>> from dataclasses import replace
    >>> header = InstanceHeader("1.2", "1.3", "1.4", "1.5", "1.6", convolution_kernel="H31s")
    >>> [kernel(replace(header, convolution_kernel=each)).name for each in ("H31s", "H60s", "FC21", "BONEPLUS", "UB", "")]
    ['SOFT', 'SHARP', 'SOFT', 'SHARP', 'SOFT', 'UNKNOWN']
    """
    name = header.convolution_kernel.upper().strip()
    first = name.split("\\")[0].strip()
    if first in _SOFT_NAMES:
        return Kernel.SOFT
    if first in _SHARP_NAMES:
        return Kernel.SHARP
    if toshiba := _TOSHIBA.fullmatch(name):
        return Kernel.SHARP if int(toshiba.group(1)) // 10 in _TOSHIBA_SHARP_TENS else Kernel.SOFT
    if siemens := _SIEMENS.fullmatch(name):
        return Kernel.SOFT if int(siemens.group(1)) <= _SIEMENS_SHARPEST_SOFT else Kernel.SHARP
    return Kernel.SHARP if _BONE_WORDS.search(header.series_description.lower()) else Kernel.UNKNOWN


@lru_cache(maxsize=256)
def _contrast_word(text: str) -> str | None:
    # "W/O AND W/ CONTRAST" is contrast, "NON-CONTRAST" is not: a negation is taken out together with its noun first.
    found = _CONTRAST.search(_NEGATION.sub(" ", text))
    return f"the description says {found.group()!r}" if found else None


@lru_cache(maxsize=256)
def _part_named(text: str) -> BodyPart | None:
    head, other = _HEAD.search(text), _OTHER_PARTS.search(text)
    if head and other:
        return BodyPart.BOTH
    return BodyPart.HEAD if head else BodyPart.OTHER if other else None
