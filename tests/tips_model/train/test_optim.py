from dataclasses import replace

import pytest
import torch
from torch import nn

from tests.tips_model.train.pairs import tiny_config
from tips_model.train.config import Optimizer
from tips_model.train.objective import Learner
from tips_model.train.optim import (
    Float32Muon,
    depth_factor,
    groups,
    make_optimizers,
    orthogonal,
    set_lr,
)
from tips_model.train.setup import build


def learner() -> Learner:
    return build(tiny_config())[0]


def names_in(module: torch.nn.Module, parameters: list[torch.nn.Parameter]) -> set[str]:
    wanted = {id(p) for p in parameters}
    return {name for name, p in module.named_parameters() if id(p) in wanted}


def test_muon_takes_the_blocks_matrices_and_nothing_else() -> None:
    module = learner()
    matrices = groups(module, Optimizer(kind="muon"), muon=True)
    taken = names_in(module, [p for group in matrices for p in group["params"]])
    assert taken == {
        f"{tower}.blocks.{i}.{part}.weight"
        for tower, depth in (("vision", 2), ("text", 1))
        for i in range(depth)
        for part in ("attn.qkv", "attn.proj", "mlp.fc1", "mlp.fc2")
    }


@pytest.mark.parametrize("kind", ["muon", "adamw", "adafactor"])
def test_every_parameter_is_in_exactly_one_group(kind: str) -> None:
    module = learner()
    optimizers = make_optimizers(module, Optimizer(kind=kind))  # type: ignore[arg-type]
    held = [id(p) for o in optimizers for g in o.param_groups for p in g["params"]]
    assert sorted(held) == sorted(id(p) for p in module.parameters())


def test_biases_norms_and_tokens_do_not_decay() -> None:
    module = learner()
    plain = [g for g in groups(module, Optimizer(), muon=False) if g["weight_decay"] == 0]
    names = names_in(module, [p for group in plain for p in group["params"]])
    assert {"log_tau", "vision.cls", "vision.mask_token", "vision.norm.weight"} <= names
    assert "text.embedding.weight" not in names
    assert "vision.positions" not in names
    assert "vision.patch_embed.weight" not in names


def test_layer_wise_factors_count_the_blocks_above() -> None:
    depths = {"vision": 3, "text": 1}
    factors = {
        name: depth_factor(name, depths, 0.5)
        for name in (
            "vision.positions", "vision.blocks.0.attn.proj.weight", "vision.blocks.2.norm1.bias",
            "vision.norm.weight", "text.embedding.weight", "heads.cls.prototypes", "log_tau",
        )
    }  # fmt: skip
    assert list(factors.values()) == [0.125, 0.25, 1, 1, 0.5, 1, 1]


def test_rates_are_peaks_times_the_factor() -> None:
    optimizers = make_optimizers(
        learner(), Optimizer(kind="muon", lr=0.1, matrix_lr=0.4, layer_decay=0.5)
    )
    set_lr(optimizers, 0.5)
    assert {g["lr"] for g in optimizers[0].param_groups} == {0.2, 0.1}
    assert {g["lr"] for g in optimizers[1].param_groups} == {0.05, 0.025, 0.0125}


def test_muon_moves_by_a_nearly_orthogonal_matrix_at_the_rate_given() -> None:
    module = learner()
    muon, _ = make_optimizers(module, replace(Optimizer(), kind="muon", weight_decay=0.0))
    weight = module.vision.blocks[0].attn.proj.weight  # type: ignore[union-attr]
    assert isinstance(weight, torch.nn.Parameter)
    before = weight.detach().clone()
    weight.grad = torch.randn(32, 32, generator=torch.Generator().manual_seed(0))
    set_lr([muon], 1.0)
    muon.step()
    singular = torch.linalg.svdvals((weight.detach() - before) / 0.02)
    assert singular.min() > 0.3
    assert singular.max() < 1.3


def test_muon_in_float32_moves_as_torchs_own_does_in_bfloat16() -> None:
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(24, 48, generator=generator)
    grads = [torch.randn(24, 48, generator=generator) for _ in range(3)]
    moved = []
    for kind in (torch.optim.Muon, Float32Muon):
        parameter = nn.Parameter(start.clone())
        optimizer = kind([parameter], lr=0.1, momentum=0.9, weight_decay=0.1)
        for grad in grads:
            parameter.grad = grad.clone()
            optimizer.step()
        moved.append(parameter.detach() - start)
    one, other = (m.flatten() for m in moved)
    assert torch.nn.functional.cosine_similarity(one, other, dim=0) > 0.999
    assert one.norm().item() == pytest.approx(other.norm().item(), rel=0.01)


def test_orthogonal_brings_all_singular_values_near_one() -> None:
    matrix = torch.randn(40, 16, generator=torch.Generator().manual_seed(1))
    found = orthogonal(matrix, (3.4445, -4.775, 2.0315), 5, 1e-7)
    values = torch.linalg.svdvals(found)
    assert values.min() > 0.5
    assert values.max() < 1.3
