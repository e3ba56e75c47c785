"""Absence: what becomes of a test, or a benchmark, that lacks a tool or data."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest

IN_CI = os.environ.get("CI", "").lower() not in ("", "0", "false")


def lacking(reason: str) -> NoReturn:
    """Skip with the reason; fail where `$CI` is set, since a check that CI passes over is none."""
    if IN_CI:
        pytest.fail(reason)
    pytest.skip(reason)
