"""What the copy of a search holds, planned from what the source has on disk."""

import json
import os
import shutil

import pytest

from alfred.errors import StorageError, UsageError
from alfred.search.copies import Request, plan_copy
from alfred.storage.creation import Experiment, Preparation, lay_more, lay_search
from alfred.storage.metadata import metadata_path


@pytest.fixture(autouse=True)
def _no_git(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)
    monkeypatch.chdir(tmp_path)


def experiments(widths=(4, 8), lrs=(0.1, 0.01), **more):
    return tuple(
        Experiment(
            {
                "alg_name": "a_x",
                "task_name": "t_y",
                "desc": "grid_x",
                "lr": lr,
                "width": width,
                "n": 5,
                **more,
            },
            {"lr": lr, "width": width, "alg_name": "a_x", "task_name": "t_y"},
            (10, 2),
        )
        for lr in lrs
        for width in widths
    )


def a_grid(**more):
    variations = {
        "lr": [0.1, 0.01],
        "width": [4, 8],
        "alg_name": ["a_x"],
        "task_name": ["t_y"],
        "seed": [10, 2],
    }
    return Preparation("a_x", "t_y", "grid_x", "grid", experiments(**more), variations)


def a_random_search():
    drawn = experiments(widths=(4,), lrs=(0.3, 0.2))
    return Preparation("a_x", "t_y", "random_x", "random", drawn, picture=b"drawn", sampling_seed=3)


@pytest.fixture
def lay(tmp_path):
    """Lay a search; its storage directory."""
    return lambda plan: tmp_path / "storage" / lay_search(tmp_path / "storage", [plan])[0]


def made_older(storage_dir):
    """As a tree of an older tool: no records of alfred's own."""
    shutil.rmtree(storage_dir / ".alfred")
    return storage_dir


def edit(file, **values):
    file.write_text(json.dumps({**json.loads(file.read_text()), **values}))


def planned(source, *, changes=None, **words):
    return plan_copy(source, Request(changes or {}, **words))


def runs_of(plan):
    return {(n, run.seeds[0]): run for n, runs in plan.copy.experiments.items() for run in runs}


def test_every_experiment_and_seed_is_there_with_its_configuration(lay):
    source = lay(a_grid())
    shutil.rmtree(source / "experiment2")  # numbers have gaps
    shutil.rmtree(source / "experiment3" / "seed10")
    runs = runs_of(planned(source))
    assert set(runs) == {(1, 2), (1, 10), (3, 2), (4, 2), (4, 10)}
    for (number, seed), run in runs.items():
        seed_dir = source / f"experiment{number}" / f"seed{seed}"
        assert {**run.config, "seed": seed} == json.loads((seed_dir / "config.json").read_text())
        assert {**run.unique, "seed": seed} == json.loads((seed_dir / "config_unique.json").read_text())


def test_what_is_changed_stands_in_both_files_of_every_run(lay):
    plan = planned(lay(a_grid()), changes={"n": 7, "lr": None}, new_desc="b")
    assert plan.copy.about.desc == "grid_x_b"
    for run in runs_of(plan).values():
        assert (run.config["n"], run.config["lr"], run.config["desc"]) == (7, None, "grid_x_b")
        assert (run.unique["n"], run.unique["lr"]) == (7, None)
        assert "desc" not in run.unique
    assert plan.was == {"n": "5", "lr": "0.1, 0.01"}


def test_keys_that_main_added_to_some_runs_are_left_out_and_a_run_keeps_its_own_values(lay):
    source = lay(a_grid())
    done = source / "experiment1" / "seed2"
    edit(done / "config.json", state_dim=4, n=6)
    edit(done / "config_unique.json", state_dim=4)
    runs = runs_of(planned(source))
    assert runs[1, 2].config == {**runs[1, 10].config, "n": 6}
    assert runs[1, 2].unique == runs[1, 10].unique


def test_a_unique_value_is_the_one_of_config_json(lay):
    source = lay(a_grid())
    edit(source / "experiment1" / "seed2" / "config.json", lr=0.5)
    assert runs_of(planned(source))[1, 2].unique["lr"] == 0.5


def test_all_preparations_come_along_with_the_lists_of_what_was_changed(lay):
    source = lay(a_grid())
    lay_more(source.parent, source.name, a_grid(widths=(16, 32)))
    plan = planned(source, changes={"width": 64, "task_name": "u"})
    lists = {"lr": [0.1, 0.01], "width": [64], "alg_name": ["a_x"], "task_name": ["u"], "seed": [10, 2]}
    assert plan.copy.variations == {"1-4": lists, "5-8": lists}
    assert [(one["first"], one["last"], one["variations"]) for one in plan.copy.records] == [
        (1, 4, lists),
        (5, 8, lists),
    ]
    assert (plan.copy.about.alg_name, plan.copy.about.task_name) == ("a_x", "u")


def test_it_is_said_what_was_searched_over_and_which_experiments_become_equal(lay):
    source = lay(a_grid())
    assert planned(source, changes={"n": 9}).notes == ()
    searched, equal = planned(source, changes={"lr": 0.5}).notes
    assert searched == "lr was searched over (0.1, 0.01): every experiment of the copy has 0.5"
    assert equal == "some experiments of the copy are equal: 1 = 3, 2 = 4"


def test_pictures_of_draws_come_along_and_only_what_changed_is_drawn_anew(lay):
    source = lay(a_random_search())
    lay_more(source.parent, source.name, a_random_search())
    plan = planned(source, changes={"n": 9})
    assert plan.copy.pictures == {"variations1.png": b"drawn", "variations2.png": b"drawn"}
    assert plan.redraw == {}
    for seed in (2, 10):  # main() may have added keys in the runs that have begun
        for file in ("config.json", "config_unique.json"):
            edit(source / "experiment1" / f"seed{seed}" / file, state_dim=4)
    redraw = planned(source, changes={"lr": 1.0}).redraw
    assert redraw == {
        name: {"lr": [1.0, 1.0], "width": [4, 4]} for name in ("variations1.png", "variations2.png")
    }


def test_pictures_of_unknown_experiments_are_copied_and_that_is_said(lay):
    source = made_older(lay(a_random_search()))
    assert list(planned(source, changes={"lr": 1.0}).redraw) == ["variations1.png"]
    (source / "variations2.png").write_bytes(b"of others")
    plan = planned(source, changes={"lr": 1.0})
    assert plan.redraw == {}
    assert "variations1.png, variations2.png will show what the source has drawn" in plan.notes


def test_the_fields_of_an_older_tree_come_from_its_configurations(lay):
    source = made_older(lay(a_grid()))
    about = planned(source, new_desc="b_c").copy.about
    assert (about.alg_name, about.task_name, about.desc, about.kind) == ("a_x", "t_y", "grid_x_b_c", "grid")
    assert about.origin == source.name
    assert planned(source).copy.variations == json.loads((source / "variations.json").read_text())


def test_a_new_description_may_take_the_place_of_the_old_one(lay):
    plan = planned(lay(a_grid()), new_desc="other", append_new_desc=False)
    assert plan.copy.about.desc == "other"
    assert {run.config["desc"] for run in runs_of(plan).values()} == {"other"}


def test_a_parameter_that_is_not_there_is_refused_unless_it_is_allowed(lay):
    source = lay(a_grid())
    with pytest.raises(
        UsageError, match=r"widht: .* has it; --allow_new_params true adds it as new: did you mean width\?$"
    ):
        planned(source, changes={"widht": 3})
    lay_more(source.parent, source.name, a_grid(dropout=0.1))
    with pytest.raises(UsageError, match=r"dropout: the config\.json of experiment1 "):
        planned(source, changes={"dropout": 0.2})
    plan = planned(source, changes={"dropout": 0.2}, allow_new_params=True)
    assert {run.config["dropout"] for run in runs_of(plan).values()} == {0.2}
    assert plan.was == {"dropout": "0.1"}
    assert planned(source, changes={"depth": 2}, allow_new_params=True).was == {"depth": "absent"}


@pytest.mark.parametrize(
    ("file", "text", "words"),
    [
        ("experiment3/seed2/config.json", '{"lr":\n', "experiment3/seed2/config.json, line 2"),
        ("experiment3/seed2/config.json", None, "experiment3/seed2/config.json does not exist"),
        ("experiment3/seed2/config_unique.json", "[]", "`alfred update` writes it anew"),
        ("variations.json", "{", "variations.json, line 1"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(lay, file, text, words):
    source = lay(a_grid())
    (source / file).unlink()
    if text is not None:
        (source / file).write_text(text)
    with pytest.raises(StorageError) as caught:
        planned(source)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_storage_directory_without_runs_is_nothing_to_copy(lay):
    source = lay(a_grid())
    for folder in source.glob("experiment*"):
        shutil.rmtree(folder)
    with pytest.raises(StorageError, match="holds no runs"):
        planned(source)


def test_metadata_that_was_lost_is_read_from_the_configurations(lay):
    source = lay(a_grid())
    metadata_path(source).write_text("{")
    assert planned(source).copy.about.task_name == "t_y"
