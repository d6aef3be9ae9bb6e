"""Slices and heatmaps over HTTP: the grey that a Hounsfield unit must have, in register, and words where nothing can be shown."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from fakes.read_studies import SPOT, ReadStudy, late_slices, read_study
from fakes.web import web_parts
from fastapi.testclient import TestClient
from PIL import Image
from pydicom.dataset import Dataset
from sqlalchemy import Engine, delete
from sqlalchemy.orm import Session

from triage_node.core.errors import Transient
from triage_node.core.overlay import MAX_OPACITY, blended, shown
from triage_node.web.app import make_app
from triage_node.web.images import WINDOWS
from triage_node.worklist.audit import SqlAuditTrail
from triage_node.worklist.repository import SqlStudyRepository
from triage_node.worklist.tables import StudyRow

Sign = Callable[[str], TestClient]


@pytest.fixture
def repository(sqlite_engine: Engine) -> SqlStudyRepository:
    return SqlStudyRepository(sqlite_engine)


@pytest.fixture
def signed_in(sqlite_engine: Engine, tmp_path: Path) -> Sign:
    """Return a browser of somebody with this role; nobody for an empty one."""
    app = make_app(web_parts(sqlite_engine, tmp_path))

    def browser(role: str) -> TestClient:
        return TestClient(app, cookies={"triage_session": role} if role else {})

    return browser


@pytest.fixture
def radiologist(signed_in: Sign) -> TestClient:
    return signed_in("radiologist")


@pytest.fixture
def study(repository: SqlStudyRepository, tmp_path: Path) -> ReadStudy:
    return read_study(repository, tmp_path)


def _slice(study: ReadStudy, index: int, window: str = "brain") -> str:
    return f"{study.path}/series/{study.series_uid}/slices/{index}.png?window={window}"


def _heatmap(study: ReadStudy, index: int, revision: int = 1) -> str:
    return f"{study.path}/series/{study.series_uid}/revisions/{revision}/heatmaps/{index}.png"


def _pixels(content: bytes, mode: str) -> npt.NDArray[np.uint8]:
    picture = Image.open(io.BytesIO(content))
    assert picture.format == "PNG"
    return np.asarray(picture.convert(mode))


# pixels --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("window", ["brain", "subdural", "bone"])
def test_known_hounsfield_units_have_their_grey(radiologist: TestClient, study: ReadStudy, window: str) -> None:
    lower, width = {"brain": (0.0, 80.0), "subdural": (-20.0, 200.0), "bone": (-800.0, 2800.0)}[window]
    for index in (0, 7, len(study.volume.volume_hu) - 1):
        answer = radiologist.get(_slice(study, index, window))
        assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
        expected = (study.volume.volume_hu[index].astype(float) - lower) / width * 255.0
        assert np.abs(_pixels(answer.content, "L") - expected.clip(0, 255)).max() <= 1.0


def test_windows_are_those_that_radiologists_set() -> None:
    assert {name: (each.center_hu, each.width_hu) for name, each in WINDOWS.items()} == {
        "brain": (40.0, 80.0),
        "subdural": (80.0, 200.0),
        "bone": (600.0, 2800.0),
    }


def test_reader_sets_width_and_level(radiologist: TestClient, study: ReadStudy) -> None:
    of_brain = radiologist.get(_slice(study, 7))
    own = radiologist.get(f"{_slice(study, 7)}&center_hu=60&width_hu=30")
    expected = (study.volume.volume_hu[7].astype(float) - 45.0) / 30.0 * 255.0
    assert np.abs(_pixels(own.content, "L") - expected.clip(0, 255)).max() <= 1.0
    assert own.headers["etag"] != of_brain.headers["etag"]
    level_kept = radiologist.get(f"{_slice(study, 7)}&width_hu=80")
    assert level_kept.content == of_brain.content, "what is left out is the named window's"


@pytest.mark.parametrize("asked", ["width_hu=0", "width_hu=-5", "width_hu=1e9", "center_hu=x", "center_hu=99999"])
def test_window_that_makes_no_sense_is_refused(radiologist: TestClient, study: ReadStudy, asked: str) -> None:
    assert radiologist.get(f"{_slice(study, 7)}&{asked}").status_code == 422


def _prone(dataset: Dataset) -> None:
    dataset.ImageOrientationPatient = ["-1", "0", "0", "0", "-1", "0"]


def _mirrored(dataset: Dataset) -> None:
    dataset.ImageOrientationPatient = ["-1", "0", "0", "0", "1", "0"]


@pytest.mark.parametrize("change", [None, _prone, _mirrored])
def test_slice_and_heatmap_lie_in_register_the_patients_left_on_the_right(
    repository: SqlStudyRepository,
    radiologist: TestClient,
    tmp_path: Path,
    change: Callable[[Dataset], None] | None,
) -> None:
    study = read_study(repository, tmp_path, change=change)
    index = study.flagged[0]
    grey = _pixels(radiologist.get(_slice(study, index)).content, "L")
    assert np.array_equal(grey, shown(study.volume.volume_hu[index]))
    heat = _pixels(radiologist.get(_heatmap(study, index)).content, "RGBA")
    assert heat.shape[:2] == grey.shape
    place = np.unravel_index(heat[..., 3].argmax(), grey.shape)
    assert np.abs(np.array(place) - SPOT).max() <= 1
    assert heat[..., 3].max() >= 250
    assert heat[-1, 0, 3] == 0, "far from the spot nothing covers the slice"


def test_faded_to_the_usual_share_the_overlay_is_the_heatmap_that_is_sent(
    radiologist: TestClient, study: ReadStudy
) -> None:
    index = study.flagged[0]
    heat = _pixels(radiologist.get(_heatmap(study, index)).content, "RGBA").astype(float)
    grey = shown(study.volume.volume_hu[index])
    share = heat[..., 3:] / 255.0 * MAX_OPACITY
    laid_over = grey[..., np.newaxis] * (1 - share) + heat[..., :3] * share
    sent = blended(grey, heat[..., 3] / 255.0)
    assert np.abs(laid_over - sent).max() <= 2.0


def test_slices_of_an_earlier_revision_stay_what_they_were(
    repository: SqlStudyRepository, radiologist: TestClient, tmp_path: Path
) -> None:
    first = read_study(repository, tmp_path, late=2)
    count = len(first.volume.volume_hu)
    top = f"{first.path}/series/{first.series_uid}/slices/{count}.png"
    assert radiologist.get(f"{top}?revision=1").status_code == 404
    late_slices(repository, tmp_path, first)
    assert radiologist.get(f"{top}?revision=1").status_code == 404
    assert radiologist.get(f"{top}?revision=2").status_code == 200
    assert radiologist.get(top).status_code == 200, "without a revision it is the current one"


# caching -------------------------------------------------------------------------------------------------------------


def test_browser_that_has_a_picture_is_not_sent_it_again(radiologist: TestClient, study: ReadStudy) -> None:
    for path in (_slice(study, 3), _heatmap(study, study.flagged[0])):
        first = radiologist.get(path)
        assert "private" in first.headers["cache-control"]
        assert "Cookie" in first.headers["vary"]
        again = radiologist.get(path, headers={"If-None-Match": f'"other", {first.headers["etag"]}'})
        assert (again.status_code, again.content) == (304, b"")
        assert radiologist.get(path, headers={"If-None-Match": '"other"'}).status_code == 200


def test_every_picture_has_a_tag_of_its_own(radiologist: TestClient, study: ReadStudy) -> None:
    paths = [_slice(study, 3), _slice(study, 4), _slice(study, 3, "bone"), _heatmap(study, study.flagged[0])]
    assert len({radiologist.get(each).headers["etag"] for each in paths}) == len(paths)


def test_nobody_gets_a_304_for_what_they_may_not_see(signed_in: Sign, study: ReadStudy) -> None:
    etag = signed_in("radiologist").get(_slice(study, 3)).headers["etag"]
    assert signed_in("viewer").get(_slice(study, 3), headers={"If-None-Match": etag}).status_code == 403


# who may see ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("role", "status"), [("radiologist", 200), ("administrator", 200), ("viewer", 403), ("", 401)])
def test_images_are_for_those_who_may_see_them(signed_in: Sign, study: ReadStudy, role: str, status: int) -> None:
    for path in (_slice(study, 3), _heatmap(study, study.flagged[0])):
        answer = signed_in(role).get(path, headers={"Accept": "image/png"})
        assert answer.status_code == status
        assert (answer.headers["content-type"] == "image/png") == (status == 200)


# what cannot be shown ------------------------------------------------------------------------------------------------


def test_viewing_is_one_line_of_the_trail_for_each_reader(
    signed_in: Sign, study: ReadStudy, sqlite_engine: Engine
) -> None:
    for role in ("radiologist", "administrator", "viewer"):
        for path in (_slice(study, 0), _slice(study, 1), _heatmap(study, study.flagged[0]), _slice(study, 99)):
            signed_in(role).get(path)
    lines = SqlAuditTrail(sqlite_engine).of_study(study.uid, 20)
    assert sorted(line.actor for line in lines if line.action == "IMAGES_SHOWN") == ["administrator", "radiologist"]


class _TrailThatFailsOnce(SqlAuditTrail):
    """The database is away when the first line is written."""

    failed = False

    def note(self, *line: Any) -> None:
        if not self.failed:
            self.failed = True
            raise Transient("away")
        super().note(*line)


def test_viewing_that_could_not_be_noted_is_not_shown_and_noted_at_the_next_picture(
    sqlite_engine: Engine, tmp_path: Path, study: ReadStudy
) -> None:
    app = make_app(web_parts(sqlite_engine, tmp_path, audit=_TrailThatFailsOnce(sqlite_engine)))
    radiologist = TestClient(app, cookies={"triage_session": "radiologist"})
    assert [radiologist.get(_slice(study, index)).status_code for index in (0, 0, 1)] == [503, 200, 200]
    lines = SqlAuditTrail(sqlite_engine).of_study(study.uid, 20)
    assert [line.action for line in lines] == ["IMAGES_SHOWN"]


def test_what_is_not_there_is_told_in_words(radiologist: TestClient, study: ReadStudy) -> None:
    series = f"{study.path}/series"
    for path, words in (
        (_slice(study, 999), "no slice 1000"),
        (f"{series}/9.9.9/slices/1.png", "no such series"),
        (f"{series}/{study.series_uid}/slices/1.png?revision=7", "no such revision"),
        (f"/studies/9.9/series/{study.series_uid}/slices/1.png", "no such series"),
        (_heatmap(study, 0), "Slice 1 has no heatmap"),
        (_heatmap(study, study.flagged[0], revision=2), "no such revision"),
    ):
        answer = radiologist.get(path)
        assert (answer.status_code, answer.headers["content-type"]) == (404, "text/plain; charset=utf-8")
        assert words in answer.text
        assert answer.headers["cache-control"] == "no-store"


def test_missing_and_damaged_files_are_gone_and_the_others_stay(radiologist: TestClient, study: ReadStudy) -> None:
    study.volume.paths[2].unlink()
    study.volume.paths[3].write_bytes(study.volume.paths[3].read_bytes()[:900])
    assert radiologist.get(_slice(study, 2)).status_code == 410
    assert "no longer kept" in radiologist.get(_slice(study, 2)).text
    assert radiologist.get(_slice(study, 3)).status_code == 410
    assert "Slice 4 cannot be decoded" in radiologist.get(_slice(study, 3)).text
    assert radiologist.get(_slice(study, 4)).status_code == 200


def test_damaged_heatmaps_are_gone(radiologist: TestClient, study: ReadStudy, tmp_path: Path) -> None:
    (archive,) = tmp_path.joinpath("evidence").rglob("*.zip")
    archive.write_bytes(archive.read_bytes()[:50])
    assert radiologist.get(_heatmap(study, study.flagged[0])).status_code == 410
    assert radiologist.get(study.path).status_code == 200, "the page goes on without them"


def test_study_that_vanishes_takes_its_images_along(
    radiologist: TestClient, study: ReadStudy, sqlite_engine: Engine
) -> None:
    etag = radiologist.get(_slice(study, 3)).headers["etag"]
    with Session(sqlite_engine) as session, session.begin():
        session.execute(delete(StudyRow))
    answer = radiologist.get(_slice(study, 3), headers={"If-None-Match": etag})
    assert answer.status_code == 404
    assert "any more" in answer.text


@pytest.mark.parametrize(
    "path",
    [
        "/studies/1.2/series/1.2/slices/x.png",
        "/studies/1.2/series/1.2/slices/1.png?window=liver",
        "/studies/1.2/series/..%2F..%2Fetc/slices/1.png",
        "/studies/1.2%00/series/1.2/slices/1.png",
        "/studies/1.2/series/1.2/slices/1.png?revision=99999999999999999999999",
        "/studies/1.2/series/1.2/slices/99999999999999999999999.png",
    ],
)
def test_addresses_that_make_no_sense_are_refused(radiologist: TestClient, study: ReadStudy, path: str) -> None:
    assert radiologist.get(path).status_code in (404, 422)
