"""Drawn scenes: pictures composed of named drawings, with every mask, box, name and
relation known.
"""

from tips_model.train.scenes.source import Scenes, SceneSource

__all__ = ["SceneSource", "Scenes"]
