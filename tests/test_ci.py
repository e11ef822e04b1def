"""By which a build runs errnoscope: the GitHub Action, the pre-commit hook, the page about them."""

from __future__ import annotations

import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

import pytest
import yaml

from analyzer.checks.expectations import read_expectations
from analyzer.checks.suppressions import read_suppressions
from analyzer.cli.check import _CAPTURE, command
from analyzer.matching.load import load_rules, rules_folder
from analyzer.matching.yaml_lines import parse_yaml
from tests.captures import ROOT, sample

ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text())
HOOKS: list[dict[str, Any]] = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
PAGE = (ROOT / "CI.md").read_text()
RULES = {rule.name for rule in load_rules(rules_folder())}


@pytest.fixture
def run_action(tmp_path: Path) -> Any:
    """Runs the step of the action that checks, as the runner would, with errnoscope from this environment."""
    program = Path(sys.executable).with_name("errnoscope")
    if not program.exists() or not shutil.which("bash"):
        pytest.skip("needs bash, and errnoscope installed beside this Python")
    (tmp_path / "errnoscope").symlink_to(program.parent.parent)
    step = ACTION["runs"]["steps"][1]

    def run(**given: str) -> subprocess.CompletedProcess[str]:
        inputs = {name: entry.get("default", "") for name, entry in ACTION["inputs"].items()} | given
        said = {
            name: re.sub(r"\$\{\{ inputs\.([\w-]+) }}", lambda match: inputs[match[1]], value)
            for name, value in step["env"].items()
        }
        environment = (
            os.environ
            | said
            | {
                "RUNNER_TEMP": str(tmp_path),
                "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"),
            }
        )
        line = ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", step["run"]]
        return subprocess.run(line, env=environment, capture_output=True, text=True, check=False)

    return run


def test_the_action_fails_with_annotations_and_a_summary(run_action: Any, tmp_path: Path) -> None:
    capture = tmp_path / "with a space; $(touch never).pcap"
    shutil.copy(sample("rst-after-fin-send-first"), capture)
    sarif = tmp_path / "out.sarif"
    done = run_action(
        captures=f"{capture}\n{sample('clean-request-response')}\n", arguments=f"--output=sarif={sarif}\n"
    )
    assert done.returncode == 1, done.stderr
    assert done.stdout.startswith("::error file=")
    assert "2 captures checked: 1 failed" in done.stdout
    assert "send EPIPE" in (tmp_path / "summary.md").read_text()
    assert sarif.exists()
    assert not Path("never").exists()


def test_the_action_passes(run_action: Any) -> None:
    storm = str(sample("retransmission-storm-cut"))
    assert run_action(captures=str(sample("clean-request-response"))).returncode == 0
    assert run_action(captures=storm).returncode == 1
    assert run_action(captures=storm, **{"fail-on": "error"}).returncode == 0
    assert run_action(captures="").returncode == 2


def test_the_action_pastes_no_input_into_a_script() -> None:
    for step in ACTION["runs"]["steps"]:
        assert "${{" not in step["run"]


@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: hook["id"])
def test_what_the_hook_calls(hook: dict[str, Any]) -> None:
    program = Path(sys.executable).with_name("errnoscope")
    if not program.exists():
        pytest.skip("errnoscope is not installed beside this Python")
    name, *words = shlex.split(hook["entry"])
    assert name == "errnoscope"
    for capture, status in ((sample("clean-request-response"), 0), (sample("connection-refused"), 1)):
        done = subprocess.run([program, *words, capture], capture_output=True, text=True, check=False)
        assert done.returncode == status


@pytest.mark.parametrize(
    "name", ["a.pcap", "b.pcapng", "c.cap.zst", "d.pcap12", "e.txt", "f.pcap.expect.yaml"]
)
def test_the_hook_takes_what_a_directory_is_searched_for(name: str) -> None:
    assert bool(re.search(HOOKS[0]["files"], name)) == bool(_CAPTURE.fullmatch(name))


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.S)


def test_the_examples_of_the_page_are_valid() -> None:
    for text in blocks("yaml"):
        content = yaml.safe_load(text)
        if "must" in content:
            assert read_expectations(parse_yaml(text, "CI.md"), RULES)[1] == []
        if "suppress" in content:
            assert read_suppressions(parse_yaml(text, "CI.md"), RULES)[1] == []
    for text in blocks("python"):
        compile(text, "CI.md", "exec")


def test_the_page_names_options_and_inputs_that_exist() -> None:
    options = {name for parameter in command.params for name in parameter.opts}
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", PAGE)) - {"--quiet", "--errnoscope-captures"}
    assert named <= options
    given = yaml.safe_load(blocks("yaml")[2])["jobs"]["integration"]["steps"]
    (step,) = [step for step in given if step.get("name") == "Check"]
    assert set(step["with"]) <= set(ACTION["inputs"])


def test_ctrl_c_ends_the_run_of_the_tests_quietly(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setenv("PATH", os.environ["PATH"])  # it makes it longer
    monkeypatch.setattr(venv, "create", interrupted)
    monkeypatch.setattr(subprocess, "check_call", interrupted)
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(ROOT / "tests" / "run.py"), run_name="__main__")
    assert ended.value.code == 130
