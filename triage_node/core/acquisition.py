"""What tags and free text say of how a series was taken: contrast, part of the body, kernel.

In: descriptions in whatever words a site uses. Out: what is clearly said, or None. Text is a hint: it can refuse a series
that says so plainly, it can never make one eligible; what text leaves open the pixels decide.
"""

from __future__ import annotations

import re
from enum import Enum

from triage_node.core.instance import InstanceHeader

_START, _STOP = r"(?<![a-zäöüéèêàâç])(?:", r")(?![a-zäöüéèêàâç])"


def _words(*patterns: str) -> re.Pattern[str]:
    """Compile words that stand alone; digits, underscores and signs may touch them (``HEAD_5.0``, ``CTA1.0``)."""
    return re.compile(_START + "|".join(patterns) + _STOP)


_NO_CONTRAST = _words(
    r"w\s?/?\s?o(?:ut)?",
    r"wo\s?iv",
    r"without",
    r"non?[\s_-]*(?:iv[\s_-]*)?(?:con|contr|contrast|enhanced|enh|kontrast|ce)",
    r"non?[\s_-]*c",
    r"unenhanced",
    r"ncct",
    r"nect",
    r"nativ(?:e|a|o)?",
    r"plain",
    r"ohne",
    r"sans",
    r"sin",
    r"senza",
    r"sem",
    r"zonder",
    r"utan",
    r"uden",
    r"pre[\s_-]*(?:con|contr|contrast|kontrast|km)",
    r"c-",
)
_CONTRAST = _words(
    r"c\+",
    r"\+c",
    r"ce",
    r"cect",
    r"cta",
    r"ctv",
    r"ctp",
    r"angio\w*",
    r"perfusion\w*",
    r"perf",
    r"art(?:eriell|eriel|erial)?[\s_-]*phase",
    r"ven(?:oes|ös|ous)?[\s_-]*phase",
    r"post[\s_-]*(?:con|contr|contrast|kontrast|km|gd|iv)",
    r"(?:with|w/?|w|mit|avec|con|com|met|med)[\s_-]*(?:iv[\s_-]*)?(?:con|contr|contrast|contraste|contrasto|kontrast|km|iv)",
    r"(?:km|kontrast(?:mittel)?|contrast|contraste|contrasto|enhanced)",
    r"inject\w*",
    r"bolus(?:[\s_-]*track\w*)?",
)
_NO_AGENT = re.compile(
    r"\s*(?:no|none|non|nil|nein|n|false|0+|without.*|w/?o.*|no[\s_-]contrast.*|nativ\w*|ohne.*|sans.*)?\s*"
)

_HEAD = _words(
    r"(?:ct|nc|nect|ncct)?head", r"brain", r"skull", r"crani\w*", r"cerebr\w*", r"kopf", r"sch(?:ä|ae)del\w*", r"hirn\w*",
    r"gehirn", r"tete", r"tête", r"cran(?:e|io)", r"crâne", r"enc[eé]phal\w*", r"cabeza", r"cabeça", r"testa", r"hoofd", r"hersen\w*",
    r"hoved", r"huvud", r"hj(?:ä|ae|e)rn\w*", r"stroke", r"neuro\w*", r"trauma[\s_-]*head",
)  # fmt: skip
_OTHER_PARTS = _words(
    r"chest", r"thora\w*", r"lungs?", r"abd\w*", r"abdomen\w*", r"pelvi\w*", r"becken", r"bassin", r"liver", r"leber", r"kidneys?",
    r"colon\w*", r"heart", r"cardiac", r"coronar\w*", r"aorta\w*", r"neck", r"hals", r"cou", r"cuello", r"collo", r"larynx",
    r"[ctl][\s_-]?(?:spine|sp|ws)", r"(?:cervical|thoracic|lumbar)[\s_-]*(?:spine)?", r"spine", r"ss?pine", r"hws", r"bws", r"lws", r"rachis",
    r"wirbels\w*", r"sinus(?:es)?", r"nnh", r"paranasal\w*", r"orbits?", r"orbita\w*", r"fac(?:e|ial)\w*", r"maxill\w*", r"mandib\w*",
    r"dental\w*", r"temporal[\s_-]*bones?", r"petrous", r"felsenbein\w*", r"iacs?", r"mastoids?", r"shoulder", r"knee", r"foot", r"ankle",
    r"wrist", r"hand", r"elbow", r"hip", r"extremity", r"arm", r"leg", r"breast", r"whole[\s_-]*body", r"wholebody", r"tap", r"cap",
)  # fmt: skip

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
_BONE_WORDS = _words(r"bone\w*", r"knochen\w*", r"os(?:seux)?", r"oss?e[oa]", r"hueso", r"bot", r"sharp", r"edge")


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
    text = (header.series_description or header.protocol_name).lower()
    # "W/O AND W/ CONTRAST" is contrast; "NON-CONTRAST" is not: what a negation covers is taken out with its noun first.
    negated = re.compile(
        _NO_CONTRAST.pattern
        + r"(?:[\s_-]*(?:iv|i\.v\.))?(?:[\s_-]*(?:con|contr|contrast\w*|kontrast\w*|km|injection))?"
        + _STOP[1:]
    )
    found = _CONTRAST.search(negated.sub(" ", text))
    return f"the description says {found.group()!r}" if found else None


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


def _part_named(text: str) -> BodyPart | None:
    head, other = _HEAD.search(text), _OTHER_PARTS.search(text)
    if head and other:
        return BodyPart.BOTH
    return BodyPart.HEAD if head else BodyPart.OTHER if other else None
