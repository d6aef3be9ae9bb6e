"""Accounts on both databases: who gets in, who does not, and what is kept of secrets."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, select, text
from sqlalchemy.orm import Session

from triage_node.core.access import Role
from triage_node.core.accounts import (
    LockoutRules,
    PasswordRejected,
    ProvedIdentity,
    SessionRules,
    SignInRefused,
)
from triage_node.core.errors import Refused
from triage_node.worklist.account_tables import ApiTokenRow, UserRow, WebSessionRow
from triage_node.worklist.accounts import SqlAccounts
from triage_node.worklist.api_tokens import SqlApiTokens
from triage_node.worklist.password_hashing import PasswordHashing
from triage_node.worklist.users import SqlUsers

NOW = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
RULES = SessionRules(idle=timedelta(hours=1), longest=timedelta(hours=3))
LOCKOUT = LockoutRules(failures=3, lock=timedelta(minutes=10))
QUICK = PasswordHashing(memory_kib=64, passes=1)
GOOD = "a long enough sentence"
OTHER = "another long sentence"


def later(**span: float) -> datetime:
    return NOW + timedelta(**span)


@pytest.fixture
def users(engine: Engine) -> SqlUsers:
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM users"))
    users = SqlUsers(engine, QUICK)
    users.add("ann", Role.ADMINISTRATOR, GOOD, NOW, must_change_password=False)
    users.add("bob", Role.VIEWER, GOOD, NOW)
    return users


@pytest.fixture
def accounts(users: SqlUsers, engine: Engine) -> SqlAccounts:
    return SqlAccounts(engine, RULES, LOCKOUT, QUICK)


@pytest.fixture
def tokens(users: SqlUsers, engine: Engine) -> SqlApiTokens:
    return SqlApiTokens(engine)


def test_session_proves_its_user(accounts: SqlAccounts) -> None:
    signed_in = accounts.sign_in("Ann ", GOOD, "10.0.0.9", NOW)
    visitor = accounts.of_session(signed_in.token, later(minutes=1))
    assert visitor is not None
    assert (visitor.name, visitor.role, visitor.must_change_password) == ("ann", Role.ADMINISTRATOR, False)
    assert visitor.csrf_token


def test_two_sessions_share_no_secret(accounts: SqlAccounts) -> None:
    one, two = (accounts.sign_in("ann", GOOD, "", NOW) for _ in range(2))
    first, second = accounts.of_session(one.token, NOW), accounts.of_session(two.token, NOW)
    assert first is not None
    assert second is not None
    assert one.token != two.token
    assert first.csrf_token != second.csrf_token


@pytest.mark.parametrize("token", ["", "x", "a" * 43, "' OR 1=1 --", "\0", "\udcff"])
def test_forged_session_proves_nobody(accounts: SqlAccounts, token: str) -> None:
    accounts.sign_in("ann", GOOD, "", NOW)
    assert accounts.of_session(token, NOW) is None
    assert accounts.of_api_token(token, NOW) is None


def test_session_ends_after_idling(accounts: SqlAccounts) -> None:
    token = accounts.sign_in("ann", GOOD, "", NOW).token
    assert accounts.of_session(token, later(minutes=59))
    assert accounts.of_session(token, later(minutes=118)), "use puts the end off"
    assert accounts.of_session(token, later(minutes=179)) is None


def test_session_ends_at_its_longest_whatever_its_use(accounts: SqlAccounts) -> None:
    token = accounts.sign_in("ann", GOOD, "", NOW).token
    for minutes in range(30, 180, 30):
        assert accounts.of_session(token, later(minutes=minutes))
    assert accounts.of_session(token, later(minutes=180)) is None


def test_session_ends_at_signing_out(accounts: SqlAccounts) -> None:
    token = accounts.sign_in("ann", GOOD, "", NOW).token
    assert accounts.sign_out(token) == "ann"
    assert accounts.of_session(token, NOW) is None
    assert accounts.sign_out(token) is None


def test_disabling_a_user_ends_sessions_and_tokens_at_once(
    accounts: SqlAccounts, users: SqlUsers, tokens: SqlApiTokens
) -> None:
    session, token = accounts.sign_in("bob", GOOD, "", NOW).token, tokens.make("bob", "script", NOW, None)
    users.disable("bob")
    assert accounts.of_session(session, NOW) is None
    assert accounts.of_api_token(token, NOW) is None
    with pytest.raises(SignInRefused):
        accounts.sign_in("bob", GOOD, "", NOW)
    users.enable("bob")
    assert accounts.of_session(session, NOW) is None
    assert accounts.of_api_token(token, NOW)


@pytest.mark.parametrize(
    ("name", "password"),
    [("ann", OTHER), ("nobody", GOOD), ("<script>", GOOD), ("' OR '1'='1", GOOD), ("ann", ""), ("ann", "x" * 100_000)],
)
def test_refusals_are_told_in_equal_words(accounts: SqlAccounts, name: str, password: str) -> None:
    with pytest.raises(SignInRefused) as refused:
        accounts.sign_in(name, password, "", NOW)
    assert str(refused.value) == str(SignInRefused())


def test_account_is_locked_after_failures_and_opens_by_itself(accounts: SqlAccounts) -> None:
    for _ in range(LOCKOUT.failures):
        with pytest.raises(SignInRefused):
            accounts.sign_in("ann", OTHER, "", NOW)
    with pytest.raises(SignInRefused) as refused:
        accounts.sign_in("ann", GOOD, "", later(minutes=9))
    assert refused.value.locked
    assert accounts.sign_in("ann", GOOD, "", later(minutes=11))


def test_success_forgets_the_failures(accounts: SqlAccounts) -> None:
    for _ in range(3):
        for _ in range(LOCKOUT.failures - 1):
            with pytest.raises(SignInRefused):
                accounts.sign_in("ann", OTHER, "", NOW)
        assert accounts.sign_in("ann", GOOD, "", NOW)


def test_administrator_unlocks(accounts: SqlAccounts, users: SqlUsers) -> None:
    for _ in range(LOCKOUT.failures):
        with pytest.raises(SignInRefused):
            accounts.sign_in("ann", OTHER, "", NOW)
    assert users.named("ann").locked_until == later(minutes=10)
    users.unlock("ann")
    assert accounts.sign_in("ann", GOOD, "", NOW)


def test_changing_the_password_ends_all_other_sessions(accounts: SqlAccounts) -> None:
    mine, elsewhere = (accounts.sign_in("bob", GOOD, "", NOW).token for _ in range(2))
    accounts.change_password("bob", GOOD, OTHER, mine, NOW)
    visitor = accounts.of_session(mine, NOW)
    assert visitor is not None
    assert not visitor.must_change_password
    assert accounts.of_session(elsewhere, NOW) is None
    with pytest.raises(SignInRefused):
        accounts.sign_in("bob", GOOD, "", NOW)
    assert accounts.sign_in("bob", OTHER, "", NOW)


def test_changing_the_password_needs_the_old_one_and_counts_guesses(accounts: SqlAccounts) -> None:
    mine = accounts.sign_in("bob", GOOD, "", NOW).token
    for _ in range(LOCKOUT.failures):
        with pytest.raises(SignInRefused):
            accounts.change_password("bob", "a wrong old password", OTHER, mine, NOW)
    with pytest.raises(SignInRefused):
        accounts.change_password("bob", GOOD, OTHER, mine, NOW)


@pytest.mark.parametrize("bad", ["short", "", "bobbobbobbob", "Password1234", "aaaaaaaaaaaaaa", "x" * 257])
def test_bad_password_is_refused_wherever_it_is_given(accounts: SqlAccounts, users: SqlUsers, bad: str) -> None:
    with pytest.raises(PasswordRejected):
        accounts.change_password("bob", GOOD, bad, "", NOW)
    with pytest.raises(PasswordRejected):
        users.set_password("bob", bad)
    with pytest.raises(PasswordRejected):
        users.add("carol", Role.VIEWER, bad, NOW) if bad != "bobbobbobbob" else users.add("bob", Role.VIEWER, bad, NOW)


def test_password_set_by_an_administrator_must_be_changed(accounts: SqlAccounts, users: SqlUsers) -> None:
    token = accounts.sign_in("ann", GOOD, "", NOW).token
    users.set_password("ann", OTHER)
    assert accounts.of_session(token, NOW) is None
    visitor = accounts.of_session(accounts.sign_in("ann", OTHER, "", NOW).token, NOW)
    assert visitor is not None
    assert visitor.must_change_password


def test_password_is_hashed_anew_when_the_parameters_change(users: SqlUsers, engine: Engine) -> None:
    stronger = PasswordHashing(memory_kib=128, passes=2)
    SqlAccounts(engine, hashing=stronger).sign_in("ann", GOOD, "", NOW)
    with Session(engine) as session:
        kept = session.scalar(select(UserRow.password_hash).where(UserRow.name == "ann")) or ""
    assert kept.startswith("$argon2id$")
    assert "m=128,t=2" in kept
    assert SqlAccounts(engine, hashing=stronger).sign_in("ann", GOOD, "", NOW)


def test_password_is_the_same_however_the_keyboard_writes_it(accounts: SqlAccounts, users: SqlUsers) -> None:
    users.set_password("bob", "schl\u00fcssel im schlo\u00df")
    assert accounts.sign_in("bob", "schlu\u0308ssel im schlo\u00df", "", NOW)


def test_no_secret_is_kept_as_it_is(accounts: SqlAccounts, tokens: SqlApiTokens, engine: Engine) -> None:
    session_token = accounts.sign_in("ann", GOOD, "", NOW).token
    api_token = tokens.make("ann", "script", NOW, None)
    with Session(engine) as session:
        kept = [
            str(value)
            for table in (UserRow, WebSessionRow, ApiTokenRow)
            for row in session.scalars(select(table))
            for value in vars(row).values()
        ]
    for secret in (GOOD, session_token, api_token):
        assert not any(secret in value for value in kept)


def test_names_differ_by_more_than_case(users: SqlUsers) -> None:
    with pytest.raises(Refused, match="already"):
        users.add("ANN", Role.VIEWER, GOOD, NOW)


@pytest.mark.parametrize("name", ["", " ", "<script>alert(1)</script>", "cli:root", "a/b", "x" * 65, "a\0b", "a\nb"])
def test_name_with_more_than_letters_is_refused(users: SqlUsers, name: str) -> None:
    with pytest.raises(Refused):
        users.add(name, Role.VIEWER, GOOD, NOW)
    with pytest.raises(Refused):
        users.named(name)


def test_last_administrator_stays(users: SqlUsers) -> None:
    for act in (lambda: users.disable("ann"), lambda: users.set_role("ann", Role.VIEWER)):
        with pytest.raises(Refused, match="only administrator"):
            act()
    users.set_role("bob", Role.ADMINISTRATOR)
    users.disable("ann")
    assert [(each.name, each.role, each.disabled) for each in users.every()] == [
        ("ann", Role.ADMINISTRATOR, True),
        ("bob", Role.ADMINISTRATOR, False),
    ]


def test_first_administrator_is_made_once(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM users"))
    users = SqlUsers(engine, QUICK)
    assert users.add_first("admin", GOOD, NOW)
    assert not users.add_first("admin", OTHER, NOW)
    visitor = SqlAccounts(engine, hashing=QUICK)
    assert visitor.sign_in("admin", GOOD, "", NOW).role is Role.ADMINISTRATOR


def test_token_proves_its_user_until_it_is_revoked(accounts: SqlAccounts, tokens: SqlApiTokens) -> None:
    token = tokens.make("bob", "ris", NOW, None)
    visitor = accounts.of_api_token(token, NOW)
    assert token.startswith("triage_")
    assert visitor is not None
    assert (visitor.name, visitor.role, visitor.csrf_token) == ("bob", Role.VIEWER, None)
    assert [(each.name, each.used_at) for each in tokens.of("bob")] == [("ris", NOW)]
    tokens.revoke("bob", "ris")
    assert accounts.of_api_token(token, NOW) is None
    with pytest.raises(Refused):
        tokens.revoke("bob", "ris")


def test_token_expires(accounts: SqlAccounts, tokens: SqlApiTokens) -> None:
    token = tokens.make("bob", "ris", NOW, later(days=1))
    assert accounts.of_api_token(token, later(hours=23))
    assert accounts.of_api_token(token, later(days=1)) is None


@pytest.mark.parametrize(
    ("user", "name", "days"),
    [("bob", "ris", 1), ("bob", "", 1), ("bob", "x" * 65, 1), ("nobody", "a", 1), ("bob", "b", -1)],
)
def test_token_that_makes_no_sense_is_refused(tokens: SqlApiTokens, user: str, name: str, days: int) -> None:
    tokens.make("bob", "ris", NOW, None)
    with pytest.raises(Refused):
        tokens.make(user, name, NOW, later(days=days))
    assert [each.name for each in tokens.of()] == ["ris"]


def _identity(role: Role = Role.RADIOLOGIST, name: str = "Dora") -> ProvedIdentity:
    return ProvedIdentity("https://id.example|42", name, role)


def test_account_is_made_at_the_first_proved_sign_in_and_follows_the_provider(
    accounts: SqlAccounts, users: SqlUsers
) -> None:
    accounts.sign_in_proved(_identity(), "", NOW)
    assert users.named("dora").from_provider
    assert accounts.sign_in_proved(_identity(Role.VIEWER, "dora.new"), "", NOW).role is Role.VIEWER
    assert [each.name for each in users.every()] == ["ann", "bob", "dora"]


def test_proved_name_does_not_open_an_account_with_a_password(accounts: SqlAccounts) -> None:
    with pytest.raises(SignInRefused):
        accounts.sign_in_proved(_identity(name="Ann"), "", NOW)


def test_user_of_the_provider_has_neither_password_nor_role_from_here(accounts: SqlAccounts, users: SqlUsers) -> None:
    accounts.sign_in_proved(_identity(), "", NOW)
    with pytest.raises(Refused, match="identity provider"):
        users.set_password("dora", GOOD)
    with pytest.raises(Refused, match="identity provider"):
        users.set_role("dora", Role.ADMINISTRATOR)
    with pytest.raises(SignInRefused):
        accounts.sign_in("dora", "", "", NOW)


def test_disabled_user_of_the_provider_stays_out(accounts: SqlAccounts, users: SqlUsers) -> None:
    accounts.sign_in_proved(_identity(), "", NOW)
    users.disable("dora")
    with pytest.raises(SignInRefused):
        accounts.sign_in_proved(_identity(), "", NOW)
