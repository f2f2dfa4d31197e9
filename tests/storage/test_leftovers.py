"""What killed processes left under temporary names is found, and nothing that somebody still writes."""

import os
import time

import pytest

from alfred import files
from alfred.storage.leftovers import OLD, find_leftovers
from alfred.storage.swap import replace_folder


@pytest.fixture
def storage_dir(lay):
    return lay(1)[0].parent.parent


def found_in(storage_dir, **options):
    return {str(found.path.relative_to(storage_dir)) for found in find_leftovers(storage_dir, **options)}


def of_another_machine(path):
    """A temporary name as a process of another machine makes it."""
    return path.with_name(f".{path.name}.{os.getpid()}-{'a' * 8}{'b' * 8}.tmp")


def age(path, seconds):
    past = time.time() - seconds
    for below in (*path.rglob("*"), path) if path.is_dir() else [path]:
        os.utime(below, (past, past))


def test_what_a_process_was_writing_when_it_was_killed_is_found_at_once(storage_dir, child):
    places = [storage_dir, storage_dir / "experiment1/seed1/recorders", storage_dir / ".alfred/owners"]
    for place in places:
        place.mkdir(parents=True, exist_ok=True)
        assert child(lambda place=place: files.write_text(place / "file", "x"), kill_before=2) == -9
    found = find_leftovers(storage_dir)
    assert {one.path.parent for one in found} == set(places)
    assert len(found) == 3
    assert all("is gone" in one.why for one in found)
    for one in found:
        files.remove_tree(one.path)
    assert found_in(storage_dir) == set()


def test_a_summary_half_made_is_one_leftover(storage_dir, child):
    def half(folder):
        files.write_text(folder / "scores.json", "{}")
        os.kill(os.getpid(), 9)

    assert child(lambda: replace_folder(storage_dir / "summary", half)) == -9
    (name,) = os.listdir(storage_dir / ".alfred")
    assert found_in(storage_dir) == {f".alfred/{name}"}


def test_what_a_living_process_writes_is_left_alone_however_it_looks(storage_dir):
    made = files.temporary_name(storage_dir / "summary")
    made.mkdir()
    (made / "scores.json").touch()
    assert found_in(storage_dir) == set()
    files.remove_tree(made)
    assert os.listdir(storage_dir) == ["experiment1"]


def test_what_another_machine_wrote_is_left_alone_until_nothing_has_changed_in_it_for_hours(storage_dir):
    made = of_another_machine(storage_dir / "summary")
    made.mkdir()
    (made / "figure.png").touch()
    age(made, OLD + 60)
    assert found_in(storage_dir) == {made.name}
    (made / "scores.json").touch()
    assert found_in(storage_dir) == set()


def test_old_is_told_by_the_clock_of_the_file_server_alone(storage_dir, monkeypatch):
    made = of_another_machine(storage_dir / "file")
    made.touch()
    monkeypatch.setattr(time, "time", lambda: 4e9)  # this machine's clock is decades ahead
    assert found_in(storage_dir) == set()


def test_files_of_the_user_and_what_was_put_aside_are_none(storage_dir):
    seed_dir = storage_dir / "experiment1" / "seed1"
    aside = seed_dir / ".alfred" / "attempts" / "1"
    aside.mkdir(parents=True)
    for path in (seed_dir / ".x.tmp", seed_dir / "model.1-0123abcd.tmp", of_another_machine(aside / "x")):
        path.touch()
        age(path, 10 * OLD)
    assert found_in(storage_dir) == set()


def test_temporaries_of_earlier_versions_which_name_no_machine_are_found_by_their_age(storage_dir):
    made = storage_dir / f".run.json.{os.getpid()}-0123abcd.tmp"
    made.touch()
    assert found_in(storage_dir) == set()
    age(made, OLD + 60)
    assert found_in(storage_dir) == {made.name}
