"""Values of hyper-parameters that some runs have in common and no other has."""

import json

import pytest

from alfred.storage.shared_values import only_theirs, values_of


@pytest.fixture
def runs(tmp_path):
    """`runs({...}, {...})`: seed directories with these values in config_unique.json."""

    def lay(*uniques):
        found = []
        for unique in uniques:
            seed_dir = tmp_path / f"seed{len(list(tmp_path.iterdir()))}"
            seed_dir.mkdir()
            (seed_dir / "config_unique.json").write_text(json.dumps(unique))
            found.append(str(seed_dir))
        return found

    return lay


def test_a_value_that_others_have_or_that_not_all_have_is_not_only_theirs(runs):
    crashed = runs({"lr": 10.0, "alg": "a", "seed": 1, "deep": True}, {"lr": 10.0, "alg": "a", "seed": 2})
    completed = values_of(runs({"lr": 0.1, "alg": "a", "seed": 1}, {"alg": "b", "seed": 2, "deep": False}))
    assert only_theirs(crashed, completed) == {"lr": 10.0}


def test_values_are_compared_as_json_holds_them(runs):
    crashed = runs({"on": 1, "sizes": [1, {"a": 2, "b": 3}]}, {"on": 1, "sizes": [1, {"b": 3, "a": 2}]})
    assert only_theirs(crashed, values_of(runs({"on": True, "sizes": [1]}))) == {
        "on": 1,
        "sizes": [1, {"a": 2, "b": 3}],
    }


def test_one_run_or_one_that_cannot_be_read_shares_nothing(runs, tmp_path):
    (one,) = runs({"lr": 1})
    assert only_theirs([one], {"lr": {"2"}}) == {}
    assert only_theirs([one, str(tmp_path / "gone")], {"lr": {"2"}}) == {}
