"""The composition root: which part goes with which, one function per process, each importing only what it runs.

In: settings. Out: running processes. The only package that knows every station.
"""

from triage_node.wiring.celery_processes import broker_url, run_beat, run_courier, run_worker
from triage_node.wiring.database import (
    audit_trail,
    drift_watch,
    migrate,
    reader_tasks,
    repository,
    results,
    shadow_log,
    statistics,
)
from triage_node.wiring.forwarding import commitment_scu, senders, storage_commitment, storage_scu
from triage_node.wiring.installation import (
    SystemClock,
    measured_rates,
    migrations_folder,
    shipped_weights_folder,
    version,
    weights_folder,
)
from triage_node.wiring.path import heart, limits, path_rules, read_folder, study_path
from triage_node.wiring.reading import cascade, evidence_writer, shadow_cascade, shadow_path, volume_reader
from triage_node.wiring.scp_process import GRACE_S, run_scp
from triage_node.wiring.sign_in import (
    account_parts,
    accounts,
    api_tokens,
    existing_users,
    first_password,
    identity_provider,
    known_hosts,
    local_web_address,
    users,
)
from triage_node.wiring.web_process import run_web, web_parts

__all__ = [
    "GRACE_S",
    "SystemClock",
    "account_parts",
    "accounts",
    "api_tokens",
    "audit_trail",
    "broker_url",
    "cascade",
    "commitment_scu",
    "drift_watch",
    "evidence_writer",
    "existing_users",
    "first_password",
    "heart",
    "identity_provider",
    "known_hosts",
    "limits",
    "local_web_address",
    "measured_rates",
    "migrate",
    "migrations_folder",
    "path_rules",
    "read_folder",
    "reader_tasks",
    "repository",
    "results",
    "run_beat",
    "run_courier",
    "run_scp",
    "run_web",
    "run_worker",
    "senders",
    "shadow_cascade",
    "shadow_log",
    "shadow_path",
    "shipped_weights_folder",
    "statistics",
    "storage_commitment",
    "storage_scu",
    "study_path",
    "users",
    "version",
    "volume_reader",
    "web_parts",
    "weights_folder",
]
