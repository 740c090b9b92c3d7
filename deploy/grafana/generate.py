"""Write the dashboards: `python -m deploy.grafana.generate`.

What is in `dashboards/` is made by this and the modules beside it; a test compares.
"""

import json
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from deploy.grafana.deployment_board import deployment
from deploy.grafana.fleet_board import fleet
from deploy.grafana.streamer_board import streamer

DASHBOARDS = Path(__file__).parent / "dashboards"


def made() -> dict[str, str]:
    """Return the text of each dashboard's file, by the file's name."""
    boards = {"fleet.json": fleet(), "deployment.json": deployment(), "streamer.json": streamer()}
    return {name: json.dumps(board, cls=JSONEncoder, indent=2, sort_keys=True) + "\n" for name, board in boards.items()}


def main() -> None:
    """Write the files."""
    for name, text in made().items():
        (DASHBOARDS / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
