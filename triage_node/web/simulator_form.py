"""The form of the simulator: its fields, what stands in them first, and what they may hold.

In: a query string and what the node measured. Out: what is to be simulated, or a message beside each field that is wrong.
A page must answer within seconds and leave the processor to others, so that the work is bounded here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from triage_node.core.errors import ConfigurationRejected
from triage_node.core.measured_load import MeasuredLoad
from triage_node.core.measured_rates import MeasuredRates
from triage_node.core.queueing import HOURS_A_DAY, ReadingLoad, Run
from triage_node.core.reading_times import Distribution

MEASURED_OVER = timedelta(days=28)
REPLICATIONS = 20
WARM_UP_SHARE = 0.1
"""Of the simulated time; as at the terminal."""
MOST_STUDIES = 120_000
"""Expected in all runs together, for one order of reading: about a second of one processor."""
MOST_ARRIVALS = 200.0
"""An hour: a day of them is about ``MOST_STUDIES``."""
_USUAL_DAYS = 30
_USUAL_UTILISATION = 0.85
"""As many readers are filled in as keep the queue below this."""
_LONGEST_TEXT = 24
_CHECKED = "yes"


@dataclass(frozen=True)
class NumberField:
    """One number: its name in the address, how it is called, and its range."""

    name: str
    label: str
    unit: str
    lowest: float
    highest: float
    whole: bool = False
    optional: bool = False

    @property
    def step(self) -> str:
        """For the browser: which numbers it takes."""
        return "1" if self.whole else "any"

    def read(self, text: str) -> float | None:
        """Return the number in a text; None for an empty one where that is allowed.

        Raises
        ------
        ConfigurationRejected
            It is none, or out of its range.
        """
        if not text and self.optional:
            return None
        try:
            value = float(text.replace(",", "."))
        except ValueError:
            shown = repr(text[:_LONGEST_TEXT]) if text else "nothing"
            raise ConfigurationRejected(f"{self.label} is a number, not {shown}.") from None
        if not self.lowest <= value <= self.highest or (self.whole and value != int(value)):
            kind = "a whole number" if self.whole else "a number"
            raise ConfigurationRejected(f"{self.label} is {kind} from {self.lowest:g} to {self.highest:,g}.")
        return value

    def within(self, text: str) -> str:
        """Return a number's text, or that of the end of its range beyond which it lies: what was measured may lie anywhere.

        Examples
        --------
        >>> reading_time = NumberField("reading_time", "Reading time", "minutes", 0.1, 480.0)
        >>> reading_time.within("0"), reading_time.within("9.5")
        ('0.1', '9.5')
        """
        nearest = min(max(float(text), self.lowest), self.highest)
        return text if nearest == float(text) else f"{nearest:g}"


NUMBERS = (
    NumberField("arrivals", "Studies an hour", "mean over the day", 0.01, MOST_ARRIVALS),
    NumberField("reading_time", "Reading time", "minutes, mean", 0.1, 480.0),
    NumberField("reading_cv", "Spread of reading time", "lognormal: standard deviation / mean", 0.05, 5.0),
    NumberField("prevalence", "Studies that bleed", "per cent", 0.0, 100.0),
    NumberField("sensitivity", "Sensitivity of the flag", "per cent", 0.0, 100.0),
    NumberField("specificity", "Specificity of the flag", "per cent", 0.0, 100.0),
    NumberField("readers", "Readers", "side by side, one queue", 1.0, 100.0, whole=True),
    NumberField("cap", "Waiting cap", "minutes; empty: none", 1.0, 10080.0, optional=True),
    NumberField("days", "Simulated days", f"in each of {REPLICATIONS} runs", 1.0, 366.0, whole=True),
)


@dataclass(frozen=True)
class Simulation:
    """What is to be simulated."""

    load: ReadingLoad
    run: Run
    waiting_cap_min: float | None


@dataclass(frozen=True)
class SimulatorForm:
    """The form as it is shown.

    Attributes
    ----------
    texts
        What stands in each field.
    sources
        Where the values that stand in it first come from, one sentence each.
    hourly_weights
        What the node measured of the hours of the day, where enough was; used where ``by_hour``.
    errors
        What is wrong, by the name of the field; under the empty name what is wrong with the whole.
    """

    texts: Mapping[str, str]
    distribution: Distribution
    by_hour: bool
    hourly_weights: tuple[float, ...] | None
    sources: Sequence[str] = ()
    errors: Mapping[str, str] = field(default_factory=dict)
    numbers: Sequence[NumberField] = NUMBERS

    def filled(self, given: Mapping[str, str]) -> SimulatorForm:
        """Return it with the values of a query string in it."""
        if not given:
            return self
        shape = given.get("distribution", self.distribution)
        wrong = {} if shape in set(Distribution) else {"distribution": "The shape is one of those in the list."}
        return replace(
            self,
            texts={name: given.get(name, text).strip()[:_LONGEST_TEXT] for name, text in self.texts.items()},
            distribution=self.distribution if wrong else Distribution(shape),
            by_hour=given.get("by_hour") == _CHECKED,
            errors=wrong,
        )

    def simulation(self) -> tuple[SimulatorForm, Simulation | None]:
        """Return what it asks for, or None and itself with what is wrong."""
        values, errors = {}, dict(self.errors)
        for each in self.numbers:
            try:
                values[each.name] = each.read(self.texts[each.name])
            except ConfigurationRejected as error:
                errors[each.name] = str(error)
        if not errors:
            try:
                return self, _simulation(self, {name: value or 0.0 for name, value in values.items()})
            except ConfigurationRejected as error:
                message = str(error)
                errors[""] = message[:1].upper() + message[1:].rstrip(".") + "."
        return replace(self, errors=errors), None


def _simulation(form: SimulatorForm, values: Mapping[str, float]) -> Simulation:
    load = ReadingLoad(
        arrivals_per_hour=values["arrivals"],
        reading_time_min=values["reading_time"],
        prevalence=values["prevalence"] / 100.0,
        sensitivity=values["sensitivity"] / 100.0,
        specificity=values["specificity"] / 100.0,
        readers=int(values["readers"]),
        distribution=form.distribution,
        reading_time_cv=values["reading_cv"],
        hourly_weights=form.hourly_weights if form.by_hour else None,
    )
    hours = values["days"] * HOURS_A_DAY
    run = Run(hours, warm_up_hours=hours * WARM_UP_SHARE, replications=REPLICATIONS)
    if run.studies(load) > MOST_STUDIES:
        raise ConfigurationRejected(
            f"{values['days']:g} days of {values['arrivals']:g} studies an hour are more than this page simulates: at most"
            f" {_days_that_fit(values['arrivals'])} fit, or run `triage-node simulate` at the terminal"
        )
    return Simulation(load, run, values["cap"] or None)


def _days_that_fit(arrivals_per_hour: float) -> int:
    runs_per_day = HOURS_A_DAY * (1 + 2 * WARM_UP_SHARE) * REPLICATIONS
    return math.floor(MOST_STUDIES / (arrivals_per_hour * runs_per_day))


def first_form(measured: MeasuredLoad | None, rates: MeasuredRates | None) -> SimulatorForm:
    """Return the form with what the node measured, and with assumptions where it measured too little; it says which."""
    arrivals = measured.arrivals_per_hour if measured else None
    reading_min = measured.mean_reading_min if measured else None
    reading_cv = measured.reading_cv if measured else None
    prevalence = measured.prevalence(rates) if measured else None
    a, r = round(min(arrivals, MOST_ARRIVALS), 2) if arrivals else 4.0, round(reading_min, 1) if reading_min else 10.0
    texts = {
        "arrivals": f"{a:g}",
        "reading_time": f"{r:g}",
        "reading_cv": f"{reading_cv:.2f}" if reading_cv else "0.5",
        "prevalence": f"{100 * prevalence:.1f}" if prevalence else "10",
        "sensitivity": f"{100 * rates.sensitivity:.1f}" if rates else "90",
        "specificity": f"{100 * rates.specificity:.1f}" if rates else "90",
        "readers": f"{max(1, math.ceil(a * r / 60.0 / _USUAL_UTILISATION))}",
        "cap": "120",
        "days": f"{min(_USUAL_DAYS, _days_that_fit(a))}",
    }
    return SimulatorForm(
        texts={each.name: each.within(texts[each.name]) for each in NUMBERS},
        distribution=Distribution.LOGNORMAL if reading_cv else Distribution.EXPONENTIAL,
        by_hour=False,
        hourly_weights=measured.hourly_weights if measured else None,
        sources=list(_sources(measured, rates, prevalence)),
    )


def _sources(measured: MeasuredLoad | None, rates: MeasuredRates | None, prevalence: float | None) -> list[str]:
    days = MEASURED_OVER.days
    told = []
    if measured and measured.arrivals_per_hour:
        told.append(f"Studies an hour: measured, {measured.studies} studies in the last {days} days.")
    else:
        told.append(f"Studies an hour: assumed; too few studies came in the last {days} days.")
    if measured and measured.mean_reading_min:
        told.append(f"Reading time: measured from taking to completing, {measured.readings} readings of 2 h at most.")
    else:
        told.append("Reading time: assumed; too few studies were taken and completed in this worklist.")
    told.append(f"Flag: {rates}." if rates else "Flag: assumed; nothing was measured of the release in use.")
    if measured and prevalence:
        told.append(
            f"Studies that bleed: estimated from {measured.flagged.hits} flags in {measured.flagged.count} readings"
            " and from how often the flag is right (Rogan and Gladen)."
        )
    else:
        told.append("Studies that bleed: assumed; what was flagged does not say.")
    return [*told, "Readers: as many as keep up. Waiting cap: an example."]
