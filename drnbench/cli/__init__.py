"""The command line: `python -m drnbench VERB`. The module of a verb is imported when it is called."""

from drnbench.cli.entry import main

__all__ = ["main"]
