"""The rules of ARCHITECTURE.md that imports can show."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from analyzer.data import load

PACKAGE = Path(__file__).resolve().parent.parent / "analyzer"
STAGES = ("sources", "decode", "flows", "sockets", "messages", "matching", "verdicts", "reports")
MODULES = sorted(PACKAGE.rglob("*.py"))


def imports(path: Path) -> set[str]:
    """Modules of the project that a module imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return {name for name in found if name.split(".")[0] == "analyzer"}


def room(module: str) -> str:
    return [*module.split("."), ""][1]


def all_imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
        elif isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_stage_knows_no_other_stage(path: Path) -> None:
    own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    used = {room(module) for module in imports(path)}
    allowed = {
        "model": {"model", "errors"},
        "errors": set(),
        "data": {"data"},
        "pipeline": {"pipeline", *STAGES, "logs", "alignment", "parallel", "model", "errors"} - {"reports"},
        "cluster": {"cluster", "pipeline", *STAGES, "logs", "parallel", "model", "errors", ""} - {"reports"},
        "parallel": set(),
        "checks": {"checks", "model", "errors", "data"},
        "cli": {
            "cli",
            "pipeline",
            "cluster",
            "reports",
            "matching",
            "checks",
            "logs",
            "data",
            "model",
            "errors",
            "metrics",
            "view",
            "",
        },
        "view": {"view", "reports", "model", "errors"},
        "pytest_plugin": {"pipeline", "recording", "reports", "model", "data"},
        "recording": set(),
        "__init__": {"pipeline", "errors"},
        "__main__": {"cli"},
    }.get(own, {own, "model", "errors", "data", ""})
    assert used <= allowed


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_python_names_no_errno(path: Path) -> None:
    """Rules and profiles carry the errno; code that named one would be a rule in hiding."""
    texts = [
        node.value
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    assert set(texts) & set(load("errno")["errno"]) == set()


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_only_sources_build_frames_with_scapy(path: Path) -> None:
    """Neither imported nor named, as it would be for import_module()."""
    named = {
        node.value.split(".")[0]
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    inside = path.relative_to(PACKAGE).parts[0] == "sources"
    assert inside or not (all_imports(path) | named) & {"scapy", "pyshark"}


def test_quick_commands_import_nothing_heavy() -> None:
    code = (
        "import sys; from analyzer.cli.main import run; run(['--version']); "
        "print(sorted({'numpy', 'yaml', 'scapy', 'pyshark'} & set(sys.modules)))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.splitlines()[-1] == "[]"


def test_an_analysis_imports_nothing_that_it_does_not_need() -> None:
    """Of a small capture starting is nearly all of the time: what other commands need waits."""
    sample = PACKAGE.parent / "samples" / "rst-after-fin-send-first" / "client.pcap"
    others = [
        f"analyzer.pipeline.{name}" for name in ("copying", "following", "pictures", "tracing", "watching")
    ]
    others += [
        "analyzer.alignment",
        "analyzer.logs.reading",
        "analyzer.model.log_line",
        "analyzer.model.live",
    ]
    others += ["analyzer.sources.transcript", "analyzer.sources.dissection", "analyzer.sources.tshark_source"]
    others += ["analyzer.messages.read", "analyzer.pipeline.kept", "analyzer.pipeline.shares"]
    others += ["analyzer.flows.seen", "analyzer.model.carving"]
    others += ["analyzer.cluster", "analyzer.view", "multiprocessing.connection", "subprocess", "secrets"]
    others += ["decimal", "difflib", "numpy.ma"]
    code = (
        f"import sys; from analyzer.cli.main import run; run(['analyze', {str(sample)!r}]); "
        f"print(sorted(set({others!r}) & set(sys.modules)))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.splitlines()[-1] == "[]"


def requirements(name: str, seen: set[str]) -> set[str]:
    """Names of all distributions that this one needs at run time."""
    for line in metadata.requires(name) or []:
        wanted = re.split(r"[ ;<>=!~\[(]", line)[0].lower().replace("_", "-")
        if "extra ==" in line or wanted in seen:
            continue
        try:
            metadata.distribution(wanted)
        except metadata.PackageNotFoundError:
            continue  # for another platform
        seen.add(wanted)
        requirements(wanted, seen)
    return seen


def test_no_dependency_is_under_apache_2_alone() -> None:
    """It does not combine with scapy's GPL-2.0-only in one program."""
    licences = {}
    for name in requirements("errnoscope", set()):
        info = metadata.metadata(name)
        said = [info.get("License-Expression"), info.get("License"), *(info.get_all("Classifier") or [])]
        licences[name] = " ".join(text for text in said if text and len(text) < 200)
    apache = {name for name, text in licences.items() if "Apache" in text and "BSD" not in text}
    assert licences
    assert apache == set()
