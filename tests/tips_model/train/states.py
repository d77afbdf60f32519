"""What runs leave on disk, to be compared bit by bit."""

from __future__ import annotations

from pathlib import Path

import torch

from tips_model.train.checkpoint import saved_steps


def final_state(out: Path) -> dict[str, object]:
    state: dict[str, object] = torch.load(saved_steps(out)[-1][1], weights_only=True)
    return state


def assert_equal(one: object, other: object, where: str = "state") -> None:
    """Bitwise equality of nested states."""
    assert type(one) is type(other), where
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other), where  # type: ignore[arg-type]
    elif isinstance(one, dict):
        assert one.keys() == other.keys(), where  # type: ignore[attr-defined]
        for key in one:
            assert_equal(one[key], other[key], f"{where}.{key}")  # type: ignore[index]
    elif isinstance(one, list | tuple):
        for i, (a, b) in enumerate(zip(one, other, strict=True)):  # type: ignore[call-overload]
            assert_equal(a, b, f"{where}[{i}]")
    elif hasattr(one, "tobytes"):
        assert one.tobytes() == other.tobytes(), where  # type: ignore[attr-defined]
    else:
        assert one == other, where
