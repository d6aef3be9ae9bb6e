"""Every setting of the node: name, type, unit, default and meaning.

A value comes, weakest first, from the default here, the settings file (TOML), an environment variable ``TRIAGE_<NAME>``, a
command-line flag. ``deploy/triage_node.toml`` explains each one to operators and a test keeps it equal to this module.
"""

from __future__ import annotations

import difflib
import ipaddress
import json
import os
import socket
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from triage_node.core.access import Role
from triage_node.core.destination import MESSAGE_KINDS, OBJECT_KINDS, Destination, DestinationKind, checked_names
from triage_node.core.errors import ConfigurationRejected
from triage_node.core.escalation import EscalationStep, chain_from_tables
from triage_node.core.identifiers import PeerAddress, checked_ae_title
from triage_node.core.report import DEFAULT_EVIDENCE_KINDS, EVIDENCE_KINDS

PREFIX = "TRIAGE_"
FILE_VARIABLE = "TRIAGE_SETTINGS_FILE"
Port = Annotated[int, Field(ge=0, le=65535)]
NameList = Annotated[tuple[str, ...], NoDecode]
Destinations = Annotated[tuple[Destination, ...], NoDecode]
Chain = Annotated[tuple[EscalationStep, ...], NoDecode]


class Settings(BaseSettings):
    """All settings, checked on construction."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True)

    # where things lie
    data_dir: Path = Field(Path("triage_node_data"), description="Folder of the spool, the evidence, SQLite and Redis.")
    database_url: str | None = Field(
        None,
        description="SQLAlchemy URL, for example postgresql+psycopg://user:password@host/name; empty: SQLite in data_dir.",
    )
    redis_url: str | None = Field(
        None, description="URL of a Redis server, for example redis://host:6379/0; empty: `up` starts one of its own."
    )

    # the DICOM side
    ae_title: str = Field("TRIAGE", description="Our AE title, called and calling.")
    further_ae_titles: NameList = Field(
        (), description="AE titles that senders may call beside ours, for the rules of destinations (called_ae_titles)."
    )
    dicom_host: str = Field("0.0.0.0", description="Address the Storage SCP listens on.")  # noqa: S104
    dicom_port: Port = Field(11112, description="Port of the Storage SCP; 0 takes a free one.")
    scp_processes: int = Field(
        1, ge=1, le=64, description="How many SCP processes share the port; with 1 a port in use is an error."
    )
    peers: NameList = Field(
        (),
        description="Who may send: AET, AET@ADDRESS or AET@NETWORK/BITS. Empty: any title from loopback, nobody else.",
    )
    commitment_peers: NameList = Field(
        (),
        description="Where reports of storage commitment go: AET@HOST:PORT of senders; to others over their association.",
    )
    query_scp: bool = Field(
        True, description="Answer queries (study root C-FIND) and offer studies as workitems (UPS) on the same port."
    )
    query_peers: NameList = Field(
        (), description="Who may query and claim, written as in peers, also without sending; empty: whoever may send."
    )
    query_limit: int = Field(5000, ge=1, le=100_000, description="Matches that one query is answered with at most.")
    retrieve_ae_title: str | None = Field(
        None, description="AE title that answers name for retrieving the images; empty: the first of pacs."
    )
    max_associations: int = Field(64, ge=1, le=400, description="Associations served at once by one SCP process.")
    max_pdu_bytes: int = Field(262144, ge=4096, description="Longest PDU we accept, bytes.")
    max_dataset_bytes: int = Field(1_073_741_824, ge=1_048_576, description="Longest dataset we accept, bytes.")
    association_timeout_s: float = Field(
        60.0, gt=0, description="An association without traffic is aborted after this, s."
    )
    spool_floor_bytes: int = Field(
        536_870_912, ge=0, description="Free disk space below which C-STORE is refused with 0xA700, bytes."
    )
    tls_certificate: Path | None = Field(None, description="PEM certificate of this node; with it the SCP speaks TLS.")
    tls_key: Path | None = Field(None, description="PEM key of the certificate.")
    tls_peer_ca: Path | None = Field(None, description="PEM certificates that client certificates must descend from.")

    # closing and choosing series
    settle_s: float = Field(0.2, ge=0, le=60, description="A complete series closes this long after its release, s.")
    quiet_period_s: float = Field(
        5.0, gt=0, le=3600, description="Any series closes after this long without a slice, s."
    )
    min_slices: int = Field(8, ge=1, description="Fewer slices are not read.")
    max_slices: int = Field(
        800, ge=1, description="More slices are not read, nor more than 1602 of 512 x 512 pixels whatever is set here."
    )
    read_all_series: bool = Field(False, description="Read every eligible series of a study, not only the best.")

    # the cascade
    weights_dir: Path | None = Field(
        None, description="Folder of the releases; empty: the ones that came with the node."
    )
    release: str | None = Field(None, description="Name of the release to load; empty: the active one.")
    shadow_release: str | None = Field(
        None,
        description="Name of a release that reads the same series after the active one; nothing is shown or sent from it.",
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="Where the cascade runs; auto: a GPU if there is one."
    )
    operating_point: str = Field("balanced", description="Named operating point of the release.")
    site_prevalence: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="Share of the head CT here that bleed, above 0 and below 1; probabilities are moved to it, flags are not. "
        "Empty: as in the release's own data.",
    )
    torch_threads: int | None = Field(None, ge=1, description="CPU threads of the cascade; empty: all cores.")
    lease_s: float = Field(60.0, gt=0, description="A reading or sending that takes longer counts as dead, s.")

    # evidence
    evidence_kinds: NameList = Field(
        DEFAULT_EVIDENCE_KINDS,
        description="Which objects are made: SR, SC (heatmaps), KO (key objects), PR (contours), PDF (a page to read).",
    )
    heatmaps: Literal["flagged", "all"] = Field(
        "flagged", description="Slices of a flagged study that get a heatmap: those that are flagged, or all."
    )
    heatmap_limit: int = Field(
        40, ge=0, description="At most so many heatmaps a reading, those of the highest probability; 0: no limit."
    )
    report_not_analysed: bool = Field(
        False, description="Send a report that says NOT ANALYSED, and why, for a study with CT that could not be read."
    )
    not_analysed_wait_s: float = Field(
        60.0, ge=0, le=86_400, description="That report waits until nothing of its study has arrived for so long, s."
    )
    installation_id: str | None = Field(
        None, max_length=64, description="Device serial number in what we write; empty: the name of the host."
    )

    # forwarding
    pacs: NameList = Field((), description="DICOM peers that get all evidence: AET@HOST:PORT, several with commas.")
    destinations: Destinations = Field(
        (),
        description="Further destinations, each a [[destinations]] table as below; as a variable, a JSON array of them.",
    )
    webhook_patient_id: bool = Field(
        False, description="Tell webhooks the Patient ID; a patient's name is never told (docs/WEBHOOK.md)."
    )
    retry_first_s: float = Field(2.0, gt=0, description="First wait before a delivery is tried again, s; it doubles.")
    retry_longest_s: float = Field(300.0, gt=0, description="Longest wait between two attempts, s.")
    give_up_after_s: float = Field(259_200.0, gt=0, description="A delivery is given up after this, s (three days).")
    dimse_timeout_s: float = Field(30.0, gt=0, description="Longest wait for a peer's answer, s.")
    connect_timeout_s: float = Field(5.0, gt=0, description="Longest wait for a peer to accept a connection, s.")
    breaker_failures: int = Field(
        3, ge=1, description="After so many failures in a row a destination is left alone for a growing time."
    )
    commitment_wait_s: float = Field(
        3600.0, gt=0, description="Storage commitment that is not reported within this is asked for again, s."
    )
    courier_threads: int = Field(8, ge=2, le=64, description="Destinations served at once by one courier.")

    # when nobody comes
    escalation: Chain = Field(
        (),
        description="Who is called, and when, for a flagged study that nobody acknowledges: [[escalation]] tables in order;"
        " as a variable, a JSON array of them.",
    )
    escalation_give_up_after_s: float = Field(
        3600.0, gt=0, description="A call that fails is tried again until this long after it was due, s."
    )
    waiting_cap_s: float = Field(
        3600.0,
        ge=0,
        description="A study of priority ROUTINE that has waited so long for a reader becomes HIGH, s; 0: never."
        " Flagged ones stay before it.",
    )
    smtp_host: str | None = Field(None, description="Mail server for steps of kind email.")
    smtp_port: Port = Field(587, description="Its port.")
    smtp_security: Literal["starttls", "tls", "none"] = Field(
        "starttls", description="How the connection to it is encrypted."
    )
    smtp_user: str | None = Field(None, description="Who signs in at the mail server; empty: nobody does.")
    smtp_password_file: Path | None = Field(None, description="File that holds the password for the mail server.")
    mail_from: str = Field("triage-node@localhost", description="Sender of our e-mails.")
    web_address: str = Field(
        "", description="Where readers reach the worklist, for links in messages: https://HOST/; empty: no links."
    )

    # web and logs
    http_host: str = Field("127.0.0.1", description="Address of the web server.")
    http_port: Port = Field(8080, description="Port of the web server; 0 takes a free one.")
    worklist_days: int = Field(
        3, ge=1, le=3650, description="How many days back the web worklist goes where it is not asked for more, days."
    )
    http_tls_certificate: Path | None = Field(
        None, description="PEM certificate, with its chain, of the web server; with it the web server speaks https."
    )
    http_tls_key: Path | None = Field(None, description="PEM key of that certificate.")
    http_allowed_hosts: NameList = Field(
        (),
        description="Names that browsers may call the web server by, beside localhost, the machine's name, http_host and"
        " any IP address; * allows every name, which is safe only behind a proxy that checks them.",
    )
    http_trusted_proxies: NameList = Field(
        (),
        description="Addresses or networks of reverse proxies whose X-Forwarded-For and X-Forwarded-Proto are believed.",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="Least severe event that is logged."
    )
    log_format: Literal["console", "json"] = Field("console", description="Shape of log lines.")

    # signing in
    session_idle_s: float = Field(
        14_400.0, ge=60, description="A browser is signed out after this long without a request, s (four hours)."
    )
    session_longest_s: float = Field(
        43_200.0, ge=60, description="A browser is signed out after this long in any case, s (twelve hours)."
    )
    lockout_failures: int = Field(
        5, ge=1, le=100, description="After so many wrong passwords in a row an account is locked."
    )
    lockout_s: float = Field(
        900.0, ge=1, description="A locked account opens again after this, s (a quarter of an hour)."
    )
    sign_in_failures: int = Field(
        30, ge=1, description="So many failed attempts to sign in may come from one address in five minutes."
    )
    oidc_issuer: str | None = Field(
        None, description="URL of an OpenID Connect provider at which people may sign in too; empty: none."
    )
    oidc_client_id: str | None = Field(None, description="Our name at that provider.")
    oidc_client_secret: str | None = Field(
        None, repr=False, description="Our secret at that provider; better kept in TRIAGE_OIDC_CLIENT_SECRET."
    )
    oidc_scopes: NameList = Field(("profile", "email"), description="Scopes that are asked for beside openid.")
    oidc_role_claim: str = Field(
        "groups", description="Claim with the groups of a person; dots lead into objects: realm_access.roles."
    )
    oidc_roles: dict[str, Role] | None = Field(
        None,
        description="Which group has which role here (VIEWER, RADIOLOGIST, ADMINISTRATOR); the highest counts. Whoever is"
        " in none of them is refused. As a variable, a JSON object.",
    )

    @field_validator(
        "http_allowed_hosts",
        "http_trusted_proxies",
        "oidc_scopes",
        "peers",
        "query_peers",
        "further_ae_titles",
        "pacs",
        "evidence_kinds",
        "commitment_peers",
        mode="before",
    )
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("destinations", mode="before")
    @classmethod
    def _tables(cls, value: object) -> object:
        if isinstance(value, str):
            try:
                value = json.loads(value) if value.strip() else ()
            except ValueError as error:
                raise ValueError(f"not a JSON array: {error}") from None
        if isinstance(value, Mapping) or not isinstance(value, Sequence) or isinstance(value, str):
            raise ValueError("a list of tables: write [[destinations]], with two brackets")
        try:
            tables = [each if isinstance(each, Destination) else Destination.from_table(_table(each)) for each in value]
            return checked_names(tables)
        except ConfigurationRejected as error:
            raise ValueError(str(error)) from None

    @field_validator("escalation", mode="before")
    @classmethod
    def _steps(cls, value: object) -> object:
        if isinstance(value, str):
            try:
                value = json.loads(value) if value.strip() else ()
            except ValueError as error:
                raise ValueError(f"not a JSON array: {error}") from None
        if isinstance(value, Mapping) or not isinstance(value, Sequence) or isinstance(value, str):
            raise ValueError("a list of tables: write [[escalation]], with two brackets")
        if all(isinstance(each, EscalationStep) for each in value):
            return tuple(value)
        try:
            return chain_from_tables([_table(each) for each in value])
        except ConfigurationRejected as error:
            raise ValueError(str(error)) from None

    @field_validator(
        "oidc_issuer",
        "oidc_client_id",
        "oidc_client_secret",
        "database_url",
        "redis_url",
        "weights_dir",
        "release",
        "shadow_release",
        "installation_id",
        "retrieve_ae_title",
        mode="before",
    )
    @classmethod
    def _empty_is_none(cls, value: object) -> object:
        return None if value == "" else value

    @field_validator("evidence_kinds")
    @classmethod
    def _kinds(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [each for each in value if each not in EVIDENCE_KINDS]
        if unknown:
            raise ValueError(f"{unknown[0]!r} is none of {', '.join(EVIDENCE_KINDS)}")
        return tuple(dict.fromkeys(value))

    @field_validator("ae_title")
    @classmethod
    def _title(cls, value: str) -> str:
        try:
            return checked_ae_title(value)
        except ConfigurationRejected as error:
            raise ValueError(str(error)) from None

    @field_validator("pacs", "commitment_peers")
    @classmethod
    def _addresses(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        try:
            return tuple(str(PeerAddress.parse(text)) for text in value)
        except ConfigurationRejected as error:
            raise ValueError(str(error)) from None

    @field_validator("http_trusted_proxies")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for each in value:
            try:
                ipaddress.ip_network(each)
            except ValueError:
                raise ValueError(f"{each!r} is no address and no network, like 10.0.0.7 or 10.0.0.0/24") from None
        return value

    @model_validator(mode="after")
    def _sign_in_that_works(self) -> Self:
        """Refuse half a sign-in, and one whose secrets would travel in the open."""
        if (self.http_tls_certificate is None) != (self.http_tls_key is None):
            raise ValueError("http_tls_certificate and http_tls_key go together")
        if self.oidc_issuer is None:
            return self
        if self.oidc_client_id is None or not self.oidc_roles:
            raise ValueError("oidc_issuer needs oidc_client_id, and oidc_roles with a group for each role")
        parts = urlsplit(self.oidc_issuer)
        if parts.scheme != "https" and parts.hostname not in ("localhost", "127.0.0.1", "::1"):
            raise ValueError("oidc_issuer must begin with https://")
        return self

    @model_validator(mode="after")
    def _evidence_that_is_made(self) -> Self:
        """Refuse what would silently never be sent."""
        for destination in self.destinations:
            missing = set(destination.objects) & set(EVIDENCE_KINDS) - set(self.evidence_kinds)
            if missing:
                raise ValueError(
                    f"destination {destination.name!r} takes {', '.join(sorted(missing))}, which evidence_kinds does not name"
                )
        for destination in self.destinations:
            if destination.kind is DestinationKind.EMAIL:
                raise ValueError(
                    f"destination {destination.name!r}: kind email is for [[escalation]]: a mailbox gets no evidence"
                )
        if self.smtp_host is None and any(step.destination.kind is DestinationKind.EMAIL for step in self.escalation):
            raise ValueError("a step of [[escalation]] is of kind email: set smtp_host")
        told = {kind for each in self.destinations for kind in OBJECT_KINDS[each.kind]} & set(MESSAGE_KINDS)
        if self.report_not_analysed and not told and not {"SR", "PDF"} & set(self.evidence_kinds):
            raise ValueError("report_not_analysed needs SR or PDF among evidence_kinds, or a destination for messages")
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags over environment over file: the file's values are handed in below the environment's."""
        return (init_settings, env_settings)

    @property
    def database(self) -> str:
        """The SQLAlchemy URL that is in force."""
        return self.database_url or f"sqlite:///{self.sqlite_file}"

    @property
    def sqlite_file(self) -> Path:
        """Where the SQLite database lies when no other database is set."""
        return (self.data_dir / "triage_node.sqlite3").resolve()

    @property
    def spool_dir(self) -> Path:
        """Folder of the spool."""
        return self.data_dir / "spool"

    @property
    def evidence_dir(self) -> Path:
        """Folder of the objects this node made."""
        return self.data_dir / "evidence"

    @property
    def device_serial_number(self) -> str:
        """What tells this installation from others (LO, at most 64 characters)."""
        return self.installation_id or socket.gethostname()[:64]

    @property
    def every_destination(self) -> tuple[Destination, ...]:
        """Where evidence goes: the peers of ``pacs``, then the tables of ``destinations``."""
        peers = (Destination.of_peer(PeerAddress.parse(text)) for text in self.pacs)
        return checked_names([*peers, *self.destinations])

    def environment(self) -> dict[str, str]:
        """Return the variables that give a child process these very settings."""
        values: dict[str, str] = {}
        for name in type(self).model_fields:
            value = getattr(self, name)
            if value is None:
                continue
            if name in ("destinations", "escalation"):
                value = json.dumps([each.as_table() for each in value])
            elif isinstance(value, Mapping):
                value = json.dumps(value)
            elif isinstance(value, tuple):
                value = ",".join(value)
            elif isinstance(value, Path):
                value = value.resolve()
            values[PREFIX + name.upper()] = str(value)
        return values


def _table(value: object) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ConfigurationRejected(f"a destination is a table with name, kind and address, not {value!r}")
    return value


def load(file: Path | None = None, **flags: Any) -> Settings:
    """Read the settings from file, environment and flags.

    Parameters
    ----------
    file
        The settings file; without it the one named by ``TRIAGE_SETTINGS_FILE``, if any.
    **flags
        Values given on the command line; None stands for a flag that was not given.

    Raises
    ------
    ConfigurationRejected
        Names the file or variable, the key, what is wrong and the nearest known key.
    """
    path = file or (Path(os.environ[FILE_VARIABLE]) if os.environ.get(FILE_VARIABLE) else None)
    from_file = _read_file(path) if path else {}
    _check_names(from_file, str(path))
    _check_names({name[len(PREFIX) :].lower(): "" for name in _variables()}, "the environment", shown_prefix=PREFIX)
    given = {name: value for name, value in flags.items() if value is not None}
    below = {name: value for name, value in from_file.items() if PREFIX + name.upper() not in os.environ}
    try:
        return Settings(**{**below, **given})
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        if not name:  # of several settings together; what was given would be all of them, passwords among them
            raise ConfigurationRejected(f"settings: {message}") from None
        raise ConfigurationRejected(f"setting {name}: {message} (given: {first.get('input')!r})") from None


def _variables() -> list[str]:
    return [name for name in os.environ if name.startswith(PREFIX) and name != FILE_VARIABLE]


def _read_file(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationRejected(f"settings file {path} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationRejected(f"settings file {path} is not valid TOML: {error}") from None


def _check_names(values: dict[str, Any], source: str, shown_prefix: str = "") -> None:
    for name in values:
        if name in Settings.model_fields:
            continue
        near = difflib.get_close_matches(name, Settings.model_fields, n=1)
        shown = shown_prefix + (name.upper() if shown_prefix else name)
        hint = f"; did you mean {shown_prefix + (near[0].upper() if shown_prefix else near[0])}?" if near else ""
        raise ConfigurationRejected(f"{source}: unknown setting {shown!r}{hint}")
