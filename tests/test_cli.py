"""What every command shares: spelling of options, booleans, confirmation, exit statuses."""

import io
import subprocess
import sys

import pytest

import alfred.defaults
from alfred import cli
from alfred.errors import NothingToDoError, StorageError, UsageError, did_you_mean


def a_parser():
    parser = cli.new_parser("try", "A command to try things with.")
    cli.add_boolean(parser, "--use_pbar", default=False, help="show a bar")
    cli.add_root_dir(parser)
    cli.add_storage_selection(parser, required=False)
    cli.add_log_level(parser)
    cli.add_confirmation(parser)
    return parser


def outcome(argv, door=lambda options: 0, parser=None):
    """The options that a door is handed, and the exit status."""
    seen = []

    def remember(options):
        seen.append(options)
        return door(options)

    return cli.run(remember, parser or a_parser(), argv), seen


@pytest.mark.parametrize("spelling", ["--use_pbar", "--use-pbar"])
def test_options_are_taken_with_underscores_and_with_dashes(spelling):
    assert a_parser().parse_args([spelling, "yes"]).use_pbar is True
    assert a_parser().parse_args([f"{spelling}=yes"]).use_pbar is True


@pytest.mark.parametrize("word", ["yes", "true", "t", "y", "1", "YES", "True", "T"])
def test_words_for_true_in_any_case(word):
    assert a_parser().parse_args(["--use_pbar", word]).use_pbar is True


@pytest.mark.parametrize("word", ["no", "false", "f", "n", "0", "NO", "False", "F"])
def test_words_for_false_in_any_case(word):
    assert a_parser().parse_args(["--ask_for_validation", word]).ask_for_validation is False


def test_a_boolean_without_a_value_is_true_and_one_left_out_has_its_default():
    assert a_parser().parse_args(["--use_pbar"]).use_pbar is True
    assert a_parser().parse_args([]).use_pbar is False


def test_a_dash_in_a_value_stays_as_it_is():
    assert a_parser().parse_args(["--storage-name", "Ju1_a-b_c"]).storage_name == "Ju1_a-b_c"
    assert a_parser().parse_args(["--storage-name=--root-dir"]).storage_name == "--root-dir"


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--use_pbra", "yes"], ["--use_pbra", "did you mean --use_pbar?"]),
        (["--root-dri=x"], ["--root-dri", "did you mean --root_dir?"]),
        (["--root", "x"], ["--root", "--root_dir"]),  # abbreviations are off
        (["--use_pbar", "perhaps"], ["--use_pbar", "perhaps", "yes/true/t/y/1"]),
        (["--log_level", "inof"], ["--log_level", "inof", "info"]),
        (["--from_file", "l.txt", "--storage_name", "x"], ["--from_file", "--storage_name"]),
        (["stray"], ["stray"]),
        (["--root_dir"], ["--root_dir"]),
    ],
)
def test_a_wrong_option_is_answered_in_one_line_that_names_the_right_ones(argv, words, capsys):
    status, seen = outcome(argv)
    out, err = capsys.readouterr()
    assert (status, seen, out) == (2, [], "")
    assert err.count("\n") == 1
    assert all(word in err for word in words), err


def test_the_help_shows_the_root_that_is_the_default_now(monkeypatch, capsys):
    monkeypatch.setattr(alfred.defaults, "DEFAULT_DIRECTORY_TREE_ROOT", "/100%/elsewhere")
    assert outcome(["--help"]) == (0, [])
    out = capsys.readouterr().out
    assert "/100%/elsewhere" in out
    assert "A command to try things with." in out
    assert "(default: false)" in out


def answered(monkeypatch, text):
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))
    return cli.confirm("About to do it.", ask=True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("y\n", True), ("Y", True), ("yes\n", True), ("n\n", False), ("\nwhat?\nn\ny\n", False)],
)
def test_confirm_asks_until_it_is_answered_y_or_n(monkeypatch, capsys, text, expected):
    assert answered(monkeypatch, text) is expected
    assert "About to do it." in capsys.readouterr().out


@pytest.mark.parametrize("text", ["", "perhaps\n"])
def test_the_end_of_the_input_without_an_answer_names_the_option(monkeypatch, text):
    with pytest.raises(UsageError, match="--ask_for_validation false"):
        answered(monkeypatch, text)


def test_confirm_without_asking_shows_the_text_and_reads_nothing(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", None)
    assert cli.confirm("About to do it.", ask=False) is True
    assert capsys.readouterr().out == "About to do it.\n"


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (StorageError("found this in /x\ny: do that"), 2, "alfred: found this in /x\\ny: do that\n"),
        (NothingToDoError("nothing left"), 3, "alfred: nothing left\n"),
        (KeyboardInterrupt(), 130, "alfred: interrupted\n"),
        (
            PermissionError(13, "Permission denied", "/nowhere/x"),
            2,
            "alfred: /nowhere/x: Permission denied: check the path and its permissions\n",
        ),
    ],
)
def test_what_the_user_can_mend_is_one_line_and_an_exit_status(error, status, line, capsys):
    def door(options):
        raise error

    assert outcome([], door)[0] == status
    assert capsys.readouterr().err == line


def test_a_mistake_of_ours_is_not_hidden():
    def door(options):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        outcome([], door)


def test_the_status_of_the_door_is_the_status_of_the_command():
    assert outcome([], lambda options: 1)[0] == 1


def test_a_reader_that_goes_away_is_no_reason_for_a_traceback():
    code = (
        "import sys, alfred.cli as c\n"
        "def door(options):\n"
        "    for _ in range(100_000): print('many lines')\n"
        "    return 0\n"
        "sys.exit(c.run(door, c.new_parser('x', 'y'), []))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(30) == 1


def test_of_many_known_names_a_message_tells_the_first_and_how_many_more():
    names = [f"Ju{number}_sgd" for number in range(10, 80)]
    assert did_you_mean("zz", names) == f"known are {', '.join(names[:20])} and 50 more"
    assert did_you_mean("zz", names[:20]).endswith("Ju29_sgd")
    assert did_you_mean("Ju10_sdg", names[:1]) == "did you mean Ju10_sgd?"
