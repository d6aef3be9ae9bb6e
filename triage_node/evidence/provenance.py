"""Who made an object, when, and under which identifiers: the same for every object of one reading.

In: the node's identity and the reading. Out: UIDs that repeat when the step repeats, equipment and observer descriptions.
Answers to PS3.3 C.7.5.2 (Enhanced General Equipment), C.12.1.1.5 (Contributing Equipment), TID 1002 and TID 1004, and to
IHE RAD TF-3 6.5.3.1 (AI Results, general encoding).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone, tzinfo
from typing import Any

from highdicom import ContributingEquipment
from highdicom.sr import DeviceObserverIdentifyingAttributes, ObserverContext
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes as standard_codes
from pydicom.uid import Comprehensive3DSRStorage, KeyObjectSelectionDocumentStorage

from triage_node.core.identifiers import derived_uid
from triage_node.core.report import NOTICE
from triage_node.evidence import codes
from triage_node.evidence.legal_values import legal_element
from triage_node.evidence.source_series import SourceSeries

MANUFACTURER = "triage_node open source project"
MODEL_NAME = "triage_node"

SERIES_NUMBERS: Mapping[str, int] = {"SR": 9001, "SC": 9002, "KO": 9003, "PR": 9004, "PDF": 9005}
"""Far above what scanners count to, so that our series sort last in every viewer."""

_AI_RESULTS = frozenset({Comprehensive3DSRStorage, KeyObjectSelectionDocumentStorage})
"""What IHE AI Results speaks of. Device UID is younger in Contributing Equipment than some validators, which warn of it: the
other objects do without."""

_SCANNER_ATTRIBUTES = (
    "Manufacturer",
    "InstitutionName",
    "StationName",
    "ManufacturerModelName",
    "DeviceSerialNumber",
    "SoftwareVersions",
)


@dataclass(frozen=True)
class NodeIdentity:
    """This node as a device.

    Attributes
    ----------
    station_name
        Its AE title (SH, at most 16 characters).
    software_version
        Version of triage_node.
    device_serial_number
        What tells this installation from others; not empty (Enhanced General Equipment, type 1).
    """

    station_name: str
    software_version: str
    device_serial_number: str

    @property
    def device_uid(self) -> str:
        """One UID for this installation."""
        return derived_uid("device", MODEL_NAME, self.device_serial_number, self.station_name)

    def observer(self) -> ObserverContext:
        """Describe the node as the observer of a report (TID 1004)."""
        return ObserverContext(
            observer_type=standard_codes.DCM.Device,
            observer_identifying_attributes=DeviceObserverIdentifyingAttributes(
                uid=self.device_uid,
                name=self.station_name,
                manufacturer_name=MANUFACTURER,
                model_name=MODEL_NAME,
                serial_number=self.device_serial_number,
            ),
        )


@dataclass(frozen=True)
class ModelIdentity:
    """The cascade as a device: another training is another device (IHE RAD TF-3 6.5.3.1, AI Results)."""

    name: str
    version: str
    weights_sha256: str

    @property
    def device_uid(self) -> str:
        """One UID for these weights, on whichever node."""
        return derived_uid("model", self.weights_sha256)


@dataclass(frozen=True)
class Provenance:
    """The node, the reading's identity and its time.

    Attributes
    ----------
    identity_parts
        What makes this reading different from every other; the UIDs are derived from it.
    created_at
        In the time zone that the study's own dates are in.
    model
        What read the images; None where nothing did.
    revision
        Of the series, from 1; a later one stands in the description of every series, because a viewer lists the series of
        all revisions.
    """

    node: NodeIdentity
    identity_parts: tuple[str, ...]
    created_at: datetime
    model: ModelIdentity | None
    revision: int = 1

    @property
    def software_versions(self) -> list[str]:
        """Of the node and of the model, in this order (LO, at most 64 characters each)."""
        model = [] if self.model is None else [f"{self.model.name} {self.model.version}"[:64]]
        return [self.node.software_version, *model]

    def sop_instance_uid(self, kind: str, number: int) -> str:
        """Return the UID of the object of this kind and number, counted from 1."""
        return derived_uid(*self.identity_parts, kind, str(number))

    def series_instance_uid(self, kind: str) -> str:
        """Return the UID of the series that holds all objects of this kind of this reading."""
        return derived_uid(*self.identity_parts, kind, "series")

    def equipment(self) -> dict[str, Any]:
        """Return General Equipment as arguments of every highdicom object."""
        return {
            "manufacturer": MANUFACTURER,
            "manufacturer_model_name": MODEL_NAME,
            "software_versions": self.software_versions,
            "device_serial_number": self.node.device_serial_number,
        }

    def identifiers(self, kind: str, number: int, description: str) -> dict[str, Any]:
        """Return the series and instance of one object as arguments of every highdicom object."""
        return {
            "series_instance_uid": self.series_instance_uid(kind),
            "series_number": SERIES_NUMBERS[kind],
            "series_description": description if self.revision == 1 else f"{description} (revision {self.revision})",
            "sop_instance_uid": self.sop_instance_uid(kind, number),
            "instance_number": number,
        }

    def _contributions(self, what: str, sop_class_uid: str) -> list[Dataset]:
        """Describe the node as the equipment that made the object, and the cascade as the one that read the images."""
        node: Dataset = ContributingEquipment(
            manufacturer=MANUFACTURER,
            purpose_of_reference=codes.PROCESSING_EQUIPMENT,
            manufacturer_model_name=MODEL_NAME,
            software_versions=self.software_versions,
            device_serial_number=self.node.device_serial_number,
            station_name=self.node.station_name,
            contribution_description=f"{what}. {NOTICE}.",
        )
        # A plain string, as a reader gets it back; in the zone of every other time of the object, so without an offset, which
        # DCMTK's dcmpschk takes for an error.
        node.ContributionDateTime = self.created_at.strftime("%Y%m%d%H%M%S.%f")
        if self.model is None:
            return [node]
        cascade = _cascade(self.model)
        if sop_class_uid in _AI_RESULTS:
            cascade.DeviceUID = self.model.device_uid
        return [node, cascade]

    def finish(self, dataset: Dataset, series: SourceSeries, what: str) -> None:
        """Set what every object has alike: patient and study, the contributing equipment, the times.

        Every time is that of the reading, so that repeating the step repeats the bytes; highdicom would write the current
        time, also into an equipment item of its own.
        """
        dataset.update(series.attributes)
        acquisition = acquisition_equipment(series)
        dataset.ContributingEquipmentSequence = [
            *([] if acquisition is None else [acquisition]),
            *self._contributions(what, str(dataset.SOPClassUID)),
        ]
        date, time = self.created_at.strftime("%Y%m%d"), self.created_at.strftime("%H%M%S.%f")
        for moment in ("InstanceCreation", "Series", "Content"):
            setattr(dataset, f"{moment}Date", date)
            setattr(dataset, f"{moment}Time", time)
        dataset.InstanceCreatorUID = self.node.device_uid
        dataset.StationName = self.node.station_name


def _cascade(model: ModelIdentity) -> Dataset:
    """Describe the network as IHE AI Results wants each algorithm described, but for its UID."""
    return ContributingEquipment(
        manufacturer=MANUFACTURER,
        purpose_of_reference=codes.PROCESSING_EQUIPMENT,
        manufacturer_model_name=model.name[:64],
        software_versions=[model.version[:64]],
        contribution_description=f"Computed the probabilities and saliency. {NOTICE}.",
    )


def acquisition_equipment(series: SourceSeries) -> Dataset | None:
    """Describe the scanner, as far as the source does; None without a manufacturer, which the item needs (type 1).

    Text beyond ASCII is left out where no character set is declared for it.
    """
    found = {keyword: legal_element(series.header, keyword) for keyword in _SCANNER_ATTRIBUTES}
    declared = "SpecificCharacterSet" in series.attributes
    elements = [each for each in found.values() if each is not None and (declared or str(each.value).isascii())]
    if not any(each.keyword == "Manufacturer" for each in elements):
        return None
    item = Dataset()
    item.PurposeOfReferenceCodeSequence = [codes.ACQUISITION_EQUIPMENT]
    for element in elements:
        item.add(element)
    return item


def study_time_zone(attributes: Dataset, otherwise: tzinfo | None) -> tzinfo | None:
    """Return the zone that the study's dates are in: what the source says, else ``otherwise`` (None: this machine's).

    Examples
    --------
    >>> attributes = Dataset()
    >>> attributes.TimezoneOffsetFromUTC = "+0900"
    >>> study_time_zone(attributes, None)
    datetime.timezone(datetime.timedelta(seconds=32400))
    """
    offset = str(attributes.get("TimezoneOffsetFromUTC") or "")
    if len(offset) == 5 and offset[0] in "+-" and offset[1:].isdecimal():
        minutes = int(offset[1:3]) * 60 + int(offset[3:])
        if minutes < 24 * 60:
            return timezone(timedelta(minutes=-minutes if offset[0] == "-" else minutes))
    return otherwise
