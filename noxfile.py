"""Sessions for developers: `nox` runs tests, lint and types; `nox -l` lists them all."""

import nox

nox.options.sessions = ["tests", "lint", "types", "imports"]
nox.options.default_venv_backend = "venv"


@nox.session(python=["3.11", "3.12", "3.13"])
def tests(session):
    """The test suite on each supported Python."""
    session.install("-e", ".[test]")
    session.run("pytest", *session.posargs)


@nox.session
def lint(session):
    """Ruff: rules and format."""
    session.install("ruff")
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")


@nox.session
def imports(session):
    """The layers: imports run downwards only."""
    session.install("-e", ".", "import-linter")
    session.run("lint-imports")


@nox.session
def types(session):
    """mypy, strict."""
    session.install("-e", ".[dev]")
    session.run("mypy")


@nox.session(python="3.11")
def minimums(session):
    """The fast tests with the oldest torch that is supported."""
    session.install("-e", ".[test]", "torch==2.11.*", "numpy==2.0.*", "pandas==2.2.*")
    session.run("pytest", "-m", "not real and not gpu", *session.posargs)


@nox.session(python="3.11")
def plain(session):
    """An installation without extras: all that needs none, and the messages of what needs one."""
    session.install(".", "pytest", "pytest-xdist")
    session.run("pytest", "-n", "0", "tests/test_without_extras.py", *session.posargs)


@nox.session(python="3.11")
def coverage(session):
    """Branch coverage of the fast tests."""
    session.install("-e", ".[test]")
    session.run(
        "pytest", "-m", "not real and not gpu", "--cov", "--cov-report=term-missing:skip-covered", *session.posargs
    )


@nox.session(python=["3.11", "3.12", "3.13"])
def docs(session):
    """The documentation site, strictly, into build/site; nothing is fetched while it is built."""
    session.install("-e", ".[docs]")
    session.run("mkdocs", "build", "--strict", *session.posargs)


@nox.session(python="3.11")
def gallery(session):
    """Run the shipped studies, or those that are named, and write docs/gallery.md; goes on where it was interrupted."""
    session.install("-e", ".")
    session.run("python", "docs/_build/gallery.py", *session.posargs)


@nox.session(python="3.11")
def reference(session):
    """Keep the reports of studies at `workstation`: nox -s reference -- STORE STUDY..., into results/reference."""
    session.install("-e", ".")
    session.run("python", "docs/_build/keep_reference.py", *session.posargs)


@nox.session
def build(session):
    """Source distribution and wheel."""
    session.install("build")
    session.run("python", "-m", "build")
