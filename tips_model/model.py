"""The TIPS model: both towers, the temperature, and the tokenizer."""

import torch
from torch import Tensor, nn

from tips_model.config import TIPSConfig
from tips_model.text import TextTower
from tips_model.tokenizer import Tokenizer
from tips_model.vision import VisionTower


class TIPS(nn.Module):
    """Image and text encoder with one shared space and no projection heads.

    `vision`, `text`: the towers; `temperature`: tau itself, a scalar (logits are cosine / tau);
    `tokenizer`: None until one is attached; `weights_id`: identifies the weights, "random-<seed>"
    for new ones; `note`: a sentence for users about the model's abilities and limits, usually
    empty.
    New weights follow the official Scenic initialisation with the given seed; parameters on the
    meta device are left uninitialised, for a checkpoint reader to fill.
    """

    def __init__(self, config: TIPSConfig, *, seed: int = 0) -> None:
        super().__init__()
        self.config = config
        self.vision = VisionTower(config.vision, config.dense)
        self.text = TextTower(config.text)
        self.temperature = nn.Parameter(torch.tensor(float(config.temperature)))
        self.tokenizer: Tokenizer | None = None
        self.weights_id = f"random-{seed}"
        self.note = ""
        if not self.temperature.is_meta:
            generator = torch.Generator(self.temperature.device).manual_seed(seed)
            self.vision.init_weights(generator)
            self.text.init_weights(generator)

    def forward(self, pixels: Tensor, ids: Tensor, paddings: Tensor) -> Tensor:
        """Logits (images, texts): cosine of the retrieval head and the text, over tau."""
        out = self.vision(pixels)
        image = out.cls_caption if self.config.retrieval_head == "caption" else out.cls_web
        text = self.text(ids, paddings)
        image = nn.functional.normalize(image.float(), dim=-1)
        text = nn.functional.normalize(text.float(), dim=-1)
        return image @ text.T / self.temperature.float()
