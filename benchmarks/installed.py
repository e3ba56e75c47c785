"""An ordinary installation in a virtual environment of its own, to measure whole processes.

An editable installation, or a `.pth` file that another package left, would add its own cost to
every start, ours and the floor's. So a wheel of the tree is installed into a new environment,
the packages that it needs are copied beside it, and everything is compiled.
"""

from __future__ import annotations

import compileall
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
LEFT_BEHIND = shutil.ignore_patterns(
    ".*", "__pycache__", "*.egg-info", "build", "dist", "venv", "tests", "benchmarks"
)


@dataclass(frozen=True)
class Installed:
    """A Python and a `gpuledger` command of one environment, and what that is."""

    python: Path
    command: tuple[str, ...]
    what: str


def as_it_is() -> Installed:
    """The environment that runs this, where a figure does not matter."""
    return Installed(
        Path(sys.executable), (sys.executable, "-m", "gpuledger"), "the tests' environment"
    )


def in_a_venv(folder: Path) -> Installed:
    """A new virtual environment in `folder` with the program as people install it."""
    place = folder / "venv"
    venv.create(place, with_pip=False, symlinks=True)
    scheme = {"base": str(place), "platbase": str(place)}
    packages = Path(sysconfig.get_path("purelib", "venv", vars=scheme))
    scripts = Path(sysconfig.get_path("scripts", "venv", vars=scheme))
    for name in sorted(_needed("gpuledger")):
        _copy(name, packages)
    python = scripts / Path(sys.executable).name
    if not python.exists():
        python = scripts / "python"
    _pip("--python", str(python), "install", "--no-index", "--no-deps", str(_wheel(folder)))
    compileall.compile_dir(packages, quiet=2)
    return Installed(python, (str(scripts / "gpuledger"),), "a wheel in a virtual environment")


def _wheel(folder: Path) -> Path:
    """A wheel of the tree, built with what is installed already."""
    tree = folder / "tree"
    shutil.copytree(ROOT, tree, ignore=LEFT_BEHIND)
    wheels = folder / "wheels"
    _pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(wheels), str(tree))
    (wheel,) = wheels.iterdir()
    return wheel


def _pip(*args: str) -> None:
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *args]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def _needed(name: str) -> set[str]:
    """The distributions that one needs to run, directly or through others, itself left out."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        for requirement in _requirements(waiting.pop()):
            if requirement not in found:
                found.add(requirement)
                waiting.append(requirement)
    return found


def _requirements(name: str) -> Iterator[str]:
    for text in metadata.requires(name) or ():
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield requirement.name


def _copy(name: str, packages: Path) -> None:
    """Copy a distribution's modules and metadata; its scripts stay behind."""
    for file in metadata.files(name) or ():
        if ".." in file.parts or file.suffix == ".pyc":
            continue
        there = packages / file
        there.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(Path(str(file.locate())), there)
