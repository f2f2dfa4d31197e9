"""Bring the pictures of docs/ up to date from a finished demo: `python tools/docs_figures.py demo/1`."""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image  # matplotlib brings it

FIGURES = Path(__file__).resolve().parent.parent / "docs" / "figures"
COLORS = 256  # a figure has few more, and the pictures stay small
# Where each picture is found in the storage root of the demo, and how many pixels wide it becomes.
PICTURES = {
    "*_mlp_digits_grid_demo/valid_accuracy_over_epoch.png": 1100,
    "*_mlp_digits_grid_demo/summary/summary_learning.png": 700,
    "*_mlp_digits_grid_demo/summary/summary_performance.png": 700,
    "*_sgd_digits_random_demo/benchmark/benchmark_vertical_densities.png": 1100,
    "*_sgd_digits_random_demo/benchmark/benchmark_expected_best.png": 1100,
    "*_sgd_digits_retrainBest*/benchmark/benchmark_learning.png": 1100,
    "*_sgd_digits_retrainBest*/benchmark/benchmark_performance.png": 1100,
    "*_sgd_digits_retrainBest*/benchmark/benchmark_retrain_gap.png": 1100,
    "*_sgd_digits_retrainBest*/benchmark/benchmark_across_tasks.png": 1100,
}


def main(demo: Path) -> int:
    """Make every picture of docs/figures anew from the copy of the example that a demo worked in."""
    for pattern, width in PICTURES.items():
        (found,) = (demo / "storage").glob(pattern)
        with Image.open(found) as opened:
            picture = opened.convert("RGB")
        height = round(picture.height * width / picture.width)
        small = picture.resize((width, height), Image.Resampling.LANCZOS)
        small.quantize(COLORS, dither=Image.Dither.NONE).save(FIGURES / found.name, optimize=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
