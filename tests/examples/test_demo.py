"""`make demo` leaves the example as it was committed, however often it is called."""

import runpy
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
DIGITS = REPOSITORY / "examples" / "digits"


def test_each_demo_works_in_a_copy_of_its_own_without_what_earlier_runs_left(tmp_path):
    source = tmp_path / "digits"
    searches = source / "schedules" / "grid_digits" / "list_searches_grid_digits.txt"
    searches.parent.mkdir(parents=True)
    searches.write_text("No1_sgd_digits_grid_mine\n")
    (source / "storage" / "No1_sgd_digits_grid_mine").mkdir(parents=True)
    (source / "main.py").write_text("")
    fresh_copy = runpy.run_path(str(REPOSITORY / "examples" / "demo.py"))["fresh_copy"]

    copies = [fresh_copy(source, tmp_path / "demo") for _ in range(2)]

    assert copies == [tmp_path / "demo" / "1", tmp_path / "demo" / "2"]
    for copy in copies:
        assert sorted(p.name for p in copy.rglob("*")) == ["grid_digits", "main.py", "schedules"]
    assert searches.read_text() == "No1_sgd_digits_grid_mine\n"


def test_the_demo_names_schedules_that_exist():
    for folder, schedule, names in runpy.run_path(str(REPOSITORY / "examples" / "demo.py"))[
        "SEARCHES"
    ].values():
        assert (DIGITS / folder / schedule).is_file()
        assert names == f"list_searches_{Path(folder).name}.txt"
