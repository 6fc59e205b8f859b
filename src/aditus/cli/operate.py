"""The commands of `aditus admin` that work on the database: regions, organisations, users and the rest."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aditus.cli.installed import server_needed
from aditus.cli.output import Format, output_option, say, warn, when, write, write_json, write_table
from aditus.config.serve import DATABASE_VARIABLE, read_database_url
from aditus.config.surroundings import Surroundings
from aditus.domain.keytext import SecretText
from aditus.domain.model import DEFAULT_KEY_QUOTA, Role

if TYPE_CHECKING:
    from aditus.control.service.operate import Operate


def operates(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that lead to a database, and call it with an `Operate` over that first."""

    @click.option(
        "--data", type=click.Path(path_type=Path), help="The folder of `serve`, which must not run."
    )
    @click.option(
        "--database-url-file", metavar="FILE",
        help=f"Has the URL of a PostgreSQL in it (or {DATABASE_VARIABLE}); `serve` may run.",
    )  # fmt: skip
    @functools.wraps(function)
    def call(data: Path | None, database_url_file: str | None, **options: Any) -> None:
        url, notices = read_database_url(database_url_file, Surroundings.of_process())
        warn(notices)
        with server_needed():
            from aditus.wiring import operate
        with operate.opened(data, url) as operator:
            function(operator, **options)

    return call


def _region_option(function: Callable[..., Any]) -> Callable[..., Any]:
    return click.option("--region", default="", help="The region, when there are several.")(function)


def _organization_option(function: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--organization", default="", metavar="NAME", help="The organization, when there are several."
    )(function)


def _quota_type() -> click.IntRange:
    return click.IntRange(min=0)


# --- regions ----------------------------------------------------------------------------------


@click.group()
def region() -> None:
    """Sets of relays, with their names."""


@region.command("add")
@click.argument("name")
@click.option("--relay-url", required=True, metavar="URL", help="Where its agents dial, wss://host[:port].")
@operates
def add_region(operator: "Operate", name: str, relay_url: str) -> None:
    """Add a region. A server serves it when it is started with `--region NAME`."""
    made = operator.add_region(name, relay_url)
    say(f"Region {made.name}, agents dial {made.relay_url}.")


@region.command("list")
@output_option
@operates
def list_regions(operator: "Operate", output: Format) -> None:
    """List the regions."""
    found = operator.regions()
    if output == "json":
        write_json(found)
        return
    write_table(("region", "relay url"), ((one.name, one.relay_url) for one in found))


# --- organisations ----------------------------------------------------------------------------


@click.group()
def organization() -> None:
    """Tenants, which know nothing of each other."""


@organization.command("add")
@click.argument("name")
@operates
def add_organization(operator: "Operate", name: str) -> None:
    """Add an organization. It needs an owner then, and a subscription."""
    made = operator.add_organization(name)
    say(f"Organization {made.name} ({made.organization_id}). Now give it an owner: aditus admin user add.")


@organization.command("list")
@output_option
@operates
def list_organizations(operator: "Operate", output: Format) -> None:
    """List the organizations."""
    found = operator.organizations()
    if output == "json":
        write_json(found)
        return
    write_table(
        ("organization", "id", "created"),
        ((one.name, one.organization_id, when(one.created_at)) for one in found),
    )


# --- subscriptions and capabilities -----------------------------------------------------------


@click.group()
def subscription() -> None:
    """What organizations may use."""


@subscription.command("add")
@click.argument("name")
@_organization_option
@click.option(
    "--region", "regions", multiple=True, help="A region of it; repeatable.  [default: the only one]"
)
@click.option(
    "--capability", "capabilities", multiple=True, required=True, help="A capability in each; repeatable."
)
@click.option(
    "--quota", type=_quota_type(), default=DEFAULT_KEY_QUOTA, show_default=True,
    help="How many unrevoked access keys it may have in each region.",
)  # fmt: skip
@operates
def add_subscription(
    operator: "Operate",
    name: str,
    organization: str,
    regions: tuple[str, ...],
    capabilities: tuple[str, ...],
    quota: int,
) -> None:
    """Add a subscription and print its locator."""
    made = operator.add_subscription(
        organization, name, regions=regions, capabilities=capabilities, key_quota=quota
    )
    write(made.locator)
    say(f"Subscription {made.name}: {', '.join(made.capabilities)} in {', '.join(made.regions)}.")


@subscription.command("list")
@output_option
@operates
def list_subscriptions(operator: "Operate", output: Format) -> None:
    """List the subscriptions."""
    found = operator.subscription_regions()
    if output == "json":
        write_json(found)
        return
    write_table(
        ("organization", "subscription", "locator", "region", "capabilities", "keys", "quota"),
        (
            (one.organization, one.name, one.locator, one.region, one.capabilities, one.used, one.limit)
            for one in found
        ),
    )


@subscription.command()
@click.argument("locator")
@click.argument("number", type=_quota_type())
@_region_option
@operates
def quota(operator: "Operate", locator: str, number: int, region: str) -> None:
    """Set how many access keys there may be.

    Of a subscription in a region, revoked ones not counted. Keys above a lower quota
    stay; there are no new ones then.
    """
    operator.set_key_quota(locator, region, number)
    say(f"The quota is {number} now.")


@click.group()
def capability() -> None:
    """What keys may be generated for."""


@capability.command("add")
@click.argument("name")
@click.option("--subscription", required=True, metavar="LOCATOR", help="The subscription that gets it.")
@_region_option
@operates
def add_capability(operator: "Operate", name: str, subscription: str, region: str) -> None:
    """Give a subscription a capability.

    It gets the region with it, if it did not have that.
    """
    added = operator.add_capability(subscription, region, name)
    say(f"The subscription has {name} now." if added else f"The subscription has {name} already.")


@capability.command("list")
@output_option
@operates
def list_capabilities(operator: "Operate", output: Format) -> None:
    """List the capabilities of all subscriptions."""
    found = [
        {
            "capability": name,
            "region": one.region,
            "locator": one.locator,
            "subscription": one.name,
            "organization": one.organization,
        }
        for one in operator.subscription_regions()
        for name in one.capabilities
    ]
    if output == "json":
        write_json(found)
        return
    columns = ("capability", "region", "locator", "subscription", "organization")
    write_table(columns, ([row[column] for column in columns] for row in found))


# --- users ------------------------------------------------------------------------------------


@click.group()
def user() -> None:
    """People who sign in."""


@user.command("add")
@click.argument("email")
@_organization_option
@click.option(
    "--role", type=click.Choice([role.value for role in Role]), required=True, help="What they may do."
)
@click.option(
    "--subscription", "locators", multiple=True, metavar="LOCATOR",
    help="One that a team_admin administrates; repeatable.",
)  # fmt: skip
@operates
def add_user(
    operator: "Operate", email: str, organization: str, role: str, locators: tuple[str, ...]
) -> None:
    """Add a user and print the password.

    It is alone on stdout, and is shown this once.
    """
    password = operator.add_user(email, organization=organization, role=Role(role), locators=locators)
    _write_password(password)
    say("That is the password, shown this once. Let the user choose another after the first sign-in.")


@user.command("list")
@output_option
@operates
def list_users(operator: "Operate", output: Format) -> None:
    """List the users of all organizations."""
    found = operator.users()
    if output == "json":
        write_json([{"organization": of, "user": member} for of, member in found])
        return
    write_table(
        ("email", "role", "team admin of", "organization", "created"),
        (
            (member.email, member.role, member.team_admin_of, of.name, when(member.created_at))
            for of, member in found
        ),
    )


@click.command(
    epilog="""\b
Example:
  aditus admin reset-password owner@localhost --data /var/lib/aditus"""
)
@click.argument("email")
@operates
def reset_password(operator: "Operate", email: str) -> None:
    """Set and print a new password for a user.

    All sessions of that user end. It is alone on stdout, and is shown this once. API tokens stay as they are.
    """
    password, ended = operator.reset_password(email)
    _write_password(password)
    sessions = "1 session has" if ended == 1 else f"{ended} sessions have"
    say(f"That is the password, shown this once. {sessions} ended; API tokens stay as they are.")


def _write_password(password: SecretText) -> None:
    try:
        write(password.reveal())
    except click.ClickException as error:
        raise click.ClickException(
            f"{error.message} The password is set, but nobody has it: run aditus admin reset-password."
        ) from error
