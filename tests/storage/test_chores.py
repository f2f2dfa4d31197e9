"""What one process alone does in a storage directory."""

import dataclasses
import os

import pytest

from alfred.storage import chores, leases, recovery
from alfred.storage.leases import Leases
from alfred.storage.owners import this_process


@pytest.fixture
def storage_dir(lay):
    return lay(1)[0].parent.parent


def baton(storage_dir, chore=chores.PLOTS):
    (name,) = os.listdir(storage_dir / ".alfred" / chore)
    return name


def take_and_leave_lease(storage_dir, chore=chores.SUMMARY):
    """What a process does that is killed while it makes the summary."""
    mine = Leases(this_process())
    mine.hold(storage_dir)
    assert chores.take(storage_dir, chore, mine.owner)


def test_of_eight_processes_exactly_one_gets_each_chore_even_in_an_older_tree(
    storage_dir, together, tmp_path
):
    def work(number):
        mine = Leases(this_process())
        mine.hold(storage_dir)
        taken = [chore for chore in chores.CHORES if chores.take(storage_dir, chore, mine.owner)]
        for chore in taken:
            assert chores.done(storage_dir, chore, mine.owner)
        (tmp_path / f"taken{number}").write_text(" ".join(taken))

    together([lambda number=number: work(number) for number in range(8)])
    taken = [chore for number in range(8) for chore in (tmp_path / f"taken{number}").read_text().split()]
    assert sorted(taken) == sorted(chores.CHORES)
    assert {baton(storage_dir, chore) for chore in chores.CHORES} == {"DONE"}
    assert not [name for name in os.listdir(storage_dir / ".alfred") if name.endswith(".tmp")]


def test_a_chore_of_a_dead_process_is_taken_over_and_of_a_living_one_not(storage_dir, child):
    assert child(lambda: take_and_leave_lease(storage_dir)) == 0
    me, other = this_process(), this_process()
    (leases.owners_dir(storage_dir) / me.name).write_text(me.to_json())
    assert chores.take(storage_dir, chores.SUMMARY, me)
    assert not chores.take(storage_dir, chores.SUMMARY, other)
    assert not chores.done(storage_dir, chores.SUMMARY, other)
    assert chores.give_back(storage_dir, chores.SUMMARY, me)
    assert chores.take(storage_dir, chores.SUMMARY, other)


def test_a_chore_of_a_process_that_may_live_on_another_machine_is_left_to_it(storage_dir):
    other = dataclasses.replace(this_process(), host="elsewhere")
    leases.owners_dir(storage_dir).mkdir(parents=True)
    (leases.owners_dir(storage_dir) / other.name).write_text(other.to_json())
    assert chores.take(storage_dir, chores.SUMMARY, other)
    assert not chores.take(storage_dir, chores.SUMMARY, this_process())


def test_cleaning_keeps_the_proof_that_who_held_a_chore_is_dead(storage_dir, child):
    assert child(lambda: take_and_leave_lease(storage_dir)) == 0
    me = Leases(this_process())
    recovery.put_back_dead([storage_dir], me)
    assert chores.take(storage_dir, chores.SUMMARY, me.owner)
    me.close()


def test_chores_done_are_opened_again_and_those_being_done_are_not(storage_dir):
    me = this_process()
    for chore in chores.CHORES:
        assert chores.take(storage_dir, chore, me)
    assert chores.done(storage_dir, chores.PLOTS, me)
    assert not chores.take(storage_dir, chores.PLOTS, me)
    chores.reopen(storage_dir)
    assert baton(storage_dir, chores.PLOTS) == "WAITING"
    assert baton(storage_dir, chores.SUMMARY) == f"RUNNING.{me.name}"


def test_a_chore_killed_at_any_step_is_done_by_the_next(storage_dir, child):
    def work():
        mine = Leases(this_process())
        mine.hold(storage_dir)
        assert chores.take(storage_dir, chores.PLOTS, mine.owner)
        assert chores.done(storage_dir, chores.PLOTS, mine.owner)

    steps = 0
    while (code := child(work, kill_before=steps + 1)) == -9:
        steps += 1
        me = this_process()
        assert chores.take(storage_dir, chores.PLOTS, me), steps
        assert chores.give_back(storage_dir, chores.PLOTS, me)
    assert code == 0
    assert steps >= 4
