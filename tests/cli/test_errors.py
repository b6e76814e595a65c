"""Any error at any verb: one line that says what it is, no traceback, the exit code that the README promises."""

import builtins
import errno
import importlib
import os
import shlex
import signal
import subprocess
import sys
import tempfile

import pytest

from drnbench.cli import main
from drnbench.cli.app import VERBS
from drnbench.cli.study_output import print_report
from drnbench.errors import DataError, UnitError, UsageError
from drnbench.outputs import report
from drnbench.results.locations import results_option
from drnbench.store import Store
from tests.fake_store import finish
from tests.helpers import call, command, until, write_study

NEEDS_ARGUMENTS = {
    UnicodeEncodeError: ("ascii", "λ", 0, 1, "ordinal not in range"), UnicodeDecodeError: ("utf-8", b"\xff", 0, 1, "invalid"),
    UnicodeTranslateError: ("λ", 0, 1, "reason"), ExceptionGroup: ("several", [ValueError("first")]),
}  # fmt: skip
CLASSES = [
    kind
    for kind in vars(builtins).values()
    if isinstance(kind, type) and issubclass(kind, Exception) and not issubclass(kind, Warning)
]
ERRORS = [kind(*NEEDS_ARGUMENTS.get(kind, ("a message\nin two lines",))) for kind in CLASSES]
ERRORS += [UsageError("no"), UnitError("no"), DataError("no")]
NUMBERS = sorted(errno.errorcode)
ENVIRONMENT = (OSError, EOFError, MemoryError, UsageError, UnitError)


@pytest.fixture
def outcome(monkeypatch, capsys, tmp_path):
    """Call a verb that raises; return exit code and standard error."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.chdir(tmp_path)  # tracebacks of the same second go there

    def run(verb, error, *words):
        def raises() -> int:
            raise error

        module = importlib.import_module(f"drnbench.cli.{verb}")
        monkeypatch.delattr(module, "app", raising=False)
        monkeypatch.setattr(module, "command", raises, raising=False)
        code = main([verb, *words])
        return code, capsys.readouterr().err

    return run


@pytest.mark.fast_variants(7)
@pytest.mark.parametrize("verb", VERBS)
def test_every_class_of_error_is_one_line_at_every_verb(outcome, verb):
    for error in ERRORS:
        code, err = outcome(verb, error)
        assert err.startswith("drnbench: "), (error, err)
        assert err.count("\n") == 1, (error, err)
        assert "Traceback" not in err
        assert code == (2 if isinstance(error, ENVIRONMENT) else 70), (error, err)


@pytest.mark.parametrize("verb", ["run", "sync"])
def test_every_error_of_the_system_names_the_file_and_a_remedy(outcome, verb):
    for number in NUMBERS:
        code, err = outcome(verb, OSError(number, os.strerror(number), "/a/b"))
        assert (code, err.count("\n")) == (2, 1), err
        assert ": " in err.removeprefix("drnbench: "), err
        assert "Errno" not in err


def test_a_fault_of_ours_keeps_its_traceback_in_a_file(outcome, tmp_path):
    code, err = outcome("plan", KeyError("lost at https://user:secret@host/"))
    assert code == 70
    assert "fault of drnbench" in err
    assert "secret" not in err
    (kept,) = tmp_path.glob("drnbench-fault-*.txt")
    assert str(kept) in err
    assert "in raises" in kept.read_text()


def test_a_fault_where_no_file_can_be_written(outcome, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()
    code, err = outcome("plan", KeyError("x"))
    assert code == 70
    assert "--debug" in err
    assert err.count("\n") == 1


def test_debug_prints_the_traceback_and_leaves_the_exit_code(outcome):
    code, err = outcome("plan", KeyError("x"), "--debug")
    assert code == 70
    assert "Traceback" in err
    assert err.splitlines()[-1].startswith("drnbench: a fault")


def test_interrupted_at_any_verb(outcome):
    for verb in VERBS:
        more = "; run the same command again to go on" if verb in {"run", "data", "sync"} else ""
        assert outcome(verb, KeyboardInterrupt()) == (130, f"interrupted{more}\n")


# --- real causes


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_closed_stream_is_the_null_device(tmp_path, closed):
    words = " ".join(command("list", "kernels"))
    done = subprocess.run(
        ["bash", "-c", f"{words} {closed}"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert ("bicubic" in done.stdout) == (">&-" not in closed.replace("2>&-", ""))


def test_a_reader_that_ends_is_the_end_of_the_command(tmp_path):
    words = " ".join(command("list"))
    done = subprocess.run(
        ["bash", "-c", f"{words} | head -1; echo ${{PIPESTATUS[0]}}"], cwd=tmp_path, capture_output=True, text=True, check=False
    )  # fmt: skip
    assert done.stderr == ""
    assert done.stdout.splitlines()[-1] == "141"


@pytest.mark.fast_variants(1)
@pytest.mark.parametrize(
    "env", [{"PYTHONIOENCODING": "ascii"}, {"PYTHONIOENCODING": "latin-1"}, {"PYTHONIOENCODING": "cp1252:strict"},
            {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}]
)  # fmt: skip
def test_a_terminal_without_the_letters_gets_question_marks(tmp_path, env):
    study = write_study(tmp_path)
    study.write_text(study.read_text().replace("anything here?", "λ, 中文 or 🙂?"), encoding="utf-8")
    done = subprocess.run(
        command("plan", study), cwd=tmp_path, env={**os.environ, **env}, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert b"mini, profile quick: Does a share of unpaired images change" in done.stdout


def test_an_output_that_is_full(tmp_path):
    with open("/dev/full", "w") as full:  # noqa: PTH123
        done = subprocess.run(
            command("list"), cwd=tmp_path, stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "full" in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("run", "mini.py", "--results", "r" * 300),
        ("plan", "s" * 300 + ".py"),
        ("evaluate", "bicubic", "--scale", 4, "--data", "d" * 300),
        ("evaluate", "bicubic", "--scale", 4, "--data", "photos/test", "--json", "j" * 300),
        ("show", "abcd", "--results", "/" + "r" * 5000),
        ("clean", "--results", "r" * 300),
        ("list", "--data-root", "d" * 300),
    ],
)
def test_a_name_too_long(tmp_path, words, monkeypatch, capsys):
    write_study(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert main([str(word) for word in words]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "Traceback" not in err


@pytest.mark.real
def test_a_home_that_is_not_there(tmp_path):
    write_study(tmp_path)
    for home in ("/nonexistent", "/proc/none", ""):
        done = call("plan", "mini.py", cwd=tmp_path, HOME=home, XDG_CACHE_HOME="")
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""


@pytest.mark.real
def test_a_home_that_takes_no_cache_of_matplotlib():
    code = "import drnbench.render.style, matplotlib; print(matplotlib.get_cachedir())"
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "MPL"))}
    done = subprocess.run(
        [sys.executable, "-c", code], env={**kept, "HOME": "/dev/null"}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0
    assert "/dev/null" not in done.stdout
    assert done.stderr == ""


@pytest.mark.real
def test_a_user_without_a_name(tmp_path):
    """As in a container that is started with a number of its own for the user."""
    apart = ["unshare", "--map-user=54321", "env", "-u", "HOME", "-u", "USER", "-u", "LOGNAME"]
    if subprocess.run([*apart, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no user namespaces here (unshare --map-user)")
    study, _ = write_study(tmp_path), finish(tmp_path / "mini.py", tmp_path / "results")
    done = subprocess.run(
        [*apart, *command("report", study)], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.real
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_while_a_command_begins_is_quiet_and_has_its_code(tmp_path, number):
    """Sent to the whole group as a terminal does, before the streams of the fork server are anybody's."""
    write_study(tmp_path)
    ready = "import sys, drnbench.cli.signals as s; s.install(); print('ready', flush=True); sys.argv[0] = 'drnbench'; "
    code = f"{ready}import drnbench.cli; sys.exit(drnbench.cli.main())"
    words = ["run", "mini.py", "--tracking-uri", "off", "--jobs", "1"]
    process = subprocess.Popen(
        [sys.executable, "-c", code, *words], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip
    assert process.stdout.readline() == "ready\n"
    os.killpg(process.pid, number)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 128 + number, err
    assert err in {"", "interrupted; run the same command again to go on\n"}


AT_CALL = """
import importlib, os, sys
from drnbench.cli import main
module, name = importlib.import_module(sys.argv[1]), sys.argv[2]
real, number = getattr(module, name), int(sys.argv[3])
def interrupted(*args, **kwargs):
    os.kill(os.getpid(), number)
    return real(*args, **kwargs)
setattr(module, name, interrupted)
sys.argv = ["drnbench", "list", "nothing"]
sys.exit(main())
"""


@pytest.mark.real
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize(
    ("module", "name", "code"),
    [
        ("drnbench.streams", "make_usable", None),  # before there is a command
        ("drnbench.cli.failures", "classify", None),  # while its error is put into words
        ("drnbench.streams", "flush", 2),  # after it: its own exit code stays
    ],
)
def test_a_signal_beside_a_command_is_quiet_and_has_its_code(module, name, code, number):
    words = [sys.executable, "-c", AT_CALL, module, name, str(int(number))]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == (code or 128 + number), done.stderr
    assert done.stderr.count("\n") == (1 if code else 0)


def running(results):
    return [path for path in results.glob("stages/*/status.json") if '"running"' in path.read_text()]


@pytest.mark.real
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_run_that_is_told_to_end_saves_first(tmp_path, number):
    study, results = write_study(tmp_path, steps=3000), tmp_path / "r"
    process = subprocess.Popen(
        command("run", study, "--results", results, "--tracking-uri", "off", "--jobs", 1),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        env={**os.environ, "DRNBENCH_CHECKPOINT_S": "1000"},
    )  # fmt: skip
    until(lambda: any((path.parent / "unit.json").exists() for path in running(results)) or process.poll() is not None)
    os.killpg(process.pid, number)
    os.killpg(process.pid, number)  # as `timeout` and a closed terminal do: to the process, and to its group
    out, err = process.communicate(timeout=300)
    assert process.returncode == 128 + number, out + err
    assert err.splitlines()[-1] == "interrupted; run the same command again to go on"
    assert "Traceback" not in err
    (folder,) = results.glob("stages/*")
    assert '"interrupted"' in (folder / "status.json").read_text()
    assert (folder / "checkpoint.pt").exists()


@pytest.mark.real
def test_nohup_goes_on(tmp_path):
    study = write_study(tmp_path, steps=3)
    process = subprocess.Popen(
        ["bash", "-c", f"trap '' HUP; exec {' '.join(command('run', study, '--tracking-uri', 'off', '--jobs', 1))}"],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip
    until(lambda: running(tmp_path / "results") or process.poll() is not None)
    os.killpg(process.pid, signal.SIGHUP)
    out, _ = process.communicate(timeout=300)
    assert process.returncode == 0, out
    assert "0 failed" in out


# --- paths


@pytest.mark.fast_variants(1)
@pytest.mark.parametrize("name", ["my results", "a'b", "$HOME", "a;b", "100%", "a&b", "ä ö", "-r", "r\\n"])
def test_a_command_that_is_shown_can_be_pasted(tmp_path, monkeypatch, capsys, name):
    monkeypatch.chdir(tmp_path)
    study = write_study(tmp_path)
    made = finish(study, tmp_path / name)[0]
    print_report(report.write(made, "mini/quick"), made, mirrored=True)
    hint = capsys.readouterr().out.rstrip("\n").partition("runs side by side: ")[2]
    words = shlex.split(hint)
    assert words[:4] == ["python", "-m", "drnbench", "ui"]
    assert words[4:] == ["--results", name]
    assert results_option(Store(tmp_path / "results")) == ""


def test_home_is_where_a_path_begins_with_a_tilde_in_any_option(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir("/")
    study = write_study(tmp_path)
    assert main(["plan", "~/mini.py", "--results=~/nowhere"]) == 0
    (tmp_path / "set").mkdir()
    for words in (["show", "abcd", "--results=~/r"], ["clean", "--results", "~/r"]):
        assert main(words) == 2
        assert str(tmp_path / "r") in capsys.readouterr().err or words[0] == "show"
    assert main(["evaluate", "bicubic", "--scale", "4", "--data", "photos/test", "--json=~/none/x.json"]) == 2
    assert str(tmp_path / "none") in capsys.readouterr().err
    assert main(["plan", str(study), "--results=~nobody-of-this-name/r"]) == 2
    assert "without ~" in capsys.readouterr().err
