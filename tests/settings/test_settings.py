"""Settings: who overrides whom, and what a wrong one is told."""

from __future__ import annotations

import re
import socket
import tomllib
from pathlib import Path

import pytest

from triage_node import settings
from triage_node.core.errors import ConfigurationRejected
from triage_node.settings import Settings

DEPLOY = Path(__file__).parents[2] / "deploy"


def test_flag_overrides_environment_overrides_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "node.toml"
    file.write_text('dicom_port = 104\nhttp_port = 81\nae_title = "FILE"\n')
    monkeypatch.setenv("TRIAGE_HTTP_PORT", "82")
    monkeypatch.setenv("TRIAGE_AE_TITLE", "ENV")
    found = settings.load(file, ae_title="FLAG")
    assert (found.dicom_port, found.http_port, found.ae_title) == (104, 82, "FLAG")


def test_unknown_key_in_file_names_the_nearest(tmp_path: Path) -> None:
    file = tmp_path / "node.toml"
    file.write_text("dicom_prot = 104\n")
    with pytest.raises(
        ConfigurationRejected, match=r"node\.toml: unknown setting 'dicom_prot'; did you mean dicom_port\?"
    ):
        settings.load(file)


def test_unknown_variable_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIAGE_PACCS", "A@b:1")
    with pytest.raises(ConfigurationRejected, match=r"TRIAGE_PACCS.*TRIAGE_PACS"):
        settings.load()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("dicom_port", 70000),
        ("pacs", "nonsense"),
        ("ae_title", "SEVENTEEN_LETTERS"),
        ("quiet_period_s", -1),
        ("device", "tpu"),
        ("evidence_kinds", "SR,SEG"),
        ("heatmaps", "some"),
        ("heatmap_limit", -1),
        ("installation_id", "x" * 65),
    ],
)
def test_wrong_value_names_the_setting(name: str, value: object) -> None:
    with pytest.raises(ConfigurationRejected, match=name):
        settings.load(**{name: value})


def test_file_that_is_not_toml_or_not_there_is_named(tmp_path: Path) -> None:
    file = tmp_path / "node.toml"
    with pytest.raises(ConfigurationRejected, match=r"node\.toml cannot be read"):
        settings.load(file)
    file.write_text("= 1")
    with pytest.raises(ConfigurationRejected, match="not valid TOML"):
        settings.load(file)


def test_lists_come_with_commas_and_as_arrays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "node.toml"
    file.write_text('pacs = ["ONE@h:1", "TWO@h:2"]\n')
    assert [each.name for each in settings.load(file).every_destination] == ["ONE@h:1", "TWO@h:2"]
    monkeypatch.setenv("TRIAGE_PACS", "THREE@h:3, FOUR@h:4")
    assert [each.name for each in settings.load(file).every_destination] == ["THREE@h:3", "FOUR@h:4"]


def test_a_child_process_gets_the_very_same_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    parent = settings.load(
        data_dir=tmp_path, pacs=("A@h:1", "B@h:2"), read_all_series=True, peers=("CT1",), torch_threads=2
    )
    for name, value in parent.environment().items():
        monkeypatch.setenv(name, value)
    assert settings.load() == parent


def test_deployed_file_shows_every_setting_with_its_default() -> None:
    text = (DEPLOY / "triage_node.toml").read_text()
    shown = re.findall(r"^# ([a-z_]+) = (.*)$", text, flags=re.MULTILINE)
    assert [name for name, _ in shown] == list(Settings.model_fields)
    for name, value in shown:
        default = Settings.model_fields[name].default
        if default is None:
            assert value.endswith("# not set by default")
            continue
        written = tomllib.loads(f"value = {value}")["value"]
        assert written == (
            list(default) if isinstance(default, tuple) else str(default) if isinstance(default, Path) else default
        )


def test_deployed_file_explains_every_setting() -> None:
    text = " ".join((DEPLOY / "triage_node.toml").read_text().replace("\n# ", " ").split())
    for name, field in Settings.model_fields.items():
        assert field.description, name
        assert " ".join(field.description.split()) in text, name


def test_deployed_file_is_valid_toml_when_uncommented(tmp_path: Path) -> None:
    lines = (DEPLOY / "triage_node.toml").read_text().splitlines()
    plain = [line[2:] for line in lines if re.match(r"# [a-z_]+ = ", line)]
    file = tmp_path / "node.toml"
    file.write_text("\n".join(plain))
    assert settings.load(file).database_url is not None


def test_destinations_are_tables_and_pacs_is_the_short_form(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "node.toml"
    file.write_text(
        'pacs = ["ONE@h:1"]\n[[destinations]]\nname = "archive"\nkind = "dicom"\naddress = "TWO@h:2"\nobjects = ["SR"]\n'
        'storage_commitment = true\n[[destinations]]\nname = "web"\nkind = "stow"\naddress = "https://h/"\nsend = "flagged"\n'
    )
    parent = settings.load(file, data_dir=tmp_path)
    assert [each.name for each in parent.every_destination] == ["ONE@h:1", "archive", "web"]
    for name, value in parent.environment().items():
        monkeypatch.setenv(name, value)
    assert settings.load() == parent
    assert settings.load().every_destination == parent.every_destination


@pytest.mark.parametrize(
    ("written", "told"),
    [
        (
            '[[destinations]]\nname = "a"\nkind = "dicom"\nadress = "X@h:1"\n',
            r"'a': unknown key 'adress'; did you mean address\?",
        ),
        ('[destinations]\nname = "a"\n', r"\[\[destinations\]\], with two brackets"),
        ('destinations = ["X@h:1"]\n', "a destination is a table"),
        ('destinations = "X@h:1"\n', "not a JSON array"),
    ],
)
def test_a_wrong_destination_is_told_what_to_write(tmp_path: Path, written: str, told: str) -> None:
    file = tmp_path / "node.toml"
    file.write_text(written)
    with pytest.raises(ConfigurationRejected, match=told):
        settings.load(file)


def test_destination_that_waits_for_what_is_never_made_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "node.toml"
    table = '[[destinations]]\nname = "pages"\nkind = "dicom"\naddress = "TWO@h:2"\nobjects = ["PDF"]\n'
    file.write_text('database_url = "postgresql://u:secret@h/d"\n' + table)
    with pytest.raises(ConfigurationRejected, match="'pages' takes PDF, which evidence_kinds does not name") as refused:
        settings.load(file)
    assert "secret" not in str(refused.value)
    file.write_text('evidence_kinds = ["SR", "PDF", "SR"]\n' + table)
    assert settings.load(file).evidence_kinds == ("SR", "PDF")


def test_not_analysed_needs_an_object_that_says_so() -> None:
    with pytest.raises(ConfigurationRejected, match="report_not_analysed needs SR or PDF"):
        settings.load(report_not_analysed=True, evidence_kinds="SC,KO")
    assert settings.load(report_not_analysed=True).report_not_analysed
    ris = '[{"name": "ris", "kind": "hl7", "address": "10.0.0.9:2575"}]'
    assert settings.load(report_not_analysed=True, evidence_kinds="SC,KO", destinations=ris).report_not_analysed


def test_installation_is_named_after_its_host_unless_it_has_a_name() -> None:
    assert settings.load().device_serial_number == socket.gethostname()[:64]
    assert settings.load(installation_id="").device_serial_number == socket.gethostname()[:64]
    assert settings.load(installation_id="er-1").device_serial_number == "er-1"
