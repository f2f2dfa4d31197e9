"""How much a run takes on disk, measured on the runs that are there."""

from alfred.storage.run_size import SMALLEST, typical


def test_the_typical_run_is_the_median_of_those_measured(lay):
    seed_dirs = lay(3)  # a folder and three files each
    for number, seed_dir in enumerate(seed_dirs):
        (seed_dir / "recorders").mkdir()
        for name in range(number):
            (seed_dir / "recorders" / str(name)).write_bytes(b"x" * 100_000)
    (seed_dirs[1] / "link").symlink_to(seed_dirs[2])
    size = typical(map(str, seed_dirs))
    assert (size.inodes, size.sampled) == (7, 3)
    assert 100_000 < size.bytes < 200_000


def test_of_many_runs_twenty_at_most_are_measured(lay):
    assert typical(map(str, lay(45))).sampled == 15


def test_without_runs_the_smallest_there_can_be_is_taken(tmp_path):
    assert typical([]) is SMALLEST
    assert typical([str(tmp_path / "gone")]) is SMALLEST
