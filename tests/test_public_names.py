"""The front door: what `gpuledger` promises is there, and nothing else is."""

from __future__ import annotations

import subprocess
import sys

import pytest

import gpuledger


def test_public_names_are_sorted() -> None:
    """`__all__` is sorted and names nothing twice."""
    assert gpuledger.__all__ == sorted(set(gpuledger.__all__))


@pytest.mark.parametrize("name", gpuledger.__all__)
def test_public_names_are_there(name: str) -> None:
    """Every public name loads when asked for, and `dir` lists it."""
    assert getattr(gpuledger, name) is not None
    assert name in dir(gpuledger)


def test_every_failure_is_public() -> None:
    """Each error that the floors define can be caught by its name at the front door."""
    from gpuledger.ledger import errors as ledger_errors
    from gpuledger.replay import errors as replay_errors

    defined = {
        name
        for module in (ledger_errors, replay_errors)
        for name, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, gpuledger.GpuledgerError)
    }
    public = {
        name
        for name in gpuledger.__all__
        if isinstance(value := getattr(gpuledger, name), type)
        and issubclass(value, gpuledger.GpuledgerError)
    }
    assert public == defined


def test_a_name_that_is_not_public_is_refused() -> None:
    """Asking for a name that does not exist is an AttributeError that says so."""
    with pytest.raises(AttributeError, match="no attribute 'allocated'"):
        _ = gpuledger.allocated  # type: ignore[attr-defined]


def test_the_module_is_the_command_line() -> None:
    """`python -m gpuledger --version` answers with the version."""
    command = [sys.executable, "-m", "gpuledger", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split()[-1] == gpuledger.__version__
