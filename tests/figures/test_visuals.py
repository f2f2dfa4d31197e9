"""Looks from a schedule folder are honoured, what is missing falls back, what is wrong is one line."""

import json

import pytest

from alfred.errors import StorageError
from alfred.figures.style import LINES, MARKERS, look, plain, wrapped
from alfred.figures.visuals import Visuals, load_visuals


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "lr"
    folder.mkdir()
    return folder


def write(folder, kind, content):
    text = content if isinstance(content, str) else json.dumps(content)
    (folder / f"{kind}_lr.json").write_text(text)


def test_what_the_file_says_is_used_and_the_rest_falls_back(folder):
    write(
        folder,
        "visuals",
        {
            "titles_dict": {"cartpole": "Cart pole"},
            "axis_titles_dict": {"eval_return": "return ($\\times 10^3$)"},
            "labels_dict": {"ppo": "PPO"},
            "colors_dict": {"ppo": "red"},
            "markers_dict": {"ppo": "x"},
        },
    )
    write(folder, "additional_curves", {"hlines": {"cartpole": [{"y": 1.0, "label": "expert"}]}})
    visuals = load_visuals(folder)
    assert visuals.title("cartpole") == "Cart pole"
    assert visuals.axis_title("eval_return") == "return ($\\times 10^3$)"
    assert visuals.label("ppo") == "PPO"
    assert (visuals.look("ppo", 3).color, visuals.look("ppo", 3).marker) == ("red", "x")
    assert visuals.hlines["cartpole"][0]["y"] == 1.0
    assert (visuals.title("ant"), visuals.label("sac")) == ("ant", "sac")
    assert visuals.axis_title("train_loss") == "train loss"
    assert visuals.look("sac", 3) == look(3)


def test_a_folder_without_files_and_no_folder_say_nothing(folder):
    assert load_visuals(folder) == load_visuals(None) == Visuals()


@pytest.mark.parametrize(
    ("kind", "content", "said"),
    [
        ("visuals", "{", "no valid JSON"),
        ("visuals", {"colors_dict": {"ppo": "rad"}}, "colors_dict: ppo has 'rad'"),
        ("visuals", {"markers_dict": {"ppo": "ooo"}}, "markers_dict: ppo has 'ooo'"),
        ("visuals", {"labels_dict": {"ppo": 3}}, "labels_dict: ppo is 3"),
        ("visuals", {"labels_dict": ["ppo"]}, "labels_dict is a list"),
        ("visuals", {"titles_dict": {"t": "$\\nosuch$"}}, "the formula of t"),
        ("additional_curves", {"hlines": {"t": [{"label": "no height"}]}}, "hlines of t"),
        (
            "additional_curves",
            {"hlines": {"t": [{"y": 1, "colour": "red"}]}},
            "nothing for matplotlib's hlines",
        ),
    ],
)
def test_what_can_not_be_drawn_is_told_in_one_line_with_its_file(folder, kind, content, said):
    write(folder, kind, content)
    with pytest.raises(StorageError) as caught:
        load_visuals(folder)
    assert said in str(caught.value)
    assert f"{kind}_lr.json" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_any_two_of_fortyeight_curves_differ_in_grey_and_eightyfour_differ_at_all():
    assert len({look(at).marker for at in range(12)}) == 12
    assert len({(one.marker, str(one.line)) for one in map(look, range(48))}) == 48
    assert len({(one.color, one.marker, str(one.line)) for one in map(look, range(84))}) == 84
    assert len(MARKERS) == 12
    assert len({str(line) for line in LINES}) == 4


@pytest.mark.parametrize("text", ["a_long_name_with_parts_v2", "words and words", "x" * 50, "one\ntwo", ""])
def test_wrapping_loses_no_letter(text):
    lines = wrapped(text, 0.6).split("\n")
    assert "".join(lines).replace(" ", "") == text.replace(" ", "").replace("\n", "")
    assert max(map(len, lines)) <= 11


def test_plain_text_is_neither_formula_nor_hidden():
    assert plain("$x^$") == r"\$x^\$"
    assert plain("_hidden") == " _hidden"


def test_numbers_are_not_broken_over_lines():
    text = "experiment 1: seed=1, lr=0.001, l2=0.0001, decay=1.5e-05"
    for inches in (1.2, 1.6, 2.0, 2.6):
        words = wrapped(text, inches).replace("\n", " ").split()
        assert {"lr=0.001,", "l2=0.0001,", "decay=1.5e-05"} <= set(words)
