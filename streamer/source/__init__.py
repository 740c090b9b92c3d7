"""The nets: the ways a Prefect server's events come in."""
