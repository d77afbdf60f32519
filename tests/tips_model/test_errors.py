"""Packages of an extra that are not there: a sentence, not a trace."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tips_model.train.pairs import ColourSource, tiny_config, tokenizer
from tips_model.errors import MissingPackageError, check_installed
from tips_model.train.caption import Captioner
from tips_model.train.train import run


def test_what_is_installed_is_not_asked_for() -> None:
    check_installed("train", "torch", "numpy")


def test_all_missing_packages_are_named_with_their_extra() -> None:
    with pytest.raises(MissingPackageError, match=r"^This needs a_b and c_d; .*search\[train\]'`"):
        check_installed("train", "a_b", "torch", "c_d")


def test_training_and_captions_ask_before_they_begin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in the environment of `make demo`, which has no extras."""
    monkeypatch.setattr("tips_model.errors.find_spec", lambda name: None)
    with pytest.raises(MissingPackageError, match=r"^This needs matplotlib and tensorboard;"):
        run(tiny_config(), ColourSource(), tokenizer(), tmp_path / "run")
    assert not (tmp_path / "run").exists()
    with pytest.raises(MissingPackageError, match=r"^This needs transformers;"):
        Captioner()
