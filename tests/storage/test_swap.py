"""A folder that is replaced is at any instant the old one or the new one, whole."""

from __future__ import annotations

import os
import sys

import pytest

from alfred.storage.swap import finish_swap, replace_folder

NAMES = ("a.txt", "b.txt")


def fill(folder, word):
    for name in NAMES:
        (folder / name).write_text(word)


def content(folder):
    return {path.name: path.read_text() for path in folder.iterdir()}


def whole(word):
    return dict.fromkeys(NAMES, word)


@pytest.fixture
def target(tmp_path):
    folder = tmp_path / "storage" / "summary"
    folder.mkdir(parents=True)
    fill(folder, "old")
    return folder


def test_the_new_folder_takes_the_place_of_the_old_one_and_nothing_else_is_left(target):
    replace_folder(target, lambda folder: fill(folder, "new"))
    assert content(target) == whole("new")
    assert list((target.parent / ".alfred").iterdir()) == []


def test_a_folder_that_was_not_there_is_made(tmp_path):
    replace_folder(tmp_path / "summary", lambda folder: fill(folder, "new"))
    assert content(tmp_path / "summary") == whole("new")


def test_what_build_raises_is_passed_on_and_the_old_folder_stays(target):
    def build(folder):
        fill(folder, "half")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        replace_folder(target, build)
    assert content(target) == whole("old")
    assert list((target.parent / ".alfred").iterdir()) == []


def test_killed_at_any_step_the_next_call_finds_the_old_folder_or_the_new_one_whole(target, child):
    """Every change to the disk in turn; the new one is there once it was ready, and only then."""
    found = []
    for step in range(1, 100):
        finish_swap(target)
        replace_folder(target, lambda folder: fill(folder, "old"))
        code = child(lambda: replace_folder(target, lambda folder: fill(folder, "new")), kill_before=step)
        if target.is_dir():
            assert content(target) in (whole("old"), whole("new"))
        else:
            assert content(target.parent / ".alfred" / "summary.ready") == whole("new")
        finish_swap(target)
        found.append(content(target))
        if code == 0:
            break
        assert code == -9
    else:
        pytest.fail("it never came to its end")
    turning = found.index(whole("new"))
    assert 3 <= turning < len(found) - 2, "killed both before and after the folder was ready"
    assert found == [whole("old")] * turning + [whole("new")] * (len(found) - turning)


def test_processes_that_replace_the_same_folder_at_once_leave_one_of_theirs_whole(target, together):
    def work(word):
        def replace():
            for _ in range(15):
                replace_folder(target, lambda folder: fill(folder, word))

        return replace

    together([work("one"), work("two"), work("three")])
    assert content(target) in (whole("one"), whole("two"), whole("three"))
    assert not (target.parent / ".alfred" / "summary.ready").exists()


def test_one_that_came_late_and_was_killed_leaves_the_new_folder_to_the_next_call(target, child):
    """Another process finishes the swap, without heeding a lock, between this one's look and its first
    rename, and it is killed when it finds that out."""
    ready = target.parent / ".alfred" / "summary.ready"
    ready.mkdir(parents=True)
    fill(ready, "new")

    def die_beside_another():
        renames = []

        def act(event, args):
            if event == "os.rename" and os.fspath(args[0]) != str(ready):
                renames.append(args)
                if len(renames) == 1:
                    finish_swap(target)
                    renames[1:] = []
                elif os.fspath(args[1]) == str(target):
                    os.kill(os.getpid(), 9)

        sys.addaudithook(act)
        finish_swap(target)

    assert child(die_beside_another) == -9
    finish_swap(target)
    assert content(target) == whole("new")


def test_one_that_comes_late_to_a_swap_does_not_take_the_new_folder_away(target, child):
    """Another process finishes the swap between this one's look and its first rename."""
    ready = target.parent / ".alfred" / "summary.ready"
    ready.mkdir(parents=True)
    fill(ready, "new")

    def finish_beside_another():
        others = iter(["another process"])

        def once(event, args):
            if event == "os.rename" and next(others, None):
                assert os.fspath(args[0]) == str(target)
                finish_swap(target)

        sys.addaudithook(once)
        finish_swap(target)

    assert child(finish_beside_another) == 0
    assert content(target) == whole("new")
