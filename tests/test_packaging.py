"""What the built packages hold: the four floors under `gpuledger/`, and nothing beside them."""

from __future__ import annotations

import email
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import gpuledger
from source_tree import FOLDERS, ROOT

LEFT_BEHIND = shutil.ignore_patterns(
    ".*", "__pycache__", "*.egg-info", "build", "dist", "venv", "node_modules"
)


def build(tree: Path, kind: str, into: Path) -> Path:
    """Build one `wheel` or `sdist` of the tree with what is installed already."""
    command = [sys.executable, "-m", "build", "--no-isolation", f"--{kind}", "--outdir", into, tree]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = into.iterdir()
    return built


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    copy = tmp_path_factory.mktemp("tree") / "gpuledger"
    shutil.copytree(ROOT, copy, ignore=LEFT_BEHIND)
    return copy


@pytest.fixture(scope="module")
def in_the_tree(tree: Path) -> set[str]:
    """Every file of the four folders, named as it must be installed."""
    return {
        "/".join([*package.split("."), *path.relative_to(tree / folder).parts])
        for folder, package in FOLDERS.items()
        for path in (tree / folder).rglob("*")
        if path.is_file()
    }


@pytest.fixture(scope="module")
def sdist(tree: Path, in_the_tree: set[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tree, "sdist", tmp_path_factory.mktemp("sdist"))


@pytest.fixture(scope="module", params=["tree", "sdist"])
def wheel(
    request: pytest.FixtureRequest,
    tree: Path,
    sdist: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    if request.param == "sdist":
        apart = tmp_path_factory.mktemp("source")
        with tarfile.open(sdist) as packed:
            # Python 3.11.2, Debian's, has no filters yet; 3.12 and 3.13 warn of their lack.
            safely = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
            packed.extractall(apart, **safely)
        tree = apart / f"gpuledger-{gpuledger.__version__}"
    return build(tree, "wheel", tmp_path_factory.mktemp("wheel"))


def test_the_wheel_holds_the_tree_and_nothing_else(wheel: Path, in_the_tree: set[str]) -> None:
    """Each file of the four floors is in the wheel, and beside them only the dist-info."""
    with zipfile.ZipFile(wheel) as packed:
        names = {name for name in packed.namelist() if not name.endswith("/")}
    about = f"gpuledger-{gpuledger.__version__}.dist-info/"
    assert {name for name in names if not name.startswith(about)} == in_the_tree
    assert "gpuledger/py.typed" in names
    assert f"{about}licenses/LICENSE" in names


def test_the_wheel_says_what_it_is(wheel: Path) -> None:
    """Version, licence, oldest Python and the commands are as promised."""
    about = f"gpuledger-{gpuledger.__version__}.dist-info"
    with zipfile.ZipFile(wheel) as packed:
        metadata = email.message_from_bytes(packed.read(f"{about}/METADATA"))
        commands = packed.read(f"{about}/entry_points.txt").decode()
    assert metadata["Version"] == gpuledger.__version__
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Requires-Python"] == ">=3.11"
    assert commands.splitlines()[:3] == [
        "[console_scripts]",
        "gpuledger = gpuledger.cli.entry:main",
        "gpuledger-remote = gpuledger.cli.remote:main",
    ]


def test_the_sdist_can_be_tested(sdist: Path) -> None:
    """Who has only the sdist has the tests, the benchmarks, the documents and the constraints."""
    with tarfile.open(sdist) as packed:
        names = {name.partition("/")[2] for name in packed.getnames()}
    for wanted in (
        "constraints.txt",
        "CHANGELOG.md",
        "tests/conftest.py",
        "benchmarks/conftest.py",
    ):
        assert wanted in names


def test_the_wheel_runs(wheel: Path, tmp_path: Path) -> None:
    """Installed away from the tree, `python -m gpuledger --version` answers from there."""
    site = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*pip, "--target", site, wheel], check=True, timeout=120)
    code = "import gpuledger.cli.entry as entry; print(entry.__file__)"
    env = {**os.environ, "PYTHONPATH": str(site)}
    for command, answer in (
        (["-m", "gpuledger", "--version"], gpuledger.__version__),
        (["-c", code], str(site)),
    ):
        done = subprocess.run(
            [sys.executable, *command], cwd=tmp_path, env=env, capture_output=True, text=True,
            timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert answer in done.stdout
