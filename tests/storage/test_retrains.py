"""Which storage directory is the retrain of which search."""

import contextlib

import pytest

from alfred.storage.creation import Experiment, Preparation, lay_search
from alfred.storage.leases import Leases
from alfred.storage.owners import this_process
from alfred.storage.retrains import relatives, reserved, retrain_desc, retrains_of


def laid(root, desc, *, alg="a", task="t", origin="", kind="random"):
    experiment = Experiment({"alg_name": alg, "task_name": task, "desc": desc}, {}, (1,))
    (name,) = lay_search(root, [Preparation(alg, task, desc, kind, (experiment,), origin=origin)])
    return root / name


def older(root, name, **config):
    """A storage directory without any record of alfred's own."""
    seed_dir = root / name / "experiment1" / "seed1"
    seed_dir.mkdir(parents=True)
    text = ", ".join(f'"{key}": "{value}"' for key, value in config.items())
    (seed_dir / "config.json").write_text(f"{{{text}}}")
    return root / name


@pytest.mark.parametrize(
    ("desc", "expected"),
    [
        ("random_benchmarkv1", "retrainBestJu1_benchmarkv1"),
        ("grid_a_b", "retrainBestJu1_a_b"),
        ("random", "retrainBestJu1"),
        ("gridlock", "retrainBestJu1_gridlock"),
        ("", "retrainBestJu1"),
    ],
)
def test_the_kind_of_search_gives_way_to_the_word_and_the_id(desc, expected):
    assert retrain_desc(desc, "Ju1") == expected


def test_a_retrain_is_found_by_what_it_records(tmp_path):
    search, other = laid(tmp_path, "random_x"), laid(tmp_path, "random_y")
    retrain = laid(tmp_path, "retrainBest_of_odd_name", origin=search.name)
    laid(tmp_path, "random_x_copy", origin=search.name)  # a copy of the search
    copy = laid(tmp_path, "retrainBest_copy", origin=retrain.name)  # a copy of the retrain
    copy_of_copy = laid(tmp_path, "retrainBest_copy_copy", origin=copy.name)
    assert retrains_of(search) == relatives(search) == [retrain]
    assert retrains_of(other) == []
    assert relatives(retrain) == [search]
    assert relatives(copy) == relatives(copy_of_copy) == [search], "its seeds are kept from the search's too"


def test_in_older_trees_it_is_found_by_the_id_in_its_name(tmp_path):
    search = older(tmp_path, "Ju1_ppo_pole_random_v1", alg_name="ppo", task_name="pole", desc="random_v1")
    own = {"alg_name": "ppo", "task_name": "pole", "desc": "retrainBestju1_v1"}
    retrain = older(tmp_path, "Ju7_ppo_pole_retrainBestju1_v1", **own)
    older(tmp_path, "Ju8_ppo_pole_retrainBestJu11_v1", **{**own, "desc": "retrainBestJu11_v1"})
    older(tmp_path, "Ju9_sac_pole_retrainBestju1_v1", **{**own, "alg_name": "sac"})
    assert retrains_of(search) == [retrain]
    assert relatives(retrain) == [search]


def test_one_at_a_time_may_lay_a_retrain(tmp_path):
    search = laid(tmp_path, "random_x")
    with (
        contextlib.closing(Leases(this_process())) as mine,
        contextlib.closing(Leases(this_process())) as theirs,
    ):
        with reserved(search, mine) as first, reserved(search, theirs) as second:
            assert (first, second) == (True, False)
        with reserved(search, theirs) as third:
            assert third is True
    assert list((search / ".alfred" / "owners").iterdir()) == []
