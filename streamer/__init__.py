"""The event-streaming consumer for Prefect: complete, exact, calm and open."""

from importlib.metadata import version

__version__ = version("prefect-streamer")
