"""Small storage trees for figures, written as the commands write them."""

from __future__ import annotations

import json
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
from pypdf import PdfReader

from alfred.utils.recorder import Recorder


class Tree:
    """A storage directory under construction."""

    def __init__(self, root: Path, name="Ju1_f7b375e_ppo_cartpole_grid_try", alg="ppo", task="cartpole"):
        self.dir = root / name
        self.fields = {"alg_name": alg, "task_name": task}
        self.dir.mkdir(parents=True)
        (self.dir / ("RANDOM_SEARCH" if "random" in name else "GRID_SEARCH")).touch()
        alfred_dir = self.dir / ".alfred"
        alfred_dir.mkdir()
        parts = name.split("_")
        metadata = {"id": parts[0], "git_hashes": parts[1], **self.fields, "desc": "_".join(parts[-2:])}
        (alfred_dir / "storage.json").write_text(json.dumps(metadata))

    def lay(self, experiment, seed, metrics=None, flag="COMPLETED", **parameters):
        """One run; `metrics`: name -> list, recorded together."""
        seed_dir = self.dir / f"experiment{experiment}" / f"seed{seed}"
        (seed_dir / "recorders").mkdir(parents=True)
        unique = {**parameters, **self.fields, "seed": seed}
        (seed_dir / "config_unique.json").write_text(json.dumps(unique))
        (seed_dir / "config.json").write_text(json.dumps({**unique, "max_episodes": 10}))
        if flag:
            (seed_dir / flag).write_text("")
        if metrics is not None:
            recorder = Recorder(metrics)
            for at in range(max(map(len, metrics.values()))):
                recorder.write_to_tape(
                    {name: column[at] for name, column in metrics.items() if at < len(column)}
                )
            recorder.save(seed_dir / "recorders" / "train_recorder.pkl")
        return seed_dir

    def learn(self, experiment, seed, final, n=50, noise=0.1, flag="COMPLETED", **parameters):
        """One run that climbs to about `final`, with the same noise every time."""
        rng = np.random.default_rng([experiment, seed])
        x = np.arange(n)
        y = final * (1 - np.exp(-4 * x / n)) + noise * rng.normal(size=n) + noise * rng.normal()
        metrics = {"episode": x.tolist(), "eval_return": y.tolist()}
        return self.lay(experiment, seed, metrics, flag, **parameters)


@pytest.fixture
def tree(tmp_path):
    """A fresh grid search."""
    return Tree(tmp_path / "storage")


@pytest.fixture
def make_tree(tmp_path):
    """More storage directories: `make_tree(name, alg, task)`."""
    return lambda *fields: Tree(tmp_path / "storage", *fields)


class Printed:
    """A saved figure, read again."""

    def __init__(self, stem: Path):
        self.png = stem.with_name(stem.name + ".png")
        self.pdf = stem.with_name(stem.name + ".pdf")
        self.sources = json.loads(stem.with_name(stem.name + "_sources.json").read_text())

    @property
    def text(self) -> str:
        """What the PDF says, its lines and words joined by single spaces."""
        pages = PdfReader(self.pdf).pages
        assert len(pages) == 1
        return " ".join(pages[0].extract_text().split())

    @property
    def inches(self) -> tuple[float, float]:
        box = PdfReader(self.pdf).pages[0].mediabox
        return float(box.width) / 72, float(box.height) / 72

    def left_ends(self) -> list[float]:
        """How far from the left edge of the page each line of text begins, in points."""
        ends: list[float] = []

        def note(text, own, line, *_):
            if text.strip():
                ends.append(line[4] * own[0] + line[5] * own[2] + own[4])

        PdfReader(self.pdf).pages[0].extract_text(visitor_text=note)
        return ends

    def embedded_fonts(self) -> list[str]:
        """The kinds of font of the page, those embedded as TrueType as "/FontFile2"."""
        fonts = PdfReader(self.pdf).pages[0]["/Resources"]["/Font"]
        kinds = []
        for font in fonts.values():
            descendants = font.get_object().get("/DescendantFonts", [font])
            descriptor = descendants[0].get_object()["/FontDescriptor"]
            kinds += [key for key in descriptor if key.startswith("/FontFile")]
        return kinds

    def ink(self) -> float:
        """The share of dots of the PNG that are not white."""
        return float((matplotlib.image.imread(self.png)[..., :3] < 0.99).any(axis=-1).mean())


@pytest.fixture
def read_figure():
    """A saved figure, by its path without suffix."""
    return Printed
