"""Detects whether bfloat16 is fast on this processor."""

from __future__ import annotations

import torch


def bfloat16_pays(device: torch.device | str = "cpu") -> bool:
    """Whether products in bfloat16 are faster than in float32 on `device`.

    A processor without bfloat16 instructions emulates it, twenty times slower.
    """
    device = torch.device(device)
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    if device.type != "cpu":
        return False
    features = torch.cpu.get_capabilities()
    # Measured (bench/encoder.py): AMD's avx512_bf16 multiplies twice as fast as float32; Intel's
    # has one port for it where float32 has two, and is slower unless there are matrix tiles.
    amd = "AMD" in str(features.get("cpu_name", ""))
    return bool(features.get("amx_bf16") or (amd and features.get("avx512_bf16")))
