"""`streamer alerts`: what fires, by which rules, who is not told of it, and what would have fired when."""

import asyncio
import getpass
import os
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from pydantic import TypeAdapter
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from schemas import Alert
from streamer import config
from streamer.alert_message import plain
from streamer.alerts.grouping import name_of
from streamer.alerts.rehearsal import rehearsed
from streamer.alerts.wording import in_a_line
from streamer.cli.events import records
from streamer.cli.options import ConfigFile, StoreUrl
from streamer.durations import Duration
from streamer.errors import ConfigError
from streamer.operating import act, listed_alerts, listed_silences
from streamer.silencing import LASTS

app = typer.Typer(help="Alerts: what fires, by which rules, and who is told.", no_args_is_help=True)

SHOWN_OF_AN_ID = 8

_DURATION: TypeAdapter[timedelta] = TypeAdapter(Duration)

Globs = list[str] | None


@app.command("test")
def try_(
    rules: Annotated[Path, typer.Argument(help="TOML with [alerts.NAME] tables; a whole streamer.toml will do.")],
    file: Annotated[Path, typer.Argument(help="JSON lines: bare events or websocket messages; .gz, - is stdin.")],
    until: Annotated[str, typer.Option(help="How long time goes on after the last event: 90m, 24h, 7d.")] = "0s",
    json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Show what rules would have said of the events in a file, and when; nobody is told."""
    known = config.rules_in(rules)
    if not known:
        raise ConfigError(f"{rules} has no rule", hint="a rule is a table [alerts.NAME]: see docs/alerts.md")
    said = rehearsed(known, records(file, "default"), beyond=_duration(_DURATION, until))
    if json:
        typer.echo(orjson.dumps({"alerts": [_as_json(each) for each in said]}, option=orjson.OPT_UTC_Z))
        return
    table = Table(box=None)
    table.add_column("time", no_wrap=True)
    for heading in ("rule", "status", "of", "why"):
        table.add_column(heading)
    table.add_column("occurrences", justify="right")
    for each in map(_as_json, said):
        at = f"{each['occurred']:%Y-%m-%dT%H:%M:%S.%fZ}"
        cells = (at, each["rule"], each["status"], each["name"], each["reason"], str(each["occurrences"]))
        table.add_row(*map(_shown, cells))
    Console(highlight=False, soft_wrap=True).print(table if said else "nothing would have been said")


def _as_json(alert: Alert) -> dict[str, Any]:
    told = alert.situation
    return {
        "occurred": alert.occurred,
        "rule": told.rule,
        "severity": told.severity,
        "status": told.status,
        "group": told.group,
        "name": name_of(told.group, alert),
        "reason": told.reason,
        "since": told.since,
        "occurrences": told.occurrences,
        "number": told.number,
        "incident": told.incident,
    }


@app.command("list")
def list_(
    json: Annotated[bool, typer.Option("--json", help="As JSON, as `/api/alerts` has them.")] = False,
    store: StoreUrl = None,
    config_file: ConfigFile = None,
) -> None:
    """Show what fires now, the newest first; works while the service runs."""
    found = asyncio.run(listed_alerts(config.load(config_file, store=store)))
    if json:
        typer.echo(orjson.dumps({"alerts": found}))
        return
    table = Table("rule", "severity", "since", "of", "why", box=None)
    table.add_column("occurrences", justify="right")
    table.add_column("told")
    table.add_column("newest run")
    for each in found:
        cells = (each["rule"], each["severity"], _local(each["since"]), each["name"], each["reason"])
        run = each["run"]["name"] or each["run"]["id"]
        table.add_row(*map(_shown, (*cells, str(each["occurrences"]), _told(each), run)))
    Console(highlight=False, soft_wrap=True).print(table if found else "nothing fires")


def _shown(cell: str) -> str:
    """Return it on one line; what others have named neither colours nor moves anything."""
    return escape(" ".join(plain(cell).split()))


def _told(alert: Mapping[str, Any]) -> str:
    """Return when somebody was told, and why nobody will be for now."""
    told = [f"at {_local(alert['announced_at'])}"] if alert["announced"] else []
    told += [f"{why} until {_local(until)}" for why in ("silenced", "quiet") if (until := alert[f"{why}_until"])]
    return ", ".join(told) or "not yet"


@app.command()
def rules(config_file: ConfigFile = None) -> None:
    """Show the configured rules in words."""
    known = config.load(config_file).alerts
    for name, rule in known.items():
        typer.echo(in_a_line(name, rule))
    if not known:
        typer.echo("there are no rules")


@app.command()
def silence(
    lasts: Annotated[str, typer.Option("--for", help="How long: 30m, 2h, 7d.")],
    alert: Annotated[Globs, typer.Option(help="Of this rule; a glob, as all of these; repeatable.")] = None,
    flow: Annotated[Globs, typer.Option(help="About runs of this flow.")] = None,
    deployment: Annotated[Globs, typer.Option(help="About runs of this deployment.")] = None,
    tag: Annotated[Globs, typer.Option(help="About runs with this tag.")] = None,
    severity: Annotated[Globs, typer.Option(help="Of this severity.")] = None,
    every: Annotated[bool, typer.Option("--all", help="All alerts.")] = False,
    comment: Annotated[str, typer.Option(help="Why.")] = "",
    store: StoreUrl = None,
    config_file: ConfigFile = None,
) -> None:
    """Tell nobody of some alerts for a while; what still goes on when it ends is told then."""
    given = {"alerts": alert, "flows": flow, "deployments": deployment, "tags_any": tag, "severities": severity}
    match = {name: globs for name, globs in given.items() if globs}
    if bool(match) == every:
        raise ConfigError("say which alerts", hint="with --alert, --flow, --deployment, --tag or --severity, or --all")
    _duration(LASTS, lasts)
    said = {"match": match, "lasts": lasts, "comment": comment, "by": _user()}
    made = asyncio.run(act(config.load(config_file, store=store), "alerts/silence", **said))
    typer.echo(f"{made['id'][:SHOWN_OF_AN_ID]}: nobody is told of {_which(made)} until {_local(made['ends'])}")


@app.command()
def silences(
    json: Annotated[bool, typer.Option("--json", help="As JSON, as `/api/alerts/silences` has them.")] = False,
    store: StoreUrl = None,
    config_file: ConfigFile = None,
) -> None:
    """Show the silences that have not ended, first those that end first; works while the service runs."""
    found = asyncio.run(listed_silences(config.load(config_file, store=store)))
    if json:
        typer.echo(orjson.dumps({"silences": found}))
        return
    table = Table("id", "of", "since", "until", "by", "comment", box=None)
    for each in found:
        cells = (_which(each), _local(each["begins"]), _local(each["ends"]), each["by"], each["comment"])
        table.add_row(*map(_shown, (each["id"][:SHOWN_OF_AN_ID], *cells)))
    Console(highlight=False, soft_wrap=True).print(table if found else "there are no silences")


@app.command()
def unsilence(
    silence: Annotated[str, typer.Argument(metavar="ID", help="Its id, or as much of its start as tells it apart.")],
    store: StoreUrl = None,
    config_file: ConfigFile = None,
) -> None:
    """End a silence: what it held back, and still goes on, is told."""
    settings = config.load(config_file, store=store)
    ended = asyncio.run(act(settings, "alerts/unsilence", silence=silence))
    typer.echo(f"{ended['id'][:SHOWN_OF_AN_ID]} of {_which(ended)} has ended")


def _which(silence: Mapping[str, Any]) -> str:
    match: Mapping[str, Sequence[str]] = silence["match"]
    return ", ".join(f"{name} {' or '.join(map(str, globs))}" for name, globs in match.items()) or "all alerts"


def _local(moment: str) -> str:
    return datetime.fromisoformat(moment).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _duration(kind: TypeAdapter[timedelta], text: str) -> timedelta:
    try:
        return kind.validate_python(text)
    except ValueError:
        raise ConfigError(f"{text!r} is no such duration", hint="write it as 30m, 2h or 7d") from None


def _user() -> str:
    """Return who the system says we are; a container may have no name for its user."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"
