"""Architectures of every published TIPS model, and of the small bundled one.

Sizes are those of the official `vit.py` and `text_encoder.py`; they reproduce the published
parameter counts (see the tests). v1 has a 16 x 16 position table, v2 a 32 x 32 one.
"""

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Ffn = Literal["gelu", "swiglu"]
Dense = Literal["values", "values_ffn"]
Head = Literal["web", "caption"]
Prompts = Literal["tcl", "plain"]


LARGEST = 1 << 20
DEEPEST = 1000
"""Upper bounds for sizes in a config file: building a larger model, even on meta, would not end."""


@dataclass(frozen=True, kw_only=True, slots=True)
class VisionConfig:
    """Shape of the image tower; `grid` is the side of the learned position table, in patches."""

    width: int
    depth: int
    heads: int
    mlp_hidden: int
    ffn: Ffn = "gelu"
    patch: int = 14
    grid: int = 16

    def __post_init__(self) -> None:
        _check_sizes(self)
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is not a multiple of {self.heads} heads")
        if min(self.depth, self.mlp_hidden, self.patch, self.grid) < 1:
            raise ValueError("depth, mlp_hidden, patch and grid start at 1")


@dataclass(frozen=True, kw_only=True, slots=True)
class TextConfig:
    """Shape of the text tower; texts are cut at `max_length` tokens."""

    width: int
    depth: int
    heads: int
    mlp_hidden: int
    vocab: int = 32_000
    max_length: int = 64

    def __post_init__(self) -> None:
        _check_sizes(self)
        if self.width % self.heads or self.width % 2:
            raise ValueError(
                f"width {self.width} must be even and a multiple of {self.heads} heads"
            )
        if min(self.depth, self.mlp_hidden, self.max_length) < 1 or self.vocab < 2:
            raise ValueError("depth, mlp_hidden and max_length start at 1, vocab at 2")


def _check_sizes(config: VisionConfig | TextConfig) -> None:
    """Raise ValueError unless all sizes are plausible; they may come from an untrusted file."""
    for name, value in asdict(config).items():
        if name != "ffn" and (type(value) is not int or not 0 < value <= LARGEST):
            raise ValueError(f"{name} cannot be {value!r}")
    if config.depth > DEEPEST:
        raise ValueError(f"depth cannot be {config.depth}")
    if isinstance(config, VisionConfig) and config.ffn not in ("gelu", "swiglu"):
        raise ValueError(f"ffn cannot be {config.ffn!r}")


@dataclass(frozen=True, kw_only=True, slots=True)
class TIPSConfig:
    """One model: both towers and how its outputs are meant to be used.

    A picture is resized to the area of a square with a side of `image_size` pixels. `dense` is the
    patch feature that is compared with text: "values_ffn" is the official notebook's (value path,
    residual, feed-forward, final norm), "values" the projected values alone, then the final norm.
    `retrieval_head` is the image vector that is compared with text by default. `temperature` is the
    initial value of tau in `cosine / tau`. `prompts` says how names are compared with regions: in
    the templates of "tcl" or unchanged, "plain".
    """

    name: str
    vision: VisionConfig
    text: TextConfig
    image_size: int = 448
    dense: Dense = "values_ffn"
    retrieval_head: Head = "web"
    temperature: float = field(default=0.07)
    prompts: Prompts = "tcl"

    def __post_init__(self) -> None:
        if self.vision.width != self.text.width:
            raise ValueError("the two towers share one width: there is no projection between them")
        if self.image_size < self.vision.patch:
            raise ValueError(f"image_size {self.image_size} is less than one patch")
        if self.dense not in ("values", "values_ffn"):
            raise ValueError(f"unknown dense feature {self.dense!r}")
        if self.retrieval_head not in ("web", "caption"):
            raise ValueError(f"unknown head {self.retrieval_head!r}")
        if self.temperature <= 0:
            raise ValueError("temperature is above 0")

    def parameter_count(self) -> int:
        """Parameters of both towers: no projections, no layer scale, biases everywhere."""
        v, t, d = self.vision, self.text, self.vision.width
        attention = 4 * d * d + 4 * d + 4 * d  # projections with biases, two norms
        matrices, biases = (3, 2) if v.ffn == "swiglu" else (2, 1)
        vision_block = attention + matrices * d * v.mlp_hidden + biases * v.mlp_hidden + d
        text_block = attention + 2 * d * t.mlp_hidden + t.mlp_hidden + d
        tokens = 3 * v.patch**2 * d + d + (2 + 1) * d + v.grid**2 * d
        vision = tokens + v.depth * vision_block + 2 * d
        return vision + t.vocab * d + t.depth * text_block + 2 * d

    def to_dict(self) -> dict[str, Any]:
        """Plain nested dict, as stored in `config.json`."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "TIPSConfig":
        """The inverse of `to_dict`.

        An unknown or missing field raises KeyError or TypeError, a bad value ValueError.
        """
        rest = dict(values)
        vision = VisionConfig(**rest.pop("vision"))
        text = TextConfig(**rest.pop("text"))
        return cls(vision=vision, text=text, **rest)


# width, vision depth, heads, vision feed-forward, its kind, text depth, text feed-forward.
# SwiGLU: two thirds of 6144, rounded up to a multiple of 8, is 4096.
_SIZES: dict[str, tuple[int, int, int, int, Ffn, int, int]] = {
    "s14": (384, 12, 6, 1536, "gelu", 12, 1536),
    "b14": (768, 12, 12, 3072, "gelu", 12, 3072),
    "l14": (1024, 24, 16, 4096, "gelu", 12, 4096),
    "so14": (1152, 27, 16, 4304, "gelu", 27, 4304),
    "g14": (1536, 40, 24, 4096, "swiglu", 12, 6144),
}


def _official(name: str, size: str, *, grid: int, image_size: int = 448) -> TIPSConfig:
    width, depth, heads, hidden, ffn, text_depth, text_hidden = _SIZES[size]
    return TIPSConfig(
        name=name,
        vision=VisionConfig(
            width=width, depth=depth, heads=heads, mlp_hidden=hidden, ffn=ffn, grid=grid
        ),
        text=TextConfig(width=width, depth=text_depth, heads=heads, mlp_hidden=text_hidden),
        image_size=image_size,
    )


NANO = TIPSConfig(
    name="nano",
    vision=VisionConfig(width=192, depth=10, heads=3, mlp_hidden=768, patch=14, grid=12),
    text=TextConfig(width=192, depth=4, heads=3, mlp_hidden=768, vocab=12_000, max_length=64),
    image_size=168,
    prompts="plain",
)
"""The bundled model, trained on photographs."""

DRAWN = TIPSConfig(
    name="drawn",
    vision=VisionConfig(width=128, depth=6, heads=4, mlp_hidden=512, patch=8, grid=12),
    text=TextConfig(width=128, depth=2, heads=4, mlp_hidden=512, vocab=1024),
    image_size=96,
    dense="values",
    prompts="plain",
)
"""A smaller model for drawn scenes only, which trains in minutes, for trying out the objective."""

VARIANTS: dict[str, TIPSConfig] = {
    config.name: config
    for config in (
        *(_official(f"tips-{size}-hr", size, grid=16) for size in _SIZES),
        _official("tips-g14-lr", "g14", grid=16, image_size=224),
        *(_official(f"tipsv2-{size}", size, grid=32) for size in ("b14", "l14", "so14", "g14")),
        NANO,
    )
}
