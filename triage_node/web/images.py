"""Slices and heatmaps as PNG, for those who may see images.

A picture of one revision never changes, so browsers keep it for an hour and then ask by its ETag; a cache keeps it for this
session alone. What cannot be shown is answered in a sentence that the viewer repeats: 404 where there is no such thing,
410 where its file is gone or cannot be decoded, 503 where the database does not answer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import PlainTextResponse

from triage_node.core.access import Permission, Visitor
from triage_node.core.audit import AuditAction
from triage_node.core.errors import Transient
from triage_node.core.hounsfield import BLOOD_WINDOW, BONE_WINDOW, BRAIN_WINDOW, Window
from triage_node.core.ports import ImageGone, NoSuchImage, SeriesVersion, SliceImages
from triage_node.web.parameters import Uid
from triage_node.web.parts import WebParts
from triage_node.web.png import heatmap_png, slice_png
from triage_node.web.viewings import Viewings
from triage_node.web.visitors import note, require

WINDOWS: Mapping[str, Window] = {"brain": BRAIN_WINDOW, "subdural": BLOOD_WINDOW, "bone": BONE_WINDOW}
"""The network's three windows by the names that radiologists give them."""

WindowName = Literal["brain", "subdural", "bone"]

WIDEST_WINDOW_HU = 4096
"""As far as twelve stored bits reach."""

CenterHu = Annotated[int | None, Query(ge=-1024, le=3072)]
WidthHu = Annotated[int | None, Query(ge=1, le=WIDEST_WINDOW_HU)]
"""A reader's own window; what is left out is the named one's."""

_RENDERING = "1"
"""Part of every ETag: to be raised where the same pixels come to be drawn otherwise."""

_KEPT = {"Cache-Control": "private, max-age=3600", "Vary": "Cookie, Authorization"}
_NOT_KEPT = {"Cache-Control": "no-store"}

MaySeeImages = Annotated[Visitor, Depends(require(Permission.SEE_IMAGES))]


def routes(parts: WebParts) -> APIRouter:
    """Return the routes."""
    router = APIRouter(include_in_schema=False)
    of_series = "/studies/{study_instance_uid}/series/{series_instance_uid}"
    viewings = Viewings()

    def noted(request: Request, visitor: Visitor, study_instance_uid: str, shown: Response) -> Response:
        was_shown = shown.status_code < 400
        if was_shown and viewings.begins(visitor.name, study_instance_uid, parts.clock.now()):
            try:
                note(request, AuditAction.IMAGES_SHOWN, study_instance_uid)
            except Exception:  # this picture is not shown; the next one must not go unnoted
                viewings.forget(visitor.name, study_instance_uid)
                raise
        return shown

    @router.get(f"{of_series}/slices/{{index}}.png")
    def slice_picture(
        request: Request,
        visitor: MaySeeImages,
        study_instance_uid: Uid,
        series_instance_uid: Uid,
        index: int,
        window: WindowName = "brain",
        center_hu: CenterHu = None,
        width_hu: WidthHu = None,
        revision: int | None = None,
    ) -> Response:
        through = _window(WINDOWS[window], center_hu, width_hu)

        def found() -> SeriesVersion:
            return parts.images.version(study_instance_uid, series_instance_uid, revision)

        def drawn(version: SeriesVersion) -> bytes:
            return slice_png(parts.images.slice_hu(version, index), through)

        which = f"slice/{index}/{through.center_hu:g}/{through.width_hu:g}"
        return noted(request, visitor, study_instance_uid, picture(request, found, drawn, which))

    @router.get(f"{of_series}/revisions/{{revision}}/heatmaps/{{index}}.png")
    def heatmap_picture(
        request: Request,
        visitor: MaySeeImages,
        study_instance_uid: Uid,
        series_instance_uid: Uid,
        revision: int,
        index: int,
    ) -> Response:
        def found() -> SeriesVersion:
            return parts.images.version(study_instance_uid, series_instance_uid, revision)

        def drawn(version: SeriesVersion) -> bytes:
            return drawn_heatmap(parts.images, version, index)

        return noted(request, visitor, study_instance_uid, picture(request, found, drawn, f"heatmap/{index}"))

    return router


def _window(named: Window, center_hu: int | None, width_hu: int | None) -> Window:
    return Window(
        named.center_hu if center_hu is None else float(center_hu),
        named.width_hu if width_hu is None else float(width_hu),
    )


def drawn_heatmap(images: SliceImages, version: SeriesVersion, index: int) -> bytes:
    """Return a heatmap as PNG, as large as the slices that it lies over.

    Raises
    ------
    NoSuchImage, ImageGone, Transient
        There is none, or none now.
    """
    heatmap, stack = images.heatmap(version, index), images.stack(version)
    rows, columns = (stack.rows, stack.columns) if stack else heatmap.shape
    return heatmap_png(heatmap, rows, columns)


def picture(
    request: Request, find: Callable[[], SeriesVersion], draw: Callable[[SeriesVersion], bytes], which: str
) -> Response:
    """Answer with a PNG, with 304 where the browser has it, or with a sentence that says why there is none."""
    try:
        return kept_picture(request, find(), draw, which)
    except NoSuchImage as error:
        return PlainTextResponse(_sentence(error), status_code=404, headers=_NOT_KEPT)
    except ImageGone as error:
        return PlainTextResponse(_sentence(error), status_code=410, headers=_NOT_KEPT)
    except Transient:
        return PlainTextResponse("The node cannot reach its database now.", status_code=503, headers=_NOT_KEPT)


def kept_picture(
    request: Request, version: SeriesVersion, draw: Callable[[SeriesVersion], bytes], which: str
) -> Response:
    """Answer with a PNG, or with 304 where the asker has it.

    Raises
    ------
    NoSuchImage, ImageGone, Transient
        There is none, or none now.
    """
    headers = _KEPT | {"ETag": _etag(version, which)}
    if _has(request, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    return Response(draw(version), media_type="image/png", headers=headers)


def _etag(version: SeriesVersion, which: str) -> str:
    named = f"{version.series_id}/{version.series_instance_uid}/{version.revision}/{version.instance_count}"
    return f'"{hashlib.sha256(f"{_RENDERING}/{named}/{which}".encode()).hexdigest()[:32]}"'


def _has(request: Request, etag: str) -> bool:
    known = request.headers.get("if-none-match", "")
    return etag in {each.strip().removeprefix("W/") for each in known.split(",")}


def _sentence(error: Exception) -> str:
    text = str(error)
    return f"{text[:1].upper()}{text[1:]}."
