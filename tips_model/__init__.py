"""TIPS image and text encoders: `load("nano")`, `model.vision(pixels)`, `model.text(...)`."""

from tips_model.checkpoints import load
from tips_model.config import VARIANTS, TIPSConfig
from tips_model.errors import TipsError
from tips_model.model import TIPS
from tips_model.vision import VisionOutput

__all__ = ["TIPS", "VARIANTS", "TIPSConfig", "TipsError", "VisionOutput", "load"]
