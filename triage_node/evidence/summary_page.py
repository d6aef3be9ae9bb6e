"""One page A4 that says what was found: for sites whose viewer shows neither structured reports nor secondary captures.

In: plain text, rows and pictures. Out: the bytes of a PDF, the same ones each time. Only the fonts that every PDF reader has
are used, so text beyond their characters cannot be shown; it is said where it is to be found instead.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

import numpy as np
import numpy.typing as npt
from PIL import Image as Picture
from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Flowable, Frame, KeepInFrame, Paragraph, Spacer, Table, TableStyle

from triage_node.core.report import EVALUATION_WORDS, NOTICE, Evaluation, FindingRow

_MARGIN = 18 * mm
_WIDTH = A4[0] - 2 * _MARGIN
_PICTURE_GAP = 4 * mm
_NOT_SHOWN = "(not in the fonts of this page; see the DICOM header)"

_BODY = ParagraphStyle("body", fontName="Helvetica", fontSize=10.5, leading=14.5)
_SMALL = ParagraphStyle("small", parent=_BODY, fontSize=8.5, leading=11.5, textColor=colors.HexColor("#444444"))
_TITLE = ParagraphStyle("title", parent=_BODY, fontName="Helvetica-Bold", fontSize=16, leading=20)
_HEADING = ParagraphStyle("heading", parent=_BODY, fontName="Helvetica-Bold", spaceBefore=10, spaceAfter=4)
_NOTICE = ParagraphStyle("notice", parent=_BODY, fontName="Helvetica-Bold", alignment=1)
_LINE = colors.HexColor("#bbbbbb")
_AMBER = colors.HexColor("#ffe9b0")


@dataclass(frozen=True)
class Summary:
    """What stands on the page.

    Attributes
    ----------
    identity
        Lines (name, value) that say whose study it is.
    impression
        The same sentences as in the structured report.
    rows
        The findings.
    pictures : (rows, columns, 3) each, 8-bit RGB
        Key heatmaps; at most three fit.
    origin
        Lines that say what made this and when.
    """

    title: str
    identity: Sequence[tuple[str, str]]
    impression: str
    rows: Sequence[FindingRow]
    pictures: Sequence[npt.NDArray[np.uint8]]
    origin: Sequence[str]


def summary_page(summary: Summary) -> bytes:
    """Draw the page; what would not fit is made smaller as a whole."""
    flow: list[Flowable] = [
        Paragraph(_shown(summary.title), _TITLE),
        Spacer(1, 4 * mm),
        _identity(summary.identity),
        Spacer(1, 4 * mm),
        _notice(),
        Paragraph("Impression", _HEADING),
        Paragraph(_shown(summary.impression), _BODY),
        Paragraph("Findings", _HEADING),
        _findings(summary.rows),
    ]
    if summary.pictures:
        flow += [Paragraph("Slices with the highest probability", _HEADING), _pictures(summary.pictures)]
    flow += [Spacer(1, 5 * mm), *(Paragraph(_shown(line), _SMALL) for line in summary.origin)]
    written = io.BytesIO()
    canvas = Canvas(written, pagesize=A4, invariant=1)  # without it the time of writing would be in the bytes
    canvas.setTitle(summary.title)
    canvas.setSubject(NOTICE)
    height = A4[1] - 2 * _MARGIN
    whole = KeepInFrame(_WIDTH, height, flow, mode="shrink")
    Frame(_MARGIN, _MARGIN, _WIDTH, height, 0, 0, 0, 0).addFromList([whole], canvas)
    canvas.showPage()
    canvas.save()
    return written.getvalue()


def _shown(text: str) -> str:
    """Return text as the page can show it, without markup of its own."""
    try:
        text.encode("cp1252")
    except UnicodeEncodeError:
        return _NOT_SHOWN
    return escape(text)


def _identity(lines: Sequence[tuple[str, str]]) -> Table:
    cells = [[Paragraph(name, _SMALL), Paragraph(_shown(value), _BODY)] for name, value in lines]
    return Table(cells, colWidths=[38 * mm, _WIDTH - 38 * mm], style=_table_style())


def _notice() -> Table:
    box = [("BACKGROUND", (0, 0), (-1, -1), _AMBER), ("BOTTOMPADDING", (0, 0), (-1, -1), 6)]
    return Table([[Paragraph(f"{NOTICE}.".upper(), _NOTICE)]], colWidths=[_WIDTH], style=TableStyle(box))


def _findings(rows: Sequence[FindingRow]) -> Table:
    """Draw the table; what is present stands out in bold, so that it does in grey too."""
    cells = [["Finding", "Evaluation", "Probability"]]
    style = _table_style()
    style.add("FONTNAME", (0, 0), (-1, 0), "Helvetica-Bold")
    for number, row in enumerate(rows, start=1):
        probability = "-" if row.probability is None else f"{row.probability:.2f}"
        cells.append([row.name, EVALUATION_WORDS[row.evaluation], probability])
        if row.evaluation is Evaluation.PRESENT:
            style.add("FONTNAME", (0, number), (-1, number), "Helvetica-Bold")
    return Table(cells, colWidths=[0.5 * _WIDTH, 0.28 * _WIDTH, 0.22 * _WIDTH], style=style)


def _table_style() -> TableStyle:
    return TableStyle(
        [
            ("LINEBELOW", (0, 0), (-1, -1), 0.4, _LINE),
            ("FONTSIZE", (0, 0), (-1, -1), _BODY.fontSize),
            ("TOPPADDING", (0, 0), (-1, -1), 2.5),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 2.5),
            ("LEFTPADDING", (0, 0), (0, -1), 0),
            ("VALIGN", (0, 0), (-1, -1), "MIDDLE"),
        ]
    )


def _pictures(pictures: Sequence[npt.NDArray[np.uint8]]) -> Table:
    width = (_WIDTH - 2 * _PICTURE_GAP) / 3
    cells = [_Drawn(each, width) for each in pictures]
    style = TableStyle([("LEFTPADDING", (0, 0), (-1, -1), 0), ("VALIGN", (0, 0), (-1, -1), "TOP")])
    return Table([cells], colWidths=[width + _PICTURE_GAP] * len(cells), hAlign="LEFT", style=style)


class _Drawn(Flowable):  # type: ignore[misc]  # reportlab has no types
    """A picture from an array, of a given width."""

    def __init__(self, picture: npt.NDArray[np.uint8], width: float) -> None:
        super().__init__()
        self._picture = picture
        self.width, self.height = width, width * picture.shape[0] / picture.shape[1]

    def wrap(self, _available_width: float, _available_height: float) -> tuple[float, float]:
        return self.width, self.height

    def draw(self) -> None:
        self.canv.drawImage(ImageReader(Picture.fromarray(self._picture)), 0, 0, self.width, self.height)
