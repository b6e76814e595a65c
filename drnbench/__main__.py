"""`python -m drnbench`."""

try:
    from drnbench.cli import main

    if __name__ == "__main__":  # the fork server's children import this module too
        raise SystemExit(main())
except KeyboardInterrupt:  # before there is anything that could handle it
    raise SystemExit(130) from None
