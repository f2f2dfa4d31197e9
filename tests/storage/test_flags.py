"""States, batons, and looking at a directory while it changes."""

import json
import os

import pytest

from alfred.storage import batons
from alfred.storage.flags import TRANSITIONS, Baton, ConflictError, State, look, parse_baton

ME, OTHER = "host-1-0123abcd", "host-2-0123abcd"


@pytest.mark.parametrize(
    ("name", "baton"),
    [
        ("UNHATCHED", Baton(State.WAITING)),
        ("COMPLETED", Baton(State.COMPLETED)),
        ("CRASH.txt", Baton(State.CRASHED)),
        (f"RUNNING.{ME}", Baton(State.RUNNING, ME)),
        (f"RESETTING.{ME}", Baton(State.RESETTING, ME)),
    ],
)
def test_a_baton_and_its_name_say_the_same(name, baton):
    assert parse_baton(name) == baton
    assert baton.name == name


@pytest.mark.parametrize(
    "name", ["unhatched", "RUNNING", "CRASH.txt~", ".UNHATCHED", "COMPLETED.1", "", "logger.out"]
)
def test_other_names_are_no_batons(name):
    assert parse_baton(name) is None


def transitions_of(seed_dir, work, out):
    """Do `work` and note every rename from one baton to another."""
    import sys

    seen = []

    def hook(event, args):
        if event == "os.rename":
            source, target = (parse_baton(os.path.basename(str(name))) for name in args[:2])
            if source and target:
                seen.append((source.state.value, target.state.value))

    sys.addaudithook(hook)
    work()
    out.write_text(json.dumps(seen))


def test_the_table_of_transitions_is_what_the_batons_do(lay, child, tmp_path):
    deeds = {
        "claim": ("UNHATCHED", lambda path: batons.claim(str(path), ME)),
        "finish": (f"RUNNING.{ME}", lambda path: batons.finish(path, ME)),
        "crash": (f"RUNNING.{ME}", lambda path: batons.crash(path, ME, "boom")),
        "release": (f"RUNNING.{ME}", lambda path: batons.release(path, ME, "stopped")),
        "reap": (f"RUNNING.{OTHER}", lambda path: batons.reap(path, batons.running(OTHER), ME)),
        "resume": (f"RESETTING.{OTHER}", lambda path: batons.reap(path, batons.resetting(OTHER), ME)),
        "third death": (f"RUNNING.{OTHER}", lambda path: batons.reap(path, batons.running(OTHER), ME)),
        "clean": ("CRASH.txt", lambda path: batons.clean_crash(path, ME)),
    }
    done = set()
    for (deed, (name, work)), seed_dir in zip(deeds.items(), lay(len(deeds)), strict=True):
        os.rename(seed_dir / "UNHATCHED", seed_dir / name)
        if deed == "third death":
            (seed_dir / ".alfred").mkdir()
            (seed_dir / ".alfred" / "attempts.json").write_text('{"attempt": 3, "deaths": 2}')
        assert child(lambda at=seed_dir, do=work: transitions_of(at, lambda: do(at), tmp_path / "seen")) == 0
        done.update((State(a), State(b)) for a, b in json.loads((tmp_path / "seen").read_text()))
    assert done == {(source, target) for source, targets in TRANSITIONS.items() for target in targets}


def test_a_directory_without_a_baton_has_none(lay):
    (seed_dir,) = lay(1)
    (seed_dir / "UNHATCHED").unlink()
    assert look(seed_dir) is None


def test_two_batons_side_by_side_are_named_with_their_place(lay):
    (seed_dir,) = lay(1)
    (seed_dir / "COMPLETED").touch()
    with pytest.raises(ConflictError, match=f"COMPLETED and UNHATCHED stand side by side in {seed_dir}"):
        look(seed_dir)


def test_a_baton_is_seen_while_it_is_renamed_again_and_again(lay, tmp_path):
    (seed_dir,) = lay(1)
    for number in range(3000):
        (seed_dir / f"file{number}").touch()
    waiting, running = str(seed_dir / "UNHATCHED"), str(seed_dir / f"RUNNING.{ME}")
    pid = os.fork()
    if pid == 0:
        while os.getppid() != 1:
            os.rename(waiting, running)
            os.rename(running, waiting)
    try:
        seen = {look(seed_dir).state for _ in range(300)}
    finally:
        os.kill(pid, 9)
        os.waitpid(pid, 0)
    assert seen <= {State.WAITING, State.RUNNING}
