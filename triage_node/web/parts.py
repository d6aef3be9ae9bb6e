"""What the web application stands on: one field a part, given by the composition root, taken by the pages that need it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from triage_node.core.drift import DriftTotals
from triage_node.core.measured_rates import MeasuredRates
from triage_node.core.ports import (
    ApiTokens,
    AuditTrail,
    Clock,
    IdentityProvider,
    ReaderTasks,
    SignIns,
    SliceImages,
    Statistics,
    StudyRepository,
    Users,
    Visitors,
    Worklist,
)
from triage_node.web.attempt_limit import AttemptLimit
from triage_node.web.health import Health


@dataclass(frozen=True)
class AccountParts:
    """What signing in and the pages of accounts stand on.

    Attributes
    ----------
    sign_ins, users, api_tokens
        The accounts.
    attempts
        How often one address may fail to sign in.
    provider
        The hospital's own sign-in, where there is one.
    """

    sign_ins: SignIns
    users: Users
    api_tokens: ApiTokens
    attempts: AttemptLimit
    provider: IdentityProvider | None = None


@dataclass(frozen=True)
class WebParts:
    """The parts.

    Attributes
    ----------
    version
        Of the node; shown on every page.
    clock
        The time.
    health
        Called for each health page, probe and scrape.
    visitors
        Who sends a request.
    audit
        Where every view of a patient and every change is noted.
    reader_tasks
        Who reads which study, and what they said of it.
    studies
        The record of each study, and its deliveries.
    images
        Slices and heatmaps.
    worklist
        Studies in the order in which they should be read.
    worklist_days
        How many days back the worklist goes where it is not asked for more.
    statistics
        What administrators ask of the results; without it the API has no figures.
    measured_rates
        Called for each page that tells how often the flag is right; None where nothing was measured.
    drift_totals
        Called for each scrape of the metrics; without it they say nothing of readings.
    accounts
        Without them there are no pages to sign in at: visitors are known by what lies before this application.
    ending
        Called by streams: whether this process is about to end, and they with it.
    known_hosts
        Names that this node answers to, beside loopback ones and addresses; None: to any.
    """

    version: str
    clock: Clock
    health: Callable[[], Health]
    visitors: Visitors
    audit: AuditTrail
    reader_tasks: ReaderTasks
    studies: StudyRepository
    images: SliceImages
    worklist: Worklist
    worklist_days: int
    statistics: Statistics | None = None
    measured_rates: Callable[[], MeasuredRates | None] = lambda: None
    drift_totals: Callable[[], DriftTotals] | None = None
    accounts: AccountParts | None = None
    ending: Callable[[], bool] = lambda: False
    known_hosts: Collection[str] | None = None
