"""Where the log is kept: `sqlite.py` is the embedded default."""
