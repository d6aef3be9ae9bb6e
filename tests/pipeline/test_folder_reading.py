"""Files without the network: by series, by the node's own rules, one result each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fakes.ports import FlatReader, GivenCascade, SteppedClock
from fakes.slices import HEAD_SLICES, head

from triage_node.core.errors import Refused
from triage_node.core.instance import InstanceHeader
from triage_node.core.ports import StoredInstance
from triage_node.core.reason import Reason, Refusal
from triage_node.core.series import DEFAULT_LIMITS
from triage_node.pipeline.folder_reading import read_files

NOW = SteppedClock().now()


def _read(stored: list[StoredInstance], reader: FlatReader | None = None, **cascade: Any) -> list[dict[str, Any]]:
    by_path = {each.path: each.header for each in stored}
    loads: list[int] = []

    def header(path: Path) -> InstanceHeader:
        if path not in by_path:
            raise Refused("no DICM prefix")
        return by_path[path]

    def load() -> GivenCascade:
        loads.append(1)
        return GivenCascade(**cascade)

    paths = [Path("/readme.txt"), *by_path]
    results = list(read_files(paths, header, DEFAULT_LIMITS, reader or FlatReader(), load))
    assert len(loads) == any(each["state"] == "CLASSIFIED" for each in results)
    return results


def test_each_series_has_one_result_in_the_order_of_its_files() -> None:
    results = _read([*head(NOW), *head(NOW, series=2), *head(NOW, study="1.2.4", contrast_agent="IOHEXOL")])
    assert [(each["series_instance_uid"], each["state"], each["reason"]) for each in results] == [
        ("1.2.3.1", "CLASSIFIED", None),
        ("1.2.3.2", "CLASSIFIED", None),
        ("1.2.4.1", "NOT_ANALYSED", "CONTRAST"),
    ]


def test_slices_come_from_inferior_to_superior() -> None:
    (result,) = _read(list(reversed(head(NOW))))
    assert [each["sop_instance_uid"] for each in result["slices"]] == [f"1.2.3.1.{n + 1}" for n in range(HEAD_SLICES)]
    assert set(result["slices"][0]) >= {"sop_instance_uid", "ich_probability", "subtypes"}


def test_refusal_by_pixels_is_a_result() -> None:
    (result,) = _read(head(NOW), FlatReader({"1.2.3.1": Refusal(Reason.UNDECODABLE, "JPEG")}))
    assert (result["state"], result["reason"], result["detail"]) == ("NOT_ANALYSED", "UNDECODABLE", "JPEG")
    assert (result["ich_probability"], result["slices"]) == (None, [])


def test_model_is_not_loaded_for_a_folder_without_a_head() -> None:
    assert [each["state"] for each in _read(head(NOW, numbers=range(3)))] == ["NOT_ANALYSED"]


def test_same_instance_in_two_files_counts_once() -> None:
    stored = head(NOW)
    twin = StoredInstance(stored[0].header, Path("/copy/0.dcm"), NOW)
    (result,) = _read([*stored, twin])
    assert result["instances"] == HEAD_SLICES
