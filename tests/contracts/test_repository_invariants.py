"""StudyRepository: what holds whatever happens, in whatever order."""

from __future__ import annotations

from contextlib import suppress
from itertools import count
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from triage_node.core.dimse_status import Action
from triage_node.core.ports import StudyRepository
from triage_node.core.reason import Reason, Refusal
from triage_node.core.study_state import TRANSITIONS, IllegalTransition, Priority, State, leading_state

STEPS = ("slice", "repeat", "close", "decline", "choose", "claim", "give back", "find", "prove", "fail", "send", "lose")
STEP = st.tuples(st.sampled_from(STEPS), st.integers(1, 2), st.sampled_from([0.1, 0.6, 0.9]), st.booleans())
STUDIES = count(1000)


def take(site: Any, study: int, step: str, series: int, probability: float, stale: bool, second: int) -> None:
    """One step as some process might take it, for the current revision or for the one before."""
    repository: StudyRepository = site.repository
    uid = f"{site.study_uid(study)}.{series}"
    if step == "slice":
        site.arrive(study, series, [second], seconds=second)
    if step == "repeat":
        site.arrive(study, series, [0])
    found = next(each for each in site.study(study)["series"] if each["series_instance_uid"] == uid)
    key = (found["series_id"], found["revision"] - stale)
    now = site.at(second)
    if step == "close":
        repository.close_series(*key, now)
    elif step == "decline":
        repository.decline(*key, Refusal(Reason.BETTER_SERIES), now)
    elif step == "choose":
        repository.choose(*key)
    elif step == "claim":
        repository.claim(*key, now=now, lease_s=1)
    elif step == "give back":
        repository.release_claim(*key)
    elif step == "find":
        repository.save_finding(*key, site.finding(probability), now)
    elif step == "prove":
        destinations = [site.pacs] if probability > 0.5 else []
        repository.save_evidence(*key, site.evidence(study, key[1], series=series), destinations, now)
    elif step == "fail":
        repository.fail(*key, Refusal(Reason.DEFECT), now)
    elif step in ("send", "lose"):
        with suppress(AssertionError):  # nothing due
            site.deliver(study, Action.DONE if step == "send" else Action.GIVE_UP, seconds=second)


def reachable(state: State) -> set[State]:
    """Where a series can get within one revision, by any number of the table's changes."""
    found = {state}
    while True:
        more = {after for (before, _), after in TRANSITIONS.items() if before in found} | found
        if more == found:
            return found
        found = more


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(STEP, min_size=4, max_size=14))
def test_priority_and_revision_never_fall_and_states_follow_the_table(
    site: Any, steps: list[tuple[str, int, float, bool]]
) -> None:
    study = next(STUDIES)
    for series in (1, 2):
        site.arrive(study, series, [0])
    before = site.study(study)
    flagged_once = False
    for second, (step, series, probability, stale) in enumerate(steps, start=1):
        with suppress(IllegalTransition):
            take(site, study, step, series, probability, stale, second)
        after = site.study(study)
        assert Priority(after["priority"]).rank <= Priority(before["priority"]).rank
        flagged_once = flagged_once or bool(after["flagged"])
        assert (after["priority"] == "STAT") == flagged_once
        assert after["state"] == leading_state(State(each["state"]) for each in after["series"])
        for old, new in zip(before["series"], after["series"], strict=True):
            assert new["revision"] in (old["revision"], old["revision"] + 1)
            assert new["instance_count"] >= old["instance_count"]
            assert State(new["state"]) in reachable(State(old["state"]))
        before = after
