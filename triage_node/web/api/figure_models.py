"""The statistics, field by field. No patient is in any of them."""

from __future__ import annotations

from datetime import date, datetime

from pydantic import BaseModel, Field

from triage_node.core.reader_agreement import FEEDBACK_CAVEAT
from triage_node.core.reason import Reason
from triage_node.core.scanner_silence import SILENCE_RULE
from triage_node.web.api.study_models import FindingName, Probability


class Share(BaseModel):
    """A share with Wilson's 95 % interval; null where nothing was counted."""

    value: Probability | None = Field(description="0 to 1.")
    lower_95: Probability | None = Field(description="Lower end, 0 to 1.")
    upper_95: Probability | None = Field(description="Upper end, 0 to 1.")
    hits: int = Field(ge=0)
    count: int = Field(ge=0)


class DayVolume(BaseModel):
    """Studies received on one day."""

    day: date = Field(description="UTC.")
    studies: int = Field(ge=0)
    read: int = Field(ge=0, description="Of these, read by the network.")
    flagged: int = Field(ge=0)
    not_analysed: int = Field(ge=0)
    failed: int = Field(ge=0)


class Volume(BaseModel):
    """Studies received in the window."""

    studies: int = Field(ge=0)
    read: int = Field(ge=0, description="Of these, read by the network.")
    flagged: int = Field(ge=0)
    not_analysed: int = Field(ge=0)
    failed: int = Field(ge=0)
    flagged_share: Share = Field(description="Flagged of those that were read.")
    days: list[DayVolume]


class Took(BaseModel):
    """How long something took."""

    count: int = Field(ge=0, description="Of how many studies.")
    p50_s: float | None = Field(description="Median, seconds; null of none.")
    p95_s: float | None = Field(description="95th percentile, seconds; null of none.")


class TookByHour(Took):
    """The same for studies whose last slice came in one hour of the day."""

    hour: int = Field(ge=0, le=23, description="UTC.")


class TimeToFlag(BaseModel):
    """From the last slice until a study was flagged, or not."""

    all: Took
    flagged: Took
    hours: list[TookByHour]


class Acknowledgement(Took):
    """From the flag until somebody took note."""

    flagged: int = Field(ge=0, description="Flagged studies.")
    acknowledged: int = Field(ge=0, description="Of these, acknowledged.")
    hours: list[TookByHour]


class FindingAgreement(BaseModel):
    """How readers judged one finding; the reader is right."""

    finding: FindingName
    judged: int = Field(ge=0)
    hits: int = Field(ge=0, description="Found, and there.")
    misses: int = Field(ge=0, description="Not found, and there.")
    false_alarms: int = Field(ge=0, description="Found, and not there.")
    correct_rejections: int = Field(ge=0, description="Not found, and not there.")
    sensitivity: Share
    specificity: Share
    positive_predictive_value: Share
    negative_predictive_value: Share


class RollingAgreement(BaseModel):
    """Agreement on hemorrhage over the days that end with one."""

    day: date = Field(description="UTC.")
    judged: int = Field(ge=0)
    sensitivity: Share
    positive_predictive_value: Share


class ReaderAgreement(BaseModel):
    """Agreement with readers."""

    model_config = {"json_schema_extra": {"description": FEEDBACK_CAVEAT}}

    findings: list[FindingAgreement]
    rolling_days: int = Field(description="Over how many days it rolls.")
    rolling: list[RollingAgreement]


class ReasonCount(BaseModel):
    """How many series were refused for one reason."""

    reason: Reason
    text: str = Field(description="The reason as a sentence.")
    count: int = Field(ge=0)


class ScannerRefusals(BaseModel):
    """What was read and refused of one scanner."""

    scanner: str = Field(description="Calling AE title and station name.", examples=["CT1/SOMATOM7"])
    read: int = Field(ge=0)
    refused: int = Field(ge=0)
    reasons: dict[Reason, int]


class Refusals(BaseModel):
    """Series that were not read."""

    reasons: list[ReasonCount] = Field(description="The most frequent first.")
    scanners: list[ScannerRefusals]


class StatisticsReport(BaseModel):
    """Figures over a window of time."""

    since: datetime = Field(description="UTC.")
    until: datetime = Field(description="UTC, itself not included.")
    volume: Volume
    time_to_flag: TimeToFlag
    acknowledgement: Acknowledgement
    agreement: ReaderAgreement
    refusals: Refusals


class ScannerEntry(BaseModel):
    """How a scanner sent in the last days, and since when it has not."""

    scanner: str = Field(description="Calling AE title and station name.", examples=["CT1/SOMATOM7"])
    series: int = Field(ge=0, description="In these days.")
    series_per_day: float = Field(ge=0)
    last_at: datetime = Field(description="UTC.")
    usual_gap_s: float | None = Field(description="Second longest time between two series, seconds.")
    silence_s: float = Field(ge=0, description="Time since the last, seconds.")
    alarm_after_s: float | None = Field(description="From when on it is silent, seconds; null: not watched.")
    silent: bool


class ScannerList(BaseModel):
    """Scanners, the silent ones first."""

    model_config = {"json_schema_extra": {"description": SILENCE_RULE}}

    scanners: list[ScannerEntry]
