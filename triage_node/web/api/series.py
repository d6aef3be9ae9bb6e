"""Series of a study, the scores of their slices, and both as pictures."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Path, Query, Request, Response

from triage_node.core.access import Permission, Visitor
from triage_node.core.audit import AuditAction
from triage_node.core.ports import ImageGone, NoSuchImage, SeriesVersion
from triage_node.web.api.entity import entity
from triage_node.web.api.studies import MaySee, study_or_404
from triage_node.web.api.study_models import Revision, Series, SeriesList, SliceList
from triage_node.web.images import WINDOWS, WindowName, drawn_heatmap, kept_picture
from triage_node.web.parameters import Uid
from triage_node.web.parts import WebParts
from triage_node.web.png import slice_png
from triage_node.web.visitors import note, require

MaySeeImages = Annotated[Visitor, Depends(require(Permission.SEE_IMAGES))]
SliceIndex = Annotated[int, Path(ge=0, le=99_999, description="Place in the series, 0 the most inferior.")]
AskedRevision = Annotated[Revision | None, Query(description="Revision of the series; the current one by default.")]
_PICTURE: dict[int | str, dict[str, Any]] = {
    200: {"content": {"image/png": {"schema": {"type": "string", "format": "binary"}}}},
    304: {"description": "The program has this picture."},
    404: {},
    410: {},
}


def routes(parts: WebParts) -> APIRouter:
    """Return the routes."""
    router = APIRouter(prefix="/api/v1/studies/{study_instance_uid}/series", tags=["Series"])

    @router.get("", response_model=SeriesList, summary="List the series of a study", responses={404: {}})
    def every_series(request: Request, visitor: MaySee, study_instance_uid: Uid) -> Response:
        """In the order of their arrival."""
        study = study_or_404(parts, study_instance_uid)
        note(request, AuditAction.STUDY_SHOWN, study_instance_uid, api=True)
        return entity(request, SeriesList.model_validate(study))

    @router.get("/{series_instance_uid}", response_model=Series, summary="Show one series", responses={404: {}})
    def one_series(request: Request, visitor: MaySee, study_instance_uid: Uid, series_instance_uid: Uid) -> Response:
        """With every revision, what was read and made of it, and where that went."""
        series = _series_or_404(parts, study_instance_uid, series_instance_uid)
        note(request, AuditAction.STUDY_SHOWN, study_instance_uid, api=True, series=series_instance_uid)
        return entity(request, Series.model_validate(series))

    @router.get(
        "/{series_instance_uid}/slices",
        response_model=SliceList,
        summary="List the scores of slices",
        responses={404: {}},
    )
    def slices(
        request: Request,
        visitor: MaySee,
        study_instance_uid: Uid,
        series_instance_uid: Uid,
        revision: AskedRevision = None,
    ) -> Response:
        """From inferior to superior; none where that revision was not read."""
        series = _series_or_404(parts, study_instance_uid, series_instance_uid)
        asked = revision or series["revision"]
        entry = next((each for each in series["revisions"] if each["revision"] == asked), None)
        if entry is None:
            raise HTTPException(404, "this series has no such revision")
        note(request, AuditAction.STUDY_SHOWN, study_instance_uid, api=True, series=series_instance_uid)
        numbered = [each | {"slice_index": index} for index, each in enumerate(entry["slices"])]
        return entity(request, SliceList(revision=asked, slices=numbered))

    @router.get(
        "/{series_instance_uid}/slices/{slice_index}.png",
        response_class=Response,
        summary="Show a slice as PNG",
        responses=_PICTURE,
    )
    def slice_picture(
        request: Request,
        visitor: MaySeeImages,
        study_instance_uid: Uid,
        series_instance_uid: Uid,
        slice_index: SliceIndex,
        window: WindowName = "brain",
        revision: AskedRevision = None,
    ) -> Response:
        """Grey, 8 bits, through one of the three windows that the network sees. Not for diagnostic use."""

        def drawn(version: SeriesVersion) -> bytes:
            return slice_png(parts.images.slice_hu(version, slice_index), WINDOWS[window])

        asked = (study_instance_uid, series_instance_uid, revision)
        return _noted_picture(request, parts, asked, drawn, f"slice/{slice_index}/{window}")

    @router.get(
        "/{series_instance_uid}/slices/{slice_index}/heatmap.png",
        response_class=Response,
        summary="Show where the network looked as PNG",
        responses=_PICTURE,
    )
    def heatmap_picture(
        request: Request,
        visitor: MaySeeImages,
        study_instance_uid: Uid,
        series_instance_uid: Uid,
        slice_index: SliceIndex,
        revision: AskedRevision = None,
    ) -> Response:
        """Coloured, to lay over the slice; transparent where the network did not look. 404 where a slice has none."""

        def drawn(version: SeriesVersion) -> bytes:
            return drawn_heatmap(parts.images, version, slice_index)

        asked = (study_instance_uid, series_instance_uid, revision)
        return _noted_picture(request, parts, asked, drawn, f"heatmap/{slice_index}")

    return router


def _series_or_404(parts: WebParts, study_instance_uid: str, series_instance_uid: str) -> dict[str, Any]:
    for each in study_or_404(parts, study_instance_uid)["series"]:
        if each["series_instance_uid"] == series_instance_uid:
            return dict(each)
    raise HTTPException(404, "this study has no such series")


def _noted_picture(
    request: Request, parts: WebParts, asked: tuple[str, str, int | None], drawn: Any, which: str
) -> Response:
    """Answer with a picture and note that it was shown."""
    try:
        version = parts.images.version(*asked)
    except NoSuchImage as error:
        raise HTTPException(404, str(error)) from error
    try:
        shown = kept_picture(request, version, drawn, which)
    except NoSuchImage as error:
        raise HTTPException(404, _counted(error)) from error
    except ImageGone as error:
        raise HTTPException(410, _counted(error)) from error
    note(request, AuditAction.IMAGES_SHOWN, asked[0], api=True, series=asked[1], picture=which)
    return shown


def _counted(error: Exception) -> str:
    """Return a sentence of the viewer, which counts as people do."""
    return f"{error} (counted from 1; slice_index counts from 0)"
