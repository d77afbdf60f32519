"""Sentences that a word is put into before it is encoded; their vectors are averaged.

The nine of TCL (Cha et al., CVPR 2023) are what TIPS' authors use for text against patches
(`TIPS_zeroshot_segmentation.ipynb`): seven of CLIP's ImageNet prompts and two more. They are for
names of things; a whole sentence is taken as it is. Global retrieval is evaluated by the authors
with plain captions.
"""

from __future__ import annotations

import re

from tips_model.config import Prompts

PLAIN = ("{}",)
TCL = (
    "itap of a {}.",
    "a bad photo of a {}.",
    "a origami {}.",
    "a photo of the large {}.",
    "a {} in a video game.",
    "art of the {}.",
    "a photo of the small {}.",
    "a photo of many {}.",
    "a photo of {}s.",
)
LONGEST_NAME = 4
"""A text of more words than these is a sentence, not the name of a thing."""
ARTICLE = re.compile(r"^(?:an?|the)\s+", re.IGNORECASE)


def region_templates(prompts: Prompts) -> tuple[str, ...]:
    """Templates for a text that is compared with regions, as the model's configuration wants them.

    `nano` learnt plain names and has few words; prompts about video games only take its tokens
    away. Whole photos are compared with plain texts by all models.
    """
    return PLAIN if prompts == "plain" else TCL


def expand(text: str, templates: tuple[str, ...]) -> list[str]:
    """The sentences for a text: a name in every template (without its own article), a sentence as
    it is.
    """
    text = " ".join(text.split())
    if templates == PLAIN or len(text.split()) > LONGEST_NAME:
        return [text]
    name = ARTICLE.sub("", text) or text
    return [template.replace("{}", name) for template in templates]
