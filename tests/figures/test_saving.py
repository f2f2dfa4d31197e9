"""Figures are saved as PDF, PNG and sources: the same every time, and never over somebody else's."""

import json

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from alfred.figures.saving import comparable, free_name, save_comparison, save_figure
from alfred.figures.style import printed

SOURCES = {"figure": "test", "n": {"a": 3}, "sources": ["Ju1"]}


def a_figure(label="the label"):
    with printed():
        figure = Figure(figsize=(2, 1.5), layout="constrained")
        ax = figure.subplots()
        ax.plot([1, 2, 3], [1, 3, 2])
        ax.set_xlabel(label)
    return figure


def test_a_figure_is_three_files_and_the_same_bytes_again(tmp_path, read_figure):
    paths = save_figure(a_figure(), tmp_path / "one", SOURCES)
    assert [path.name for path in paths] == ["one.pdf", "one.png", "one_sources.json"]
    again = save_figure(a_figure(), tmp_path / "two", SOURCES)
    assert [path.read_bytes() for path in paths] == [path.read_bytes() for path in again]
    figure = read_figure(tmp_path / "one")
    assert "the label" in figure.text
    assert figure.ink() > 0.005


def test_fonts_are_embedded_as_truetype(tmp_path, read_figure):
    save_figure(a_figure(), tmp_path / "one", SOURCES)
    kinds = read_figure(tmp_path / "one").embedded_fonts()
    assert kinds
    assert set(kinds) == {"/FontFile2"}


def test_settings_of_the_user_change_no_figure(tmp_path):
    save_figure(a_figure(), tmp_path / "one", SOURCES)
    with matplotlib.rc_context({"font.size": 30, "pdf.fonttype": 3, "axes.facecolor": "red"}):
        save_figure(a_figure(), tmp_path / "two", SOURCES)
    for suffix in (".pdf", ".png"):
        assert (tmp_path / f"one{suffix}").read_bytes() == (tmp_path / f"two{suffix}").read_bytes()


def test_letters_that_no_font_has_and_dollars_alarm_nobody(tmp_path):
    assert save_figure(a_figure("字 \U0001f600"), tmp_path / "odd", SOURCES)


def test_the_sources_are_json_without_nan(tmp_path):
    odd = {"a": float("nan"), "b": np.float64(2.5), "c": np.arange(2), "d": tmp_path, 3: (1, 2)}
    path = save_figure(a_figure(), tmp_path / "one", odd)[-1]
    read = json.loads(path.read_text(), parse_constant=lambda word: 1 / 0)
    assert read["alfred_version"]
    assert comparable(read) == {"a": None, "b": 2.5, "c": [0, 1], "d": str(tmp_path), "3": [1, 2]}


def test_a_figure_of_other_sources_is_kept_and_one_of_the_same_is_replaced(tmp_path):
    folder = tmp_path / "benchmark"
    other = {**SOURCES, "n": {"a": 4}}

    def saved(sources):
        return save_comparison(a_figure(), [folder], "figure", sources)[0].name

    assert saved(SOURCES) == "figure.pdf"
    first = (folder / "figure_sources.json").read_bytes()
    assert saved(other) == "figure_0.pdf"
    assert saved(SOURCES) == "figure.pdf"
    assert saved(other) == "figure_0.pdf"
    assert saved({"third": 1}) == "figure_1.pdf"
    assert (folder / "figure_sources.json").read_bytes() == first
    assert len(list(folder.iterdir())) == 9


def test_a_figure_whose_sources_are_not_known_is_kept(tmp_path):
    (tmp_path / "figure.png").write_bytes(b"of an older tool")
    assert free_name(tmp_path / "figure", SOURCES) == tmp_path / "figure_0"
    assert (tmp_path / "figure.png").read_bytes() == b"of an older tool"


def test_another_version_of_alfred_makes_no_other_figure(tmp_path):
    save_figure(a_figure(), tmp_path / "figure", SOURCES)
    path = tmp_path / "figure_sources.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"alfred_version": "0.0.1"}))
    assert free_name(tmp_path / "figure", SOURCES) == tmp_path / "figure"


def test_a_comparison_goes_to_every_folder_with_its_tables(tmp_path):
    folders = [tmp_path / "a" / "benchmark", tmp_path / "b" / "benchmark"]
    paths = save_comparison(a_figure(), folders, "figure", SOURCES, {".csv": "x,y\n"})
    names = ["figure.pdf", "figure.png", "figure_sources.json", "figure.csv"]
    assert paths == [folder / name for folder in folders for name in names]
    assert all(path.stat().st_size for path in paths)
