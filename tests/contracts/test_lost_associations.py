"""Associations of an SCP that was killed end; those of every process that lives, here or on another host, do not."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine

from triage_node.core.ports import AssociationPeer, ProcessPulse, StudyRepository
from triage_node.worklist.lost_associations import SqlLostAssociations


def _beat(repository: StudyRepository, site: Any, prefix: str, host: str, seen: float) -> None:
    repository.heartbeat(ProcessPulse("scp", host, 7, site.at(0), site.at(seen), {"association_prefix": prefix}))


def _open(repository: StudyRepository, site: Any, association_id: str, study: int) -> int:
    repository.open_association(AssociationPeer(association_id, "SCANNER", "TRIAGE", "10.0.0.7"), site.at(0))
    return int(site.arrive(study, association=association_id))


def test_associations_of_a_killed_process_end_and_no_others(
    repository: StudyRepository, site: Any, engine: Engine
) -> None:
    killed, alive = _open(repository, site, "dead-1", 1), _open(repository, site, "live-1", 2)
    unknown = _open(repository, site, "older", 3)
    _beat(repository, site, "dead", "host1", 10)
    _beat(repository, site, "live", "host2", 95)
    lost = SqlLostAssociations(engine)
    assert lost.end(site.at(60)) == 0, "50 s of silence are no end yet"
    assert lost.end(site.at(100)) == 1
    assert lost.end(site.at(100)) == 0
    open_now = {
        each.series_id: (each.open_associations, each.aborted_associations) for each in repository.open_series()
    }
    assert open_now == {killed: (0, 1), alive: (1, 0), unknown: (1, 0)}


def test_a_process_that_says_no_prefix_loses_nothing(repository: StudyRepository, site: Any, engine: Engine) -> None:
    _open(repository, site, "a1", 1)
    repository.heartbeat(ProcessPulse("scp", "host1", 7, site.at(0), site.at(1), {"port": 104}))
    assert SqlLostAssociations(engine).end(site.at(1000)) == 0
