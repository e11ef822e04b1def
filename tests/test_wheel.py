"""The wheel carries the rules and the data, and runs from where it is installed."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def test_the_wheel_finds_its_rules(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("errnoscope-*.whl")
    installed = tmp_path / "installed"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(installed)
    told = subprocess.run(
        [sys.executable, "-m", "analyzer", "explain", "rst-after-fin"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "CLOSE_WAIT" in told.stdout
    assert sorted(p.name for p in (installed / "analyzer" / "rules").iterdir()) == sorted(
        p.name for p in (ROOT / "rules").iterdir()
    )
    pages = [root / "analyzer" / "reports" / "page" for root in (installed, ROOT)]
    carried, kept = ({p.relative_to(page) for p in page.rglob("*")} for page in pages)
    assert carried == kept
    assert Path("vendor/uplot/LICENSE") in carried
