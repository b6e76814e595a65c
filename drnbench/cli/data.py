"""The verbs `data ...`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from drnbench.datasets.catalogue import GIVEN_OUT, REMOTES
from drnbench.datasets.fetch import Fetched, checkpoints, present
from drnbench.datasets.fetch import fetch as fetch_remote
from drnbench.datasets.layouts import JOINED
from drnbench.datasets.sources import roots
from drnbench.errors import UsageError, nearest

WEIGHTS = [name for name, remote in REMOTES.items() if remote.folder is None]
"""What can be fetched that is no set of images."""

app = typer.Typer(
    help="Fetch published sets of images, and the weights that metrics need.",
    epilog="Example: python -m drnbench data fetch DIV2K --to ~/data",
    rich_markup_mode=None,
)


@app.callback(invoke_without_command=True)
def data(context: typer.Context) -> None:
    """Show the help where no command is given."""
    if context.invoked_subcommand is None:
        print(context.get_help())


@app.command(
    short_help="Download sets of images and weights.",  # the first line of the docstring would be cut
    epilog="Example: python -m drnbench data fetch Set5 Set14 B100 --to ~/data",
)
def fetch(
    names: Annotated[
        list[str],
        Argument(
            metavar="NAME",
            help=f"sets as `list datasets` shows them; weights of metrics: {', '.join(WEIGHTS)}",
            show_default=False,
        ),
    ],
    to: Annotated[
        Path | None, Option(metavar="ROOT", help="images go to ROOT/NAME/HR; none: the first data root, or ./data")
    ] = None,
    url: Annotated[
        str | None, Option(metavar="MIRROR", help="take the file from there; the checksum stays the same")
    ] = None,
) -> int:
    """Download sets of images, checked and resumable; what is there is left alone."""
    wanted = [part for name in names for part in JOINED.get(name, (name,))]
    for name in wanted:
        if name in GIVEN_OUT:
            place = f"put the images at ROOT/{name}/HR and name ROOT with --data-root or DRNBENCH_DATA"
            raise UsageError(f"{name} is not fetched: {GIVEN_OUT[name]}; {place}")
        if name not in REMOTES:
            raise UsageError(f"nothing to fetch is called {name!r}: {nearest(name, [*REMOTES, *JOINED, *GIVEN_OUT])}")
    if url is not None and len(wanted) != 1:
        raise UsageError(f"--url names one file, and {', '.join(wanted)} are several: fetch one at a time")
    root = to.expanduser() if to else next(iter(roots()), Path("data"))
    queue = []
    for remote in (REMOTES[name] for name in dict.fromkeys(wanted)):
        into = root if remote.folder is not None or to else checkpoints()
        places = [into] if to or remote.folder is None else roots()
        fetched = next((copy for place in places if (copy := present(remote, place))), None)
        if fetched:
            _print_fetched(remote.name, fetched)
        else:
            queue.append((remote, into))
    for i, (remote, into) in enumerate(queue):
        mirror = url + remote.file if url is not None and url.endswith("/") else url
        # An archive that several sets share is downloaded once.
        keep = any(later.url == remote.url for later, _ in queue[i + 1 :])
        try:
            _print_fetched(remote.name, fetch_remote(remote, into, url=mirror, keep=keep))
        except KeyboardInterrupt:
            print("interrupted; what has arrived is kept: run the same command again to go on", file=sys.stderr)
            return 130
    return 0


def _print_fetched(name: str, fetched: Fetched) -> None:
    images = f"{fetched.images} images in " if fetched.images else ""
    print(f"{name}{'' if fetched.new else ' is there already'}: {images}{fetched.path}", flush=True)
