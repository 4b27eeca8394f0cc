"""Thirty kernels are killed while they ask: nothing acknowledged is lost or paid for twice."""

import os
from pathlib import Path

import pytest
from killing import count_what_is_left


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_killed_kernels_lose_nothing_and_pay_nothing_twice(tmp_path: Path) -> None:
    found = count_what_is_left(30, tmp_path)
    # They were killed at work, not before it or after.
    assert found["answered"] >= 20
    assert found["unknown"] >= 1
