"""Compaction policy of the embedded store: few shards to search, bounded work per publish.

Shards of similar size are merged `FAN` at a time, so that a point is rewritten about once per
factor of `FAN` in the size of the collection; a shard is rewritten once a fifth of its images are
dead; and no merge makes a shard larger than `MAX_POINTS`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from indexer.edge.manifest import ShardEntry

FAN = 8
MAX_POINTS = 262_144
MAX_DEAD_SHARE = 0.2
_SMALL = 512  # points: shards below FAN times this count as the same size


def next_merge(shards: Sequence[ShardEntry]) -> list[ShardEntry]:
    """The shards of one kind to merge into one now, smallest first; empty when no merge is due."""
    tiers: defaultdict[int, list[ShardEntry]] = defaultdict(list)
    for shard in sorted(shards, key=lambda shard: (shard.live_points, shard.name)):
        tiers[_tier(shard.live_points)].append(shard)
    for _, tier in sorted(tiers.items()):
        chosen = _within_limit(tier)
        if len(tier) >= FAN and len(chosen) > 1:
            return chosen
    worn = [shard for shard in shards if shard.dead_share > MAX_DEAD_SHARE]
    return [max(worn, key=lambda shard: (shard.dead_share, shard.name))] if worn else []


def _tier(points: int) -> int:
    tier = 0
    while points >= _SMALL * FAN ** (tier + 1):
        tier += 1
    return tier


def _within_limit(tier: Sequence[ShardEntry]) -> list[ShardEntry]:
    chosen, total = list[ShardEntry](), 0
    for shard in tier:
        total += shard.live_points
        if total > MAX_POINTS:
            break
        chosen.append(shard)
    return chosen
