"""TIPS image and text encoders: `load("nano")`, `model.vision(pixels)`, `model.text(...)`.

Names are imported lazily: a command that needs no model should not wait for torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from tips_model.former_names import keep_former_names

if TYPE_CHECKING:
    from tips_model.checkpoints import load
    from tips_model.config import VARIANTS, TIPSConfig
    from tips_model.errors import TipsError
    from tips_model.model import TIPS
    from tips_model.vision import VisionOutput

__all__ = ["TIPS", "VARIANTS", "TIPSConfig", "TipsError", "VisionOutput", "load"]

_HOMES = {
    "TIPS": "model",
    "VARIANTS": "config",
    "TIPSConfig": "config",
    "TipsError": "errors",
    "VisionOutput": "vision",
    "load": "checkpoints",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


keep_former_names()
