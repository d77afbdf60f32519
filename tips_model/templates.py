"""Sets of sentences that a name is put into before it is encoded; their vectors are averaged.

"tcl" are the nine of TCL (Cha et al., CVPR 2023) that TIPS' authors use for text against patches
(`TIPS_zeroshot_segmentation.ipynb`): seven of CLIP's ImageNet prompts and two more. They are for
names of things. `nano` learnt plain names and has few words; prompts about video games only take
its tokens away. A model's configuration says which set is its own (`TIPSConfig.prompts`).
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
