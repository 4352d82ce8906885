"""The command line: help that fits two screens, one clear line for what is wrong, and how the process ends."""

import os
import pathlib
import re
import subprocess

import pytest

BINARY = pathlib.Path(os.environ.get("TESSERA_BIN", pathlib.Path(__file__).resolve().parents[2] / "build/bin/tessera"))


def run(*arguments, **environment):
    return subprocess.run([BINARY, *arguments], capture_output=True, text=True, timeout=20,
                          env={**os.environ, **environment})


def one_line(done, status):
    assert done.returncode == status, done
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert len(lines) == 1, lines
    return lines[0]


def test_help_fits_two_screens():
    done = run("serve", "--help")
    assert done.returncode == 0 and done.stderr == ""
    lines = done.stdout.splitlines()
    assert len(lines) <= 100
    assert [line for line in lines if len(line) > 80] == []


def declared_flags():
    """Every flag that the source declares, whatever --help shows."""
    source = (pathlib.Path(__file__).resolve().parents[2] / "src/apps/serve_flags.cc").read_text()
    flags = {flag for names in re.findall(r'"(--[a-z][a-z,-]*)"', source) for flag in names.split(",")}
    for kind in re.findall(r'^  listen\(command, "(\w+)"', source, re.M):
        flags |= {f"--{kind}-address", f"--{kind}-port"}
    return sorted(flags - {"--"})


def test_help_is_grouped_and_names_every_flag():
    text = run("serve", "--help").stdout
    groups = re.findall(r"^(\S.*):$", text, re.M)
    assert len(groups) >= 5, groups
    for flag in declared_flags():
        assert re.search(rf"^  {flag}[ ,]", text, re.M) or re.search(rf"^  --\S+,{flag} ", text, re.M), flag
    assert "fixed:share.NAME=" in text and "temporal:triton=1" in text


def test_version_and_overview():
    done = run("--version")
    assert done.returncode == 0 and re.fullmatch(r"tessera \d+\.\d+\.\d+\n", done.stdout)
    assert "serve" in run("--help").stdout


@pytest.mark.parametrize("flags, words", [
    (["--bogus", "3"], "--bogus"),
    (["--model-repository", "/no/such/folder"], "/no/such/folder"),
    (["--http-port", "99999"], "--http-port"),
    (["--http-port", "-1"], "--http-port"),
    (["--http-port"], "--http-port"),
    (["--grpc-port", "x"], "--grpc-port"),
    (["--model-control-mode", "sometimes"], "none | poll | explicit"),
    (["--policy", "magic"], "magic"),
    (["--device", "abacus"], "host | auto | cuda:N"),
    (["--device", "cuda:x"], "cuda:x"),
    (["--device", "cuda:0,cuda:0/0-3"], "share processors"),
    (["--device", "host/0-1,host/1"], "share a processor"),
    (["--device", "host/3-1"], "host/3-1"),
    (["--device", "host/0,"], "no part of the host"),
    (["--device", "host/0,cuda:0"], "cuda:0"),
    (["--load-model", "m"], "--model-control-mode explicit"),
    (["--load-model", "*", "--model-control-mode", "poll"], "--load-model"),
    (["--repository-poll-secs", "3"], "--model-control-mode poll"),
    (["--repository-poll-secs", "3", "--model-control-mode", "explicit"], "--repository-poll-secs"),
    (["--exit-on-error", "perhaps"], "true | false"),
    (["--host-cores", "3-1"], "3-1"),
    (["--host-cores", "0,,1"], "0,,1"),
    (["--default-slo-ms", "-4"], "--default-slo-ms"),
    (["--max-body-mb", "0"], "--max-body-mb"),
    (["--strict-readiness", "maybe"], "true | false"),
    (["--log-level", "loud"], "debug | info | warning | error"),
    (["stray"], "stray"),
], ids=lambda value: value[0] if isinstance(value, list) else "")
def test_bad_flags_are_one_line_and_status_2(tmp_path, flags, words):
    given = flags if "--model-repository" in flags else ["--model-repository", str(tmp_path), *flags]
    line = one_line(run("serve", *given), 2)
    assert line.startswith("tessera serve: ") and words in line and "--help" in line


def test_no_repository_and_no_command():
    assert "--model-repository" in one_line(run("serve"), 2)
    assert "--help" in one_line(run(), 2)
    assert "nonsense" in one_line(run("nonsense"), 2)


def test_core_that_does_not_exist(tmp_path):
    assert "1000" in one_line(run("serve", "--model-repository", str(tmp_path), "--host-cores", "1000"), 1)


def test_address_that_is_not_here(tmp_path):
    for kind in ("http", "grpc", "metrics"):
        ports = [f for k in ("http", "grpc", "metrics") for f in (f"--{k}-port", "0")]
        done = run("serve", "--model-repository", str(tmp_path), *ports, f"--{kind}-address", "192.0.2.1")
        assert done.returncode == 1
        assert "192.0.2.1" in done.stderr.splitlines()[-1]
