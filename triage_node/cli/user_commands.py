"""``user`` and ``token``: accounts at the terminal, for the first day, for scripts, and for when nobody can sign in.

Passwords come from a prompt or from standard input, never from the command line, where every user of the machine sees
them. What is done here is in the audit trail under ``cli:`` and the name of the operating system's user.
"""

from __future__ import annotations

import getpass
import sys
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Annotated, Any

import typer

from triage_node.cli import options
from triage_node.cli.audit import note
from triage_node.core.access import Role
from triage_node.core.audit import AuditAction

Name = Annotated[str, typer.Argument(help="Name of the user.")]
Generate = Annotated[
    bool, typer.Option("--generate", help="Make a random password and print it once, instead of asking for one.")
]
TokenName = Annotated[str, typer.Argument(help="What the token is for; its name.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    user = typer.Typer(help="Accounts: who may sign in, and as what.", no_args_is_help=True)
    user.command("add")(add_user)
    user.command("role")(set_role)
    user.command("disable")(disable_user)
    user.command("enable")(enable_user)
    user.command("password")(set_password)
    user.command("list")(list_users)
    app.add_typer(user, name="user")
    token = typer.Typer(help="API tokens: programs that act for a user.", no_args_is_help=True)
    token.command("add")(add_token)
    token.command("list")(list_tokens)
    token.command("revoke")(revoke_token)
    app.add_typer(token, name="token")


def add_user(
    name: Name,
    role: Annotated[Role, typer.Option(case_sensitive=False, help="What the user may do.")] = Role.VIEWER,
    generate: Generate = False,
    config: options.Config = None,
    data_dir: options.DataDir = None,
    database_url: options.DatabaseUrl = None,
    json_: options.AsJson = False,
) -> None:
    """Add a user, who has to change the password at the first sign-in.

    The password is asked for, or read from standard input (one line) where that is no terminal.
    """
    from triage_node import wiring

    settings = options.load(config, data_dir=data_dir, database_url=database_url)
    users, password = wiring.existing_users(settings), _password(generate)
    made = users.add(name, role, password, wiring.SystemClock().now())
    note(settings, AuditAction.USER_ADDED, user=made.name, role=made.role)
    shown = {"name": made.name, "role": made.role, **({"password": password} if generate else {})}
    _say(
        shown,
        json_,
        f"{made.name} is {made.role} now" + (f"; the password, shown once: {password}" if generate else ""),
    )


def set_role(
    name: Name,
    role: Annotated[Role, typer.Argument(case_sensitive=False, help="What the user may do from now on.")],
    config: options.Config = None,
    data_dir: options.DataDir = None,
    database_url: options.DatabaseUrl = None,
) -> None:
    """Change what a user may do; it counts from the next request on."""
    from triage_node import wiring

    settings = options.load(config, data_dir=data_dir, database_url=database_url)
    users = wiring.existing_users(settings)
    users.set_role(name, role)
    note(settings, AuditAction.ROLE_SET, user=users.named(name).name, role=role)
    sys.stdout.write(f"{users.named(name).name} is {role} now\n")


def disable_user(
    name: Name,
    config: options.Config = None,
    data_dir: options.DataDir = None,
    database_url: options.DatabaseUrl = None,
) -> None:
    """Shut a user out at once: sessions end, tokens no longer count."""
    from triage_node import wiring

    settings = options.load(config, data_dir=data_dir, database_url=database_url)
    users = wiring.existing_users(settings)
    users.disable(name)
    note(settings, AuditAction.USER_DISABLED, user=users.named(name).name)
    sys.stdout.write(f"{users.named(name).name} is shut out\n")


def enable_user(
    name: Name,
    config: options.Config = None,
    data_dir: options.DataDir = None,
    database_url: options.DatabaseUrl = None,
) -> None:
    """Let a user in again: one that was disabled, and one that is locked after too many failed sign-ins."""
    from triage_node import wiring

    settings = options.load(config, data_dir=data_dir, database_url=database_url)
    users = wiring.existing_users(settings)
    users.enable(name)
    users.unlock(name)
    note(settings, AuditAction.USER_ENABLED, user=users.named(name).name)
    sys.stdout.write(f"{users.named(name).name} may sign in\n")


def set_password(
    name: Name,
    generate: Generate = False,
    config: options.Config = None,
    data_dir: options.DataDir = None,
    database_url: options.DatabaseUrl = None,
    json_: options.AsJson = False,
) -> None:
    """Give a user another password, which has to be changed at the next sign-in; sessions and locks end.

    It is asked for, or read from standard input (one line) where that is no terminal.
    """
    from triage_node import wiring

    settings = options.load(config, data_dir=data_dir, database_url=database_url)
    users = wiring.existing_users(settings)
    found = users.named(name)
    password = _password(generate)
    users.set_password(name, password)
    note(settings, AuditAction.PASSWORD_SET, user=found.name)
    shown = {"name": found.name, **({"password": password} if generate else {})}
    _say(shown, json_, f"the password of {found.name} is set" + (f", shown once: {password}" if generate else ""))


def list_users(
    config: options.Config = None,
    data_dir: options.DataDir = None,
    database_url: options.DatabaseUrl = None,
    json_: options.AsJson = False,
) -> None:
    """Print who may sign in, and as what."""
    from triage_node import wiring

    settings = options.load(config, data_dir=data_dir, database_url=database_url)
    rows = [asdict(each) for each in wiring.existing_users(settings).every()]
    if json_:
        options.print_json([_plain(row) for row in rows])
        return
    from rich.console import Console

    from triage_node.terminal.account_tables import users_table

    Console().print(users_table(rows, wiring.SystemClock().now()))


def add_token(
    user: Name,
    name: TokenName,
    days: Annotated[
        int | None, typer.Option(min=1, max=3650, help="It ends after so many days. [default: never]")
    ] = None,
    config: options.Config = None,
    data_dir: options.DataDir = None,
    database_url: options.DatabaseUrl = None,
    json_: options.AsJson = False,
) -> None:
    """Make a token with the rights of a user and print it, once."""
    from triage_node import wiring

    settings = options.load(config, data_dir=data_dir, database_url=database_url)
    found = wiring.existing_users(settings).named(user)
    now = wiring.SystemClock().now()
    expires_at = now + timedelta(days=days) if days is not None else None
    secret = wiring.api_tokens(settings).make(found.name, name, now, expires_at)
    note(settings, AuditAction.TOKEN_MADE, user=found.name, token=name)
    shown = {"user": found.name, "name": name, "expires_at": expires_at, "token": secret}
    _say(_plain(shown), json_, secret)


def list_tokens(
    user: Annotated[str | None, typer.Argument(help="Only those of this user.")] = None,
    config: options.Config = None,
    data_dir: options.DataDir = None,
    database_url: options.DatabaseUrl = None,
    json_: options.AsJson = False,
) -> None:
    """Print the tokens, without their secrets, which nobody has but the programs."""
    from triage_node import wiring

    settings = options.load(config, data_dir=data_dir, database_url=database_url)
    named = wiring.existing_users(settings).named(user).name if user is not None else None
    rows = [asdict(each) for each in wiring.api_tokens(settings).of(named)]
    if json_:
        options.print_json([_plain(row) for row in rows])
        return
    from rich.console import Console

    from triage_node.terminal.account_tables import tokens_table

    Console().print(tokens_table(rows, wiring.SystemClock().now()))


def revoke_token(
    user: Name,
    name: TokenName,
    config: options.Config = None,
    data_dir: options.DataDir = None,
    database_url: options.DatabaseUrl = None,
) -> None:
    """Take a token back; it counts no longer."""
    from triage_node import wiring

    settings = options.load(config, data_dir=data_dir, database_url=database_url)
    found = wiring.existing_users(settings).named(user)
    wiring.api_tokens(settings).revoke(found.name, name)
    note(settings, AuditAction.TOKEN_REVOKED, user=found.name, token=name)
    sys.stdout.write(f"the token {name} of {found.name} is revoked\n")


def _password(generate: bool) -> str:
    """Return a random password, or one that is typed twice, or a line of standard input.

    Raises
    ------
    PasswordRejected
        The two that were typed differ.
    """
    from triage_node.core.accounts import PasswordRejected, new_password

    if generate:
        return new_password()
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    password = getpass.getpass("Password: ")
    if password != getpass.getpass("Again: "):
        raise PasswordRejected("the password was not typed twice alike")
    return password


def _say(shown: dict[str, Any], json_: bool, line: str) -> None:
    if json_:
        options.print_json(shown)
    else:
        sys.stdout.write(line + "\n")


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {key: value.isoformat() if isinstance(value, datetime) else value for key, value in row.items()}
