"""`python -m drnbench`."""

from drnbench.cli import main

if __name__ == "__main__":  # the fork server's children import this module too
    raise SystemExit(main())
