"""Every kind of damage that a storage tree can have, made with real files and killed processes."""

import json
import os
import shutil
import sys
import time

import pytest

from alfred import files
from alfred.storage import batons, chores, leases, markers, tree_checks, tree_repair
from alfred.storage.creation import Experiment, Preparation, lay_search
from alfred.storage.diagnosis import Level
from alfred.storage.leases import Leases
from alfred.storage.owners import this_process
from alfred.storage.tree_checks import Tree, examine, missing_in_lists, tree_at
from alfred.storage.tree_damage import EXPLAINED, Kind, findings
from alfred.storage.tree_repair import mend, mendable
from alfred.utils.recorder import Recorder


def preparation(task="t"):
    experiments = tuple(
        Experiment({"alg_name": "a", "task_name": task, "lr": lr, "width": 8}, {"lr": lr}, (1, 2))
        for lr in (0.1, 0.2)
    )
    return Preparation("a", task, "grid_x", "grid", experiments)


@pytest.fixture
def root(tmp_path):
    return tmp_path / "storage"


@pytest.fixture
def storage_dir(root):
    """A search of two experiments with two seeds each, as alfred lays it."""
    (name,) = lay_search(root, [preparation()])
    return root / name


def complete(seed_dir):
    (seed_dir / "UNHATCHED").rename(seed_dir / "COMPLETED")
    (seed_dir / "recorders").mkdir()
    Recorder(["episode"]).save(seed_dir / "recorders/train_recorder.pkl")


def looked_at(folder):
    return examine(tree_at(folder), this_process())


def kinds(folder):
    return [damage.kind for damage in looked_at(folder).damages]


def change(path, **values):
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def snapshot(folder):
    """Every name below with its content and time stamp; `.alfred` folders' own stamps may move."""
    return {
        str(path): (path.read_bytes(), path.stat().st_mtime_ns) if path.is_file() else None
        for path in folder.rglob("*")
    }


class Damager:
    """Does each kind of damage to a storage directory, and says which path is damaged."""

    def __init__(self, storage_dir, child):
        self.dir = storage_dir
        self.root = storage_dir.parent
        self.seed_dir = storage_dir / "experiment1/seed1"
        self.child = child

    def dying(self, work):
        """Let a process do `work(leases)` under a lease here and be killed; its owner's name."""

        def live():
            mine = Leases(this_process())
            mine.hold(self.dir)
            work(mine)
            os.kill(os.getpid(), 9)

        before = set(self.leases())
        assert self.child(live) == -9
        (name,) = set(self.leases()) - before
        return name

    def leases(self):
        return os.listdir(leases.owners_dir(self.dir))

    def claim(self, mine):
        assert batons.claim(str(self.seed_dir), mine.owner.name)

    def conflict(self):
        (self.seed_dir / "COMPLETED").touch()
        return self.seed_dir

    def unreadable(self):
        shutil.rmtree(self.dir / ".alfred/plots")
        (self.dir / ".alfred/plots").symlink_to("plots")
        return self.dir / ".alfred/plots"

    def no_config(self):
        (self.seed_dir / "config.json").write_text('{"alg_name": ')
        return self.seed_dir

    def bad_record(self):
        (self.dir / ".alfred/storage.json").write_text('{"id": "Ab1", ')
        return self.dir / ".alfred/storage.json"

    def unequal(self):
        change(self.seed_dir / "config.json", lr=0.3)
        return self.dir / "experiment1"

    def rewritten(self):
        change(self.seed_dir / "config.json", width=16)
        return self.dir / "experiment1"

    def empty(self):
        for seed in (1, 2):
            shutil.rmtree(self.dir / f"experiment1/seed{seed}")
        return self.dir / "experiment1"

    def bare(self):
        (self.seed_dir / "UNHATCHED").unlink()
        return self.seed_dir

    def stopped(self):
        self.dying(self.claim)
        return self.seed_dir

    def no_lease(self):
        (leases.owners_dir(self.dir) / self.dying(self.claim)).unlink()
        return self.seed_dir

    def bad_recorder(self):
        complete(self.seed_dir)
        (self.seed_dir / "recorders/train_recorder.pkl").write_bytes(b"half a pick")
        return self.seed_dir / "recorders/train_recorder.pkl"

    def no_recorder(self):
        complete(self.seed_dir)
        shutil.rmtree(self.seed_dir / "recorders")
        return self.seed_dir

    def laying(self):
        """Killed when the journal stands and nothing is in its place yet."""

        def kill_before_the_first_move(event, args):
            if event == "os.rename" and "/laying." in str(args[0]) and "/laying." not in str(args[1]):
                os.kill(os.getpid(), 9)

        def lay():
            sys.addaudithook(kill_before_the_first_move)
            lay_search(self.root, [preparation("u")])

        assert self.child(lay) == -9
        (folder,) = (self.root / ".alfred").glob("laying.*")
        assert (folder / "journal.json").exists()
        return folder

    def laying_doubt(self):
        folder = self.root / ".alfred/laying.elsewhere-1-00000000"
        folder.mkdir()
        return folder

    def swap(self):
        (self.dir / ".alfred/summary.ready").mkdir()
        (self.dir / ".alfred/summary.ready/scores.json").write_text("{}")
        return self.dir / ".alfred/summary.ready"

    def chore(self):
        owner = self.dying(lambda mine: chores.take(self.dir, chores.PLOTS, mine.owner))
        return self.dir / f".alfred/plots/RUNNING.{owner}"

    def marker(self):
        marker = self.dir / "SUMMARY_ONGOING"
        marker.touch()
        os.utime(marker, (time.time() - 7200,) * 2)
        return marker

    def dead_lease(self):
        return leases.owners_dir(self.dir) / self.dying(lambda mine: None)

    def temporary(self):
        def write():
            files.create(files.temporary_name(self.seed_dir / "recorders.pkl"))
            os.kill(os.getpid(), 9)

        assert self.child(write) == -9
        (path,) = self.seed_dir.glob(".recorders*.tmp")
        return path


IN_TREES = [kind for kind in Kind if kind is not Kind.LISTED]
MENDED = [kind for kind in Kind if EXPLAINED[kind].mended]


@pytest.fixture
def damage(storage_dir, child):
    """`damage(kind)`: do it; the path that is damaged."""
    return lambda kind: getattr(Damager(storage_dir, child), kind.name.lower())()


def test_a_sound_tree_has_nothing_wrong_before_during_and_after_its_runs(root, storage_dir):
    assert kinds(root) == []
    with_lease = Leases(this_process())
    with_lease.hold(storage_dir)
    assert batons.claim(str(storage_dir / "experiment1/seed1"), with_lease.owner.name)
    assert chores.take(storage_dir, chores.PLOTS, with_lease.owner)
    (storage_dir / "PLOT_ARRAYS_ONGOING").touch()
    complete(storage_dir / "experiment2/seed2")
    found = looked_at(root)
    assert (found.damages, found.runs, found.recorders) == ([], 4, 1)
    assert found.completed == [str(storage_dir / "experiment2/seed2")]
    assert {one.level for one in findings(found.damages, found.asides())} == {Level.OK}
    with_lease.close()


@pytest.mark.parametrize("kind", IN_TREES, ids=lambda kind: kind.name)
def test_each_kind_of_damage_is_found_where_it_is_and_told_as_what_it_is(kind, root, damage):
    path = damage(kind)
    (found,) = looked_at(root).damages
    assert (found.kind, found.path) == (kind, path)
    told = {one.check: one for one in findings([found])}
    assert told.pop(kind.value).level is EXPLAINED[kind].level is not Level.OK
    assert {one.level for one in told.values()} == {Level.OK}


@pytest.mark.parametrize("kind", MENDED, ids=lambda kind: kind.name)
def test_what_can_be_mended_is_mended_and_then_nothing_is_wrong(kind, root, storage_dir, damage):
    damage(kind)
    runs_before = snapshot(storage_dir / "experiment2")
    told = []
    me = Leases(this_process())
    mend(looked_at(root).damages, me, lambda damage, error: told.append((damage.kind, error)))
    me.close()
    assert told == [(kind, "")]
    assert kinds(root) == []
    assert snapshot(storage_dir / "experiment2") == runs_before


@pytest.mark.parametrize("kind", sorted(set(IN_TREES) - set(MENDED), key=list(Kind).index), ids=str)
def test_what_is_for_people_to_judge_is_left_exactly_as_it_is(kind, root, damage):
    damage(kind)
    before = snapshot(root)
    found = looked_at(root).damages
    assert mendable(found) == []
    mend(found, Leases(this_process()), lambda damage, error: pytest.fail("nothing is to be mended"))
    assert snapshot(root) == before


def test_all_damage_at_once_is_mended_as_far_as_it_can_be(root, damage):
    done = [Kind.SWAP, Kind.CHORE, Kind.MARKER, Kind.DEAD_LEASE, Kind.TEMPORARY, Kind.CONFLICT]
    for kind in done:
        damage(kind)
    assert sorted(kinds(root), key=list(Kind).index) == sorted(done, key=list(Kind).index)
    mend(looked_at(root).damages, Leases(this_process()), lambda damage, error: None)
    assert kinds(root) == [Kind.CONFLICT]


def test_whatever_a_preparation_killed_at_any_step_leaves_can_be_mended(root, child):
    step = 1
    while child(lambda: lay_search(root, [preparation()]), kill_before=step) == -9:
        if root.exists():
            mend(looked_at(root).damages, Leases(this_process()), lambda damage, error: None)
            assert kinds(root) == [], step
        step += 6
    assert step > 30


def test_a_search_that_was_cut_short_is_in_its_place_after_the_repair(root, damage):
    damage(Kind.LAYING)
    mend(looked_at(root).damages, Leases(this_process()), lambda damage, error: None)
    (laid,) = root.glob("*_a_u_grid_x")
    assert len(list(laid.glob("experiment*/seed*/UNHATCHED"))) == 4


def test_a_damaged_journal_is_told_and_left(root, damage):
    journal = damage(Kind.LAYING) / "journal.json"
    journal.write_text('{"moves": 3, "list_file": null}')
    told = []
    mend(looked_at(root).damages, Leases(this_process()), lambda damage, error: told.append(error))
    assert "journal.json is damaged" in told[0]


def test_flags_that_are_no_plain_files_are_conflicts(root, storage_dir):
    first, second = storage_dir / "experiment1/seed1", storage_dir / "experiment1/seed2"
    (first / "UNHATCHED").unlink()
    (first / "UNHATCHED").mkdir()
    (second / "UNHATCHED").unlink()
    (second / "UNHATCHED").symlink_to("config.json")
    assert [(one.kind, one.detail) for one in looked_at(root).damages] == [
        (Kind.CONFLICT, f"UNHATCHED is no plain file in {seed_dir}: remove it")
        for seed_dir in (first, second)
    ]


def test_keys_that_main_adds_make_no_experiment_unequal(root, storage_dir):
    change(storage_dir / "experiment1/seed1/config.json", n_parameters=12)
    assert kinds(root) == []


def test_a_living_owner_elsewhere_is_counted_and_not_blamed(root, storage_dir, child):
    name = Damager(storage_dir, child).dying(Damager(storage_dir, child).claim)
    lease = leases.owners_dir(storage_dir) / name
    change(lease, machine="another")
    found = looked_at(root)
    assert (found.damages, found.runs_in_doubt) == ([], 1)
    assert found.asides()[Kind.STOPPED].startswith("1 held elsewhere")
    idle = leases.owners_dir(storage_dir) / "elsewhere-1-00000000"
    idle.write_text("{}")
    assert looked_at(root).leases_in_doubt == 1


def test_a_fresh_marker_may_be_of_a_command_that_holds_no_baton(root, storage_dir):
    (storage_dir / "SUMMARY_ONGOING").touch()
    assert kinds(root) == []
    ahead = examine(tree_at(root), this_process(), server_ahead=7200.0)
    assert [damage.kind for damage in ahead.damages] == [Kind.MARKER]


def test_a_marker_goes_with_the_lease_of_its_dead_maker_and_stays_with_a_living_one(root, storage_dir, child):
    def make():
        with markers.ongoing(storage_dir / "SUMMARY_ONGOING"):
            os.kill(os.getpid(), 9)

    assert child(make) == -9
    assert kinds(root) == [Kind.MARKER]
    mend(looked_at(root).damages, Leases(this_process()), lambda damage, error: None)
    assert kinds(root) == []
    assert os.listdir(leases.owners_dir(storage_dir)) == []
    with markers.ongoing(storage_dir / "PLOT_ARRAYS_ONGOING"):
        os.utime(storage_dir / "PLOT_ARRAYS_ONGOING", (time.time() - 7200,) * 2)
        assert kinds(root) == []


def test_a_lease_stays_as_long_as_a_run_of_its_owner_is_not_put_back(root, storage_dir, child):
    damager = Damager(storage_dir, child)
    owner = damager.dying(lambda mine: (damager.claim(mine), chores.take(storage_dir, "plots", mine.owner)))
    mend(looked_at(root).damages, Leases(this_process()), lambda damage, error: None)
    assert kinds(root) == [Kind.STOPPED]
    assert damager.leases() == [owner]


def test_the_only_summary_there_is_comes_back_from_its_temporary_name(root, storage_dir, child):
    def die_in_the_middle_of_a_swap():
        old = files.temporary_name(storage_dir / ".alfred/summary.ready")
        old.mkdir()
        (old / "scores.json").write_text("the only ones")
        os.kill(os.getpid(), 9)

    assert child(die_in_the_middle_of_a_swap) == -9
    mend(looked_at(root).damages, Leases(this_process()), lambda damage, error: None)
    assert (storage_dir / "summary/scores.json").read_text() == "the only ones"
    assert kinds(root) == []


def test_what_could_not_be_removed_whole_is_not_called_mended(root, storage_dir, child):
    def die_while_somebody_on_nfs_has_a_file_open():
        folder = files.temporary_name(storage_dir / "alfred-doctor")
        folder.mkdir()
        (folder / ".nfs0000000000c0ffee").touch()
        os.kill(os.getpid(), 9)

    assert child(die_while_somebody_on_nfs_has_a_file_open) == -9
    told = []
    mend(looked_at(root).damages, Leases(this_process()), lambda damage, error: told.append(error))
    assert told == ["somebody still writes to it or has a file in it open: call this again later"]


def test_a_storage_directory_alone_is_looked_at_without_its_root(root, storage_dir, damage):
    damage(Kind.LAYING_DOUBT)
    damage(Kind.BARE)
    assert tree_at(storage_dir) == Tree(root, (storage_dir,), whole=False)
    assert kinds(storage_dir) == [Kind.BARE]


def test_ids_without_a_directory_are_counted_and_folders_without_runs_are_no_tree(root, storage_dir):
    (root / ".alfred/ids/zz9").mkdir()
    assert looked_at(root).gaps == 1
    (root / "judge").mkdir()
    assert tree_at(root / "judge") is None


def test_what_list_files_name_and_is_missing_is_told(tmp_path, root, storage_dir):
    (tmp_path / "schedules/x").mkdir(parents=True)
    listed = tmp_path / "schedules/x/list_searches_x.txt"
    listed.write_text(f"{storage_dir.name}\nJu7_gone_away # long ago\n")
    (tmp_path / "schedules/x/list_odd.txt").write_text("../elsewhere\n")
    (found,) = missing_in_lists(tmp_path, root)
    assert (found.kind, found.path, found.detail) == (Kind.LISTED, listed, "Ju7_gone_away")


def test_of_many_recorders_a_sample_is_read(root, storage_dir, monkeypatch):
    for seed_dir in storage_dir.glob("experiment*/seed*"):
        complete(seed_dir)
    monkeypatch.setattr(tree_checks, "_RECORDERS", 2)
    monkeypatch.setattr(tree_checks, "_FEWEST_RECORDERS", 1)
    found = looked_at(root)
    assert (found.recorders, len(found.completed)) == (2, 4)
    assert found.asides()[Kind.BAD_RECORDER] == "of 2 read, 4 completed"


def test_the_order_of_mending_knows_every_kind_that_is_mended():
    assert set(tree_repair._ORDER) == set(MENDED)
