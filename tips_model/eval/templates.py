"""Sets of sentences that a name is put into before it is encoded; their vectors are averaged."""

PLAIN_TEMPLATES = ("{}",)
TCL_TEMPLATES = (
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
"""The nine of TCL (Cha et al., CVPR 2023), with which TIPSv2's authors evaluate segmentation: seven
of CLIP's ImageNet prompts and two more."""
TEMPLATE_SETS = {"plain": PLAIN_TEMPLATES, "tcl": TCL_TEMPLATES}
"""The sets by the names that users give."""
