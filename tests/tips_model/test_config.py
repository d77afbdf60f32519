import json

import pytest
import torch

from tips_model import TIPS, VARIANTS
from tips_model.config import TextConfig, TIPSConfig, VisionConfig

# Millions, from the authors' README (v1) and the v2 paper's Table 16; two places computed.
PUBLISHED = {
    "tips-s14-hr": (21.62, 33.58),
    "tips-b14-hr": (85.71, 109.63),
    "tips-l14-hr": (303.18, 183.92),
    "tips-so14-hr": (412.44, 448.33),
    "tips-g14-hr": (1134.65, 389.13),
    "tips-g14-lr": (1134.65, 389.13),
    "tipsv2-b14": (86.30, 109.63),
    "tipsv2-l14": (303.97, 183.92),
    "tipsv2-so14": (413.33, 448.33),
    "tipsv2-g14": (1135.83, 389.13),
}


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize("name", PUBLISHED)
def test_towers_have_the_published_number_of_parameters(name):
    with torch.device("meta"):
        model = TIPS(VARIANTS[name])
    assert count(model.vision) / 1e6 == pytest.approx(PUBLISHED[name][0], abs=0.006)
    assert count(model.text) / 1e6 == pytest.approx(PUBLISHED[name][1], abs=0.006)
    assert VARIANTS[name].parameter_count() == count(model.vision) + count(model.text)


def test_every_published_variant_and_nano_are_listed():
    assert set(VARIANTS) == {*PUBLISHED, "nano"}


def test_so400m_text_tower_has_27_layers():
    """Scenic's condition is inverted against its own comment; the published count needs 27."""
    assert VARIANTS["tipsv2-so14"].text.depth == 27
    assert VARIANTS["tipsv2-l14"].text.depth == 12


@pytest.mark.parametrize("name", VARIANTS)
def test_config_survives_json(name):
    config = VARIANTS[name]
    assert TIPSConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_impossible_shapes_are_refused():
    with pytest.raises(ValueError, match="multiple of 5 heads"):
        VisionConfig(width=32, depth=1, heads=5, mlp_hidden=8)
    with pytest.raises(ValueError, match="even"):
        TextConfig(width=9, depth=1, heads=3, mlp_hidden=8)
    vision = VisionConfig(width=32, depth=1, heads=4, mlp_hidden=8)
    text = TextConfig(width=64, depth=1, heads=4, mlp_hidden=8)
    with pytest.raises(ValueError, match="share one width"):
        TIPSConfig(name="x", vision=vision, text=text)
