"""Errors say value, limit and cure, and give nothing else away."""

import pickle

import pytest

import nbvision.errors as errors_module
from nbvision.errors import NbvisionError, RateLimited


def test_the_drawn_tree_is_the_real_tree() -> None:
    drawn = {
        line.replace("│", " ").replace("├──", "").replace("└──", "").split()[0]
        for line in (errors_module.__doc__ or "").splitlines()
        if line.startswith("    ")
    }
    assert drawn == set(errors_module.__all__)


def test_a_notebook_shows_three_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NBVISION_TRACEBACK", raising=False)
    error = RateLimited("429 from the service", limit="5 a minute", cure="wait 12 s", status=429)
    assert error._render_traceback_() == [
        "RateLimited: 429 from the service",
        "  limit: 5 a minute",
        "  cure:  wait 12 s",
    ]


def test_the_full_traceback_is_one_option_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NBVISION_TRACEBACK", "full")
    with pytest.raises(NbvisionError) as caught:
        raise NbvisionError("no")
    assert "Traceback" in "".join(caught.value._render_traceback_())


def test_errors_are_not_pickled() -> None:
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(NbvisionError("no"))
