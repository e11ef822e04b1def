"""Run the tests on a machine that has only git and Python 3.11 or later.

Makes a virtual environment in .venv, installs errnoscope with what its tests need, installs the Debian
packages that some tests use where this is Debian and we are root, then runs pytest with the arguments given.
Elsewhere those tests are skipped, and pytest's last lines say why.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
DEBIAN = {
    "tcpdump": "tcpdump",
    "nft": "nftables",
    "ip": "iproute2",
    "sysctl": "procps",
    "tshark": "tshark",
    "chromium": "chromium",
    "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf": "fonts-dejavu-core",
    "curl": "curl",
    "nginx": "nginx-light",
    "openssl": "openssl",
    "redis-server": "redis-server",
    "strace": "strace",
    "/usr/alpha-linux-gnu/include/asm/errno.h": "linux-libc-dev-alpha-cross",
    "/usr/hppa-linux-gnu/include/asm/errno.h": "linux-libc-dev-hppa-cross",
    "/usr/mips-linux-gnu/include/asm/errno.h": "linux-libc-dev-mips-cross",
    "/usr/sparc64-linux-gnu/include/asm/errno.h": "linux-libc-dev-sparc64-cross",
}
"""Programs and files that tests use, and the Debian package of each."""
POLICY = Path("/usr/sbin/policy-rc.d")


def main() -> int:
    """Set up, then hand over to pytest."""
    if sys.version_info < (3, 11):  # noqa: UP036 - run by whatever python3 there is
        print("errnoscope needs Python 3.11 or later", file=sys.stderr)
        return 2
    _search_system_programs()
    python = _environment()
    _debian_packages()
    return _pytest([python, "-m", "pytest", "-n", "auto", *sys.argv[1:]])


def _pytest(command: Sequence[str | Path]) -> int:
    """Its status; where Ctrl-C ends it, it is given the time to remove what its tests made."""
    with subprocess.Popen(command, cwd=ROOT) as running:
        try:
            return running.wait()
        except KeyboardInterrupt:
            running.wait()
            raise


def _search_system_programs() -> None:
    """Debian keeps nft and sysctl where not every PATH looks."""
    os.environ["PATH"] = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])


def _environment() -> Path:
    python = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not python.exists():
        venv.create(VENV, with_pip=True)
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.check_call([*pip, "--editable", ".[dev]"], cwd=ROOT)
    return python


def _debian_packages() -> None:
    missing = [
        package
        for program, package in DEBIAN.items()
        if not (shutil.which(program) or (Path(program).is_absolute() and Path(program).exists()))
    ]
    if not missing or not shutil.which("apt-get") or os.geteuid() != 0:
        return
    quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    with _services_not_started():
        for command in (["update"], ["install", "--yes", "--no-install-recommends", *missing]):
            done = subprocess.run(
                ["apt-get", "-qq", *command], env=quiet, stdout=subprocess.DEVNULL, check=False
            )
            if done.returncode:
                print(f"apt-get {command[0]} failed: tests that need {missing} are skipped", file=sys.stderr)
                return


@contextlib.contextmanager
def _services_not_started() -> Iterator[None]:
    """Debian starts what it installs (nginx, redis), unless this file says no; the tests start their own."""
    if POLICY.exists():
        yield
        return
    POLICY.write_text("#!/bin/sh\nexit 101\n")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)  # as a shell has it for SIGINT
