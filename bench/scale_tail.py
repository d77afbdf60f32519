"""How long a search over many shards takes: it waits for the slowest of them.

Shards answer independently. A shard's time is its median times a lognormal factor, and with a small
probability it is `slow_factor` times as long (a merge, a cold page, a busy neighbour). With a
second replica, the search asks it as well when the first has not answered after `hedge` medians,
and takes the quicker one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

Z95 = 1.6449  # the 95 % point of the normal distribution
_DRAWS_AT_ONCE = 4_000_000


@dataclass(frozen=True, kw_only=True)
class Shard:
    """One shard's answer. spread: 95 % point over median, of its ordinary answers. slow_share,
    slow_factor: how often, and how much, it is slower. hedge: in medians."""

    spread: float
    slow_share: float
    slow_factor: float
    hedge: float


class Tail(NamedTuple):
    """Points of the distribution of a search, in medians of one shard."""

    p50: float
    p95: float
    p99: float


def fan_out(shard: Shard, shards: int, *, replicas: int, searches: int, seed: int = 0) -> Tail:
    """Simulate searches that ask `shards` shards at once.

    replicas: 1, or 2 and more with hedged requests (a third replica is not asked).
    """
    generator = np.random.default_rng(seed)
    step = max(1, _DRAWS_AT_ONCE // shards)
    slowest = []
    for start in range(0, searches, step):
        shape = min(step, searches - start), shards
        times = _answers(generator, shard, shape)
        if replicas > 1:
            times = np.minimum(times, shard.hedge + _answers(generator, shard, shape))
        slowest.append(times.max(axis=1))
    points = np.quantile(np.concatenate(slowest), [0.5, 0.95, 0.99])
    return Tail(*(float(point) for point in points))


def _answers(
    generator: np.random.Generator, shard: Shard, shape: tuple[int, int]
) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    times = np.exp(generator.normal(0.0, np.log(shard.spread) / Z95, shape))
    times[generator.random(shape) < shard.slow_share] *= shard.slow_factor
    return times
