"""Runs without a baton, as older tools leave them, are put back by one cleaner and never too early."""

import os
import time

import pytest

from alfred.storage.adoption import adopt_all
from alfred.storage.attempts import read_attempts
from alfred.storage.flags import COMPLETED_BATON, WAITING_BATON, look

ME = "host-1-0123abcd"


def make_bare(seed_dir, age=3600, output="model.pt"):
    (seed_dir / "UNHATCHED").unlink()
    (seed_dir / output).parent.mkdir(exist_ok=True)
    (seed_dir / output).write_text("of an older tool")
    past = time.time() - 3600
    for path in (*seed_dir.rglob("*"), seed_dir):
        os.utime(path, (past, past))
    os.utime(seed_dir / output, (time.time() - age,) * 2)


def test_runs_of_older_tools_without_a_baton_are_put_back_with_their_outputs_aside(lay, names):
    bare, waiting = lay(2)
    make_bare(bare)
    slept = []
    assert adopt_all([bare, waiting], ME, sleep=slept.append) == [bare]
    assert slept == [0.0, 1.0, 1.0]
    assert names(bare) == names(waiting) == ["UNHATCHED", "config.json", "config_unique.json"]
    assert (bare / ".alfred/attempts/0/model.pt").read_text() == "of an older tool"
    assert read_attempts(bare).deaths == 0


@pytest.mark.parametrize("output", ["logger.out", "recorders/train_recorder.pkl"])
def test_a_run_without_a_baton_that_wrote_within_the_last_minute_is_left_alone(lay, output):
    (seed_dir,) = lay(1)
    make_bare(seed_dir, age=20, output=output)
    assert adopt_all([seed_dir], ME, sleep=lambda seconds: None) == []
    assert look(seed_dir) is None
    assert (seed_dir / output).exists()


def test_a_baton_that_appears_while_an_adopter_looks_ends_the_adoption(lay):
    (seed_dir,) = lay(1)
    make_bare(seed_dir)

    def sleep(seconds):
        if seconds:
            (seed_dir / "COMPLETED").touch()

    assert adopt_all([seed_dir], ME, sleep=sleep) == []
    assert look(seed_dir) == COMPLETED_BATON


def test_one_adopter_does_not_take_what_another_took(lay, together, tmp_path):
    seed_dirs = lay(20)
    for seed_dir in seed_dirs:
        make_bare(seed_dir)

    def work(number):
        adopted = adopt_all(seed_dirs, f"host-{number}-0123abcd", sleep=lambda seconds: None)
        (tmp_path / f"adopted{number}").write_text("x" * len(adopted))

    together([lambda number=number: work(number) for number in range(2)])
    assert sum((tmp_path / f"adopted{number}").stat().st_size for number in range(2)) == 20
    assert all((seed_dir / ".alfred/attempts/0/model.pt").exists() for seed_dir in seed_dirs)
    assert {look(seed_dir) for seed_dir in seed_dirs} == {WAITING_BATON}
