"""Images per second of the image encoder against `transformers`, same weights, same run.

    python bench/encoder.py --threads 2 --batch 4 --rounds 5

Random weights of full size are put into `transformers`' Tipsv2VisionModel and into ours. The two
take turns, so that a neighbour's load falls on both, and every round gives one ratio. `embedder` is
what indexing runs (uint8 in, unit vectors and dense patches out, precision as on this machine);
`float32` and `bfloat16` are our tower with the outputs of the reference. The machine's own peak is
the best matrix product of 2048 x 2048 between the turns; on a busy machine the shares mean little.
JSON on stdout.
"""

import argparse
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from tips_model.config import VARIANTS, TIPSConfig
from tips_model.embedder import TipsEmbedder
from tips_model.huggingface import convert_huggingface
from tips_model.model import TIPS
from tips_model.preprocess import to_float
from tips_model.tokenizer import Tokenizer
from tips_model.vision import VisionOutput

NANO_TOKENIZER = Path(__file__).parents[1] / "tips_model" / "nano" / "tokenizer.model"


@dataclass(frozen=True)
class Contestants:
    """Each takes the same pictures, uint8 (B,3,H,W) as float or as they are."""

    reference: Callable[[], Any]
    ours: dict[str, Callable[[], Any]]


def main() -> None:
    """Measure and print."""
    options = _options()
    torch.set_num_threads(options.threads)
    config = VARIANTS[options.model]
    reference, model = _twins(config)
    generator = torch.Generator().manual_seed(0)
    embedder = TipsEmbedder(model)
    size = (options.batch, 3, options.size, options.size)
    pixels = torch.randint(0, 256, size, dtype=torch.uint8, generator=generator)
    with torch.inference_mode():
        contestants = _contestants(reference, model, embedder, pixels)
        cosines = {
            name: _cosines(contestants.reference(), contestants.ours[name]())
            for name in ("float32", "bfloat16")
        }
        with embedder.precision():
            seen = embedder.vision(to_float(pixels))
        cosines["embedder"] = _cosines(contestants.reference(), seen)
        times, peak = _take_turns(contestants, options.rounds)
    gflop = _gflop(config, options.size)
    fastest = max(peak.values())
    base = times.pop("transformers")
    report = {
        "model": options.model,
        "size": options.size,
        "batch": options.batch,
        "threads": options.threads,
        "machine": platform.processor() or platform.machine(),
        "cpu": torch.cpu.get_capabilities().get("cpu_name"),
        "torch": torch.__version__,
        "gflop_per_image": round(gflop, 1),
        "peak_gflops": {name: round(value) for name, value in peak.items()},
        "transformers": _speed(base, options.batch, gflop, fastest),
        **{
            name: {
                **_speed(seconds, options.batch, gflop, fastest),
                "ratio": _ratios(base, seconds),
                **({"least_cosine": cosines[name]} if name in cosines else {}),
            }
            for name, seconds in times.items()
        },
    }
    json.dump(report, sys.stdout, indent=2)
    print()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    names = [name for name in VARIANTS if name.startswith("tipsv2")]
    parser.add_argument("--model", default="tipsv2-b14", choices=names)
    parser.add_argument("--size", type=int, default=448, help="side in pixels (default 448)")
    parser.add_argument("--batch", type=int, default=4, help="pictures at once (default 4)")
    parser.add_argument("--threads", type=int, default=2, help="threads for torch (default 2)")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each (default 5)")
    return parser.parse_args()


def _twins(config: TIPSConfig) -> tuple[Any, TIPS]:
    """The model of `transformers` and ours with the same random weights."""
    from transformers import Tipsv2Config, Tipsv2Model

    torch.manual_seed(0)
    v, t = config.vision, config.text
    towers = {"hidden_size": v.width, "num_attention_heads": v.heads}
    theirs = Tipsv2Config(
        vision_config={
            **towers,
            "num_hidden_layers": v.depth,
            "mlp_ratio": 4 if v.ffn == "swiglu" else v.mlp_hidden / v.width,
            "use_swiglu_ffn": v.ffn == "swiglu",
        },
        text_config={
            **towers,
            "num_hidden_layers": t.depth,
            "intermediate_size": t.mlp_hidden,
        },
    )
    reference: Any = Tipsv2Model(theirs)
    reference.eval().requires_grad_(False)
    state, config = convert_huggingface(dict(reference.state_dict()), config, "transformers")
    with torch.device("meta"):
        model = TIPS(config)
    model.load_state_dict(state, strict=True, assign=True)
    model.tokenizer = Tokenizer(NANO_TOKENIZER)
    return reference.vision_model, model.eval().requires_grad_(False)


def _contestants(
    reference: Any, model: TIPS, embedder: TipsEmbedder, pixels: Tensor
) -> Contestants:
    floats = to_float(pixels)

    def in_bfloat16() -> VisionOutput:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            out: VisionOutput = model.vision(floats)
            return out

    return Contestants(
        reference=lambda: reference(floats).last_hidden_state,
        ours={
            "embedder": lambda: list(embedder.embed_images(list(pixels))),
            "float32": lambda: model.vision(floats),
            "bfloat16": in_bfloat16,
        },
    )


def _cosines(theirs: Tensor, ours: VisionOutput) -> dict[str, float]:
    """The least cosine over pictures (and patches) of every output."""
    pairs = {
        "cls_web": (ours.cls_web, theirs[:, 0]),
        "cls_caption": (ours.cls_caption, theirs[:, 1]),
        "patches": (ours.patches.flatten(1, 2), theirs[:, 2:]),
    }
    return {
        name: round(F.cosine_similarity(a.float(), b.float(), dim=-1).min().item(), 6)
        for name, (a, b) in pairs.items()
    }


def _take_turns(
    contestants: Contestants, rounds: int
) -> tuple[dict[str, list[float]], dict[str, float]]:
    """Seconds per call of each, in turns after one warm-up, and the peak in GFLOP/s meanwhile."""
    everyone = {"transformers": contestants.reference, **contestants.ours}
    times: dict[str, list[float]] = {name: [] for name in everyone}
    peak = {"float32": 0.0, "bfloat16": 0.0}
    for turn in range(rounds + 1):
        for name in peak:
            peak[name] = max(peak[name], _peak(getattr(torch, name)))
        for name, call in everyone.items():
            start = time.perf_counter()
            call()
            if turn:
                times[name].append(time.perf_counter() - start)
    return times, peak


def _speed(seconds: list[float], batch: int, gflop: float, peak: float) -> dict[str, float]:
    rate = batch / statistics.median(seconds)
    best = batch / min(seconds)
    return {
        "images_per_second": round(rate, 3),
        "best_images_per_second": round(best, 3),
        "share_of_peak": round(best * gflop / peak, 3),
    }


def _ratios(base: list[float], seconds: list[float]) -> dict[str, Any]:
    rounds = [round(a / b, 3) for a, b in zip(base, seconds, strict=True)]
    return {
        "median": round(statistics.median(rounds), 3),
        "best_of_each": round(min(base) / min(seconds), 3),
        "rounds": rounds,
    }


def _gflop(config: TIPSConfig, size: int) -> float:
    """Multiplications and additions of one picture's matrix products, in 10^9."""
    v = config.vision
    tokens = (size // v.patch) ** 2 + 2
    matrices = (3 if v.ffn == "swiglu" else 2) * v.width * v.mlp_hidden + 4 * v.width**2
    block = 2 * tokens * matrices + 4 * tokens**2 * v.width
    embed = 2 * tokens * 3 * v.patch**2 * v.width
    return (v.depth * block + embed) / 1e9


def _peak(dtype: torch.dtype, side: int = 2048, rounds: int = 3) -> float:
    """The best square matrix product in GFLOP/s."""
    a, b = (torch.randn(side, side).to(dtype) for _ in range(2))
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        a @ b
        seconds.append(time.perf_counter() - start)
    return 2 * side**3 / min(seconds) / 1e9


if __name__ == "__main__":
    main()
