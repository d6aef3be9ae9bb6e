"""Schemathesis against the real application: every answer is one that the description names, and wrong values are refused."""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from fakes.studies import Studies
from fakes.web import web_parts
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.config import PositiveDataAcceptanceConfig, SchemathesisConfig
from sqlalchemy import Engine

from triage_node.web.app import make_app
from triage_node.worklist.repository import SqlStudyRepository

load_all_checks()
# A made-up If-Match is well formed and past: 412 (RFC 9110 13.1.1).
ACCEPTED = [*PositiveDataAcceptanceConfig().expected_statuses, "412"]
CONFIG = SchemathesisConfig.from_dict({"checks": {"positive_data_acceptance": {"expected-statuses": ACCEPTED}}})
ADMINISTRATOR = {"Authorization": "Bearer administrator"}
KNOWN_UIDS = {"study_instance_uid": "1.2.826.0.1.1", "series_instance_uid": "1.2.3.1"}


@pytest.fixture
def operations(sqlite_engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    studies = Studies(SqlStudyRepository(sqlite_engine))
    for probability in (0.93, 0.1):
        studies.forward(studies.arrive(), probability)
    app = make_app(web_parts(sqlite_engine, tmp_path_factory.mktemp("node")))
    schema = schemathesis.openapi.from_asgi("/api/openapi.json", app, config=CONFIG, headers=ADMINISTRATOR)
    return [each.ok() for each in schema.get_all_operations()]


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("mode", "known"),
    [(GenerationMode.POSITIVE, True), (GenerationMode.POSITIVE, False), (GenerationMode.NEGATIVE, False)],
    ids=["known studies", "any study", "wrong values"],
)
def test_every_operation_keeps_to_its_description(operations: list[Any], mode: GenerationMode, known: bool) -> None:
    checks = list(CHECKS.get_all())
    assert len(operations) >= 18
    for operation in operations:
        if mode is GenerationMode.NEGATIVE and not operation.body and not len(operation.query):
            continue  # nothing of it can be wrong but its path, which positive values try as well

        @settings(max_examples=15, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy(generation_mode=mode))
        def keeps(case: Any) -> None:
            if known:
                case.path_parameters.update(
                    {name: uid for name, uid in KNOWN_UIDS.items() if name in case.path_parameters}
                )
            case.call_and_validate(headers=ADMINISTRATOR, checks=checks)

        keeps()
