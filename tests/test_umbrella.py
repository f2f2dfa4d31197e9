"""The umbrella `alfred <command>`: its own words, and the help of every command."""

import importlib.util
import resource
import subprocess
import sys

import pytest

import alfred
from alfred import umbrella


def alfred_command(*words, **options):
    return subprocess.run(
        [sys.executable, "-m", "alfred", *words], capture_output=True, text=True, check=False, **options
    )


def test_the_umbrella_lists_its_commands_and_its_version():
    listing = alfred_command("--help")
    assert listing.returncode == 0
    assert all(name in listing.stdout for name in umbrella.COMMANDS)
    assert alfred_command("--version").stdout == f"alfred {alfred.__version__}\n"


def test_the_umbrella_without_a_command_shows_its_help_and_fails():
    done = alfred_command()
    assert (done.returncode, done.stdout) == (2, alfred_command("--help").stdout)


def test_a_wrong_command_is_answered_with_the_nearest_one():
    done = alfred_command("prepaer", "--root_dir", "x")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "alfred: unknown command 'prepaer': did you mean prepare?\n"


@pytest.mark.parametrize("command", umbrella.COMMANDS)
def test_the_help_of_every_command_is_quick(command):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = alfred_command(command, "--help")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"usage: alfred {command} ")
    # Three times the aim of 0.1 s, since the machine of a test may be slow; an import of numpy costs that.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.3


@pytest.mark.parametrize("command", umbrella.COMMANDS)
def test_every_option_of_every_command_is_explained(command):
    parser = importlib.import_module(umbrella.COMMANDS[command].module).parser()
    assert parser.description
    assert [action.option_strings for action in parser._actions if not action.help] == []


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_completion_knows_every_command_and_option_or_says_what_to_install(shell):
    done = alfred_command("--print_completion", shell)
    if importlib.util.find_spec("shtab"):
        assert done.returncode == 0, done.stderr
        assert all(word in done.stdout for word in [*umbrella.COMMANDS, "--schedule_file"])
    else:
        assert done.returncode == 2
        assert "pip install 'alfred[completion]'" in done.stderr


def test_the_help_of_a_command_loads_no_heavy_library():
    code = (
        "import sys, alfred.umbrella as u\n"
        "status = u.main(['prepare', '--help'])\n"
        "heavy = {'numpy', 'matplotlib', 'scipy', 'pandas', 'rich', 'tqdm', 'shtab'} & set(sys.modules)\n"
        "sys.exit(f'{status} {heavy}' if status or heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
