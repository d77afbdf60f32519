"""Where the line of confidence falls: what it keeps of the right photos, and how often a text that
nothing shows finds something.

    tips scenes coco eval-set --kind library --size 288 -n 2000 --seed 11
    python bench/cutoff.py nano eval-set --out cutoff
    python bench/cutoff.py nano PHOTOS --absent bench/absent_photographs.txt --out cutoff

For each draw some names are taken out of the set with all pictures that show them; these names, and
the texts of `absent.txt`, then have no match. Collections of several sizes are cut from what is
left; the largest is made of noisy copies of it. Every other name is asked for; the line is held
against a fixed threshold on the cosine (set so that exactly 5 % of the absent texts find something,
which nobody could know beforehand), and against top-p (the photos that hold a share of the softmax
of the cosines). Writes cutoff.json and cutoff.png.

Letters: N photos, T texts, R regions of a photo, D width.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import numpy.typing as npt
import torch

from indexer.vectors import Kind
from search.arrays import Array
from search.confidence.calibration import Calibration, Sample, TermVector, asked, both
from search.confidence.cutoff import best_region
from search.confidence.sample import SAMPLE_PHOTOS, unrelated_texts
from search.eval.run import Library, encode_library
from search.query_encoder import QueryEncoder
from search.templates import TEMPLATES
from tips_model.embedder import open_embedder
from tips_model.eval.coco import read_coco_set

matplotlib.use("Agg")
import matplotlib.pyplot as plt

ABSENT = Path(__file__).with_name("absent.txt")
TAKEN_OUT = 25
"""Names that are taken out in each draw; of few names a quarter."""
NOISE = 0.05
"""Length of the noise of a copy of a photo, relative to its unit vectors."""
TARGET = 0.05
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Texts:
    """Unit vectors (T, D) as compared with photos and with regions."""

    photo: Array
    region: Array


@dataclass(frozen=True, slots=True)
class Scores:
    """What each of T texts gives to N photos: cosine with the photo, and the users' score by photo
    and by place, (T, N) each.
    """

    cosine: Array
    photo: Array
    place: Array


def main() -> None:
    """Command line."""
    options = _options()
    torch.set_num_threads(options.threads)
    embedder = open_embedder(options.model)
    data = read_coco_set(options.data)
    library = encode_library(embedder, data, options.regions, options.tiles)
    encoder = QueryEncoder(embedder)
    lines = options.absent.read_text("utf-8").splitlines()
    foreign = [line for line in lines if line and not line.startswith("#")]
    absent = Texts(encoder.texts(foreign, "images"), encoder.texts(foreign, "regions"))
    unrelated = Texts(*unrelated_texts(encoder))
    away = min(TAKEN_OUT, len(library.truth.texts) // 4)
    found = []
    for draw in range(options.draws):
        for size in options.photos:
            row = measure(library, absent, unrelated, size, draw, away)
            found.append({"photos": size, "draw": draw, **row})
        print(f"draw {draw + 1} of {options.draws}", flush=True)
    report = summary(found) | {
        "model": embedder.info.model_id,
        "tiles": options.tiles,
        "data": options.data.name,
        "draws": options.draws,
        "absent texts": away * options.draws + len(foreign),
        "templates": len(TEMPLATES[embedder.info.prompts]),
    }
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "cutoff.json").write_text(json.dumps(report, indent=1) + "\n", "utf-8")
    plot(report, options.out / "cutoff.png")
    for size, rules in report["sizes"].items():
        for rule, figures in rules.items():
            text = " ".join(f"{name} {value:.3f}" for name, value in figures.items())
            print(f"{size:>7} {rule:18} {text}")


def measure(
    library: Library, absent: Texts, unrelated: Texts, size: int, seed: int, away: int
) -> dict[str, Any]:
    """One collection of `size` photos, without those of `away` names: figures of every rule."""
    rng = np.random.default_rng(seed)
    truth = library.truth
    names = rng.permutation(len(truth.texts))
    out, asked = names[:away], names[away:]
    shows = np.zeros((len(truth.texts), len(library.pictures)), bool)
    shows[truth.text, truth.image] = True
    left = rng.permutation(np.flatnonzero(~shows[out].any(axis=0)))
    copies = left[np.arange(size) % len(left)] if size > len(left) else left[:size]
    photos, regions, starts = _copied(library, copies, size > len(left), rng)
    calibration = calibrate(photos, regions, starts, unrelated)
    asked = asked[shows[asked][:, copies].any(axis=1)]
    wanted = shows[asked][:, copies]

    def of(texts: Texts) -> Scores:
        return score(calibration, photos, regions, starts, texts)

    present = of(Texts(library.photo_texts[asked], library.region_texts[asked]))
    gone = of(Texts(library.photo_texts[out], library.region_texts[out]))
    foreign = of(absent)
    fixed = float(np.quantile(foreign.cosine.max(1), 1 - TARGET))
    rules: dict[str, dict[str, float]] = {}
    for rule, line, field in (
        ("line, photos", 1.0, "photo"),
        ("line, places", 1.0, "place"),
        ("fixed cosine", fixed, "cosine"),
    ):
        values = getattr(present, field)
        nothing = getattr(foreign, field).max(1)
        allowed = values >= np.quantile(nothing, 1 - TARGET)
        rules[rule] = figures(values, values >= line, wanted) | {
            "recall allowed": float(((allowed & wanted).sum(1) / wanted.sum(1)).mean()),
            "false alarms, names": float((getattr(gone, field).max(1) >= line).mean()),
            "false alarms": float((nothing >= line).mean()),
        }
    rules["top-p 0.9"] = figures(present.cosine, top_p(present.cosine), wanted) | {
        "false alarms, names": 1.0,
        "false alarms": 1.0,
    }
    return rules


def calibrate(photos: Array, regions: Array, starts: Ints, unrelated: Texts) -> Calibration:
    """As `calibrate` in `search/confidence/sample.py`: from at most 512 of the photos."""
    most = min(SAMPLE_PHOTOS, len(photos))
    end = starts[most] if most < len(starts) else len(regions)
    tops: dict[Kind, Array] | None = None
    if most < len(photos):
        rows = asked(len(unrelated.photo))
        tops = {
            "images": (photos @ unrelated.photo[rows].T).max(axis=0),
            "regions": (regions @ unrelated.region[rows].T).max(axis=0),
        }
    sample = Sample(photos[:most], regions[:end], starts[:most], len(photos), tops)
    return Calibration(sample, unrelated.photo, unrelated.region)


def score(
    calibration: Calibration, photos: Array, regions: Array, starts: Ints, texts: Texts
) -> Scores:
    """The scores that a search gives to every photo when it looks at all of them."""
    cosines, by_photo, by_place = [], [], []
    for photo_text, region_text in zip(texts.photo, texts.region, strict=True):
        photo, region = (
            calibration.sides[kind].direction([TermVector(vector, 1.0, picture=False)])
            for kind, vector in (("images", photo_text), ("regions", region_text))
        )
        cosine = photos @ photo.vector
        photo_z = photo.standard(cosine)
        best = best_region((regions @ region.vector)[None], starts)[0]
        region_z = region.standard(best)
        together = both(photo_z, region_z)
        cosines.append(cosine)
        by_photo.append(calibration.score({"both": together}, picture=False))
        z = {"region": region_z, "both": together}
        by_place.append(calibration.score(z, picture=False))
    return Scores(np.stack(cosines), np.stack(by_photo), np.stack(by_place))


def figures(values: Array, kept: Bools, wanted: Bools) -> dict[str, float]:
    """Means over the texts: recall and F1 of what is kept, and of the best cut of each ranking."""
    hit = (kept & wanted).sum(axis=1)
    recall = hit / wanted.sum(axis=1)
    f1 = 2 * hit / (kept.sum(axis=1) + wanted.sum(axis=1))
    best = np.array([_best_cut(v, w) for v, w in zip(values, wanted, strict=True)])
    kept_photos = max(int(kept.sum()), 1)
    return {
        "precision": float(hit.sum() / kept_photos),
        "recall": float(recall.mean()),
        "recall of the best cut": float(best[:, 0].mean()),
        "F1": float(f1.mean()),
        "F1 of the best cut": float(best[:, 1].mean()),
    }


def _best_cut(values: Array, wanted: Bools) -> tuple[float, float]:
    """Recall and F1 of the cut with the best F1."""
    right = wanted[np.argsort(-values, kind="stable")].cumsum()
    f1 = 2 * right / (np.arange(1, len(right) + 1) + wanted.sum())
    cut = int(f1.argmax())
    return float(right[cut] / wanted.sum()), float(f1[cut])


def top_p(cosines: Array, share: float = 0.9) -> Bools:
    """The best photos of each text that together hold `share` of the softmax of its cosines, in
    units of their spread, times 4.
    """
    z = (cosines - cosines.mean(axis=1, keepdims=True)) / cosines.std(axis=1, keepdims=True)
    weight = np.exp(4 * (z - z.max(axis=1, keepdims=True)))
    order = np.argsort(-weight, axis=1)
    mass = np.take_along_axis(weight, order, axis=1).cumsum(axis=1)
    kept = np.zeros(cosines.shape, bool)
    inside = np.concatenate([np.ones((len(mass), 1), bool), mass[:, :-1] < share * mass[:, -1:]], 1)
    np.put_along_axis(kept, order, inside, axis=1)
    return kept


def _copied(
    library: Library, rows: Ints, noisy: bool, rng: np.random.Generator
) -> tuple[Array, Array, Ints]:
    """Photos (N, D), their regions one after the other, and where each photo's begin."""
    valid = library.regions.valid[rows]
    photos = library.pictures[rows]
    regions = library.regions.vectors[rows][valid]
    starts = np.concatenate([[0], valid.sum(axis=1).cumsum()[:-1]]).astype(np.int64)
    return (
        (_moved(photos, rng), _moved(regions, rng), starts)
        if noisy
        else (
            photos,
            regions,
            starts,
        )
    )


def _moved(vectors: Array, rng: np.random.Generator) -> Array:
    noise = rng.standard_normal(vectors.shape, np.float32) * (NOISE / np.sqrt(vectors.shape[1]))
    moved = vectors + noise
    return np.asarray(moved / np.linalg.norm(moved, axis=1, keepdims=True), np.float32)


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Means over the draws, by size and rule."""
    sizes: dict[str, dict[str, dict[str, float]]] = {}
    for size in sorted({row["photos"] for row in rows}):
        draws = [row for row in rows if row["photos"] == size]
        rules = [rule for rule in draws[0] if rule not in ("photos", "draw")]
        sizes[str(size)] = {
            rule: {
                name: round(float(np.mean([row[rule][name] for row in draws])), 4)
                for name in draws[0][rule]
            }
            for rule in rules
        }
    return {"sizes": sizes}


def plot(report: dict[str, Any], path: Path) -> None:
    """F1 and false alarms of the rules, by size of the collection."""
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.4), constrained_layout=True)
    sizes = list(report["sizes"])
    for rule in next(iter(report["sizes"].values())):
        rows = [report["sizes"][size][rule] for size in sizes]
        axes[0].plot(sizes, [row["F1"] for row in rows], marker="o", label=rule)
        (line,) = axes[1].plot(sizes, [row["false alarms"] for row in rows], marker="o", label=rule)
        names = [row["false alarms, names"] for row in rows]
        axes[1].plot(sizes, names, marker=".", linestyle="--", color=line.get_color())
    ceiling = [report["sizes"][size]["line, photos"]["F1 of the best cut"] for size in sizes]
    axes[0].plot(sizes, ceiling, color="grey", linestyle=":", label="best cut of each ranking")
    axes[1].axhline(TARGET, color="grey", linestyle=":")
    axes[0].set(xlabel="photos", ylabel="F1 over present names", ylim=(0, 1))
    axes[1].set(xlabel="photos", ylabel="absent texts that find something", ylim=(0, 1.02))
    axes[1].set_title("dashed: names whose look-alikes are there", fontsize=8)
    axes[0].legend(fontsize=7)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure the line of confidence.")
    parser.add_argument("model", help="a model, such as nano")
    parser.add_argument("data", type=Path, help="a folder in COCO's format")
    parser.add_argument("--out", type=Path, required=True, help="folder for the results")
    parser.add_argument("--photos", type=int, nargs="+", default=[20, 200, 1000, 100_000])
    parser.add_argument("--absent", type=Path, default=ABSENT, help="texts that nothing shows")
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--regions", type=int, help="most regions of a photo")
    parser.add_argument("--tiles", type=int, default=1, help="windows a side")
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args()


if __name__ == "__main__":
    main()
