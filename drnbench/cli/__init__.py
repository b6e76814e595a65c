"""The command line: `python -m drnbench VERB`. Heavy imports stand inside the verbs."""

from drnbench.cli.app import main

__all__ = ["main"]
