"""`streamer inspect`: all that is known of one run."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from streamer.cli.answering import ServiceUrl, client
from streamer.cli.options import ApiUrl, ConfigFile, StoreUrl
from streamer.cli.printing import console, json_lines
from streamer.cli.run_page import page
from streamer.cli.run_report import report_of

Run = Annotated[str, typer.Argument(metavar="RUN", help="The run: its id, its name, or FLOW/RUN.")]


def inspect(
    run: Run,
    logs: Annotated[int, typer.Option(help="How many lines of the log to show, the last ones.", min=0)] = 10,
    json: Annotated[bool, typer.Option("--json", help="All of it as one JSON document.")] = False,
    service: ServiceUrl = None,
    store: StoreUrl = None,
    api_url: ApiUrl = None,
    config_file: ConfigFile = None,
) -> None:
    """Show what is known of a run: states, heartbeats, verdict, task runs, log; works while the service runs."""
    with client(service=service, store=store, api_url=api_url, config_file=config_file) as asked:
        report = report_of(asked.flow_run(run), asked, lines=logs)
    if json:
        json_lines([report])
    else:
        terminal = console()
        for part in page(report, datetime.now(UTC)):
            terminal.print(part)
