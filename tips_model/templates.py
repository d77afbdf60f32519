"""Prompt templates for names; the vectors of a name's prompts are averaged.

"tcl" are the nine of TCL (Cha et al., CVPR 2023) that TIPS' authors use for text against patches
(`TIPS_zeroshot_segmentation.ipynb`): seven of CLIP's ImageNet prompts and two more. They are for
names of things. `nano` was trained on plain names and knows few words; prompts about video games
only waste its tokens. A model's configuration names its own set (`TIPSConfig.prompts`).
"""

from tips_model.config import Prompts

TEMPLATES: dict[Prompts, tuple[str, ...]] = {
    "plain": ("{}",),
    "tcl": (
        "itap of a {}.",
        "a bad photo of a {}.",
        "a origami {}.",
        "a photo of the large {}.",
        "a {} in a video game.",
        "art of the {}.",
        "a photo of the small {}.",
        "a photo of many {}.",
        "a photo of {}s.",
    ),
}
