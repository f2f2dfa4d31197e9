"""Make a virtual environment of the checkout from pins: `python3 tools/setup.py .venv requirements/dev.txt`.

Needs python 3.11 with pip and nothing else: neither root, nor uv, nor Debian's python3-venv. A second call
with nothing changed returns at once; so does one that finds the environment of a file of pins named after
the first, which holds the same and more. With `--pins` it resolves the pins instead, keeping those that
still fit; with `--upgrade` every one anew.
"""

from __future__ import annotations

import ast
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
UV_PINS = ROOT / "requirements" / "uv.txt"
UV_DIR = ROOT / ".tools" / "uv"
OLDEST_PYTHON = (3, 11)

# uv does not read pip's settings: this is how it calls the same things.
UV_NAMES = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "no-index": "UV_NO_INDEX",
    "trusted-host": "UV_INSECURE_HOST",
    "cert": "SSL_CERT_FILE",
    "client-cert": "SSL_CLIENT_CERT",
    "proxy": "ALL_PROXY",
    "timeout": "UV_HTTP_TIMEOUT",
    "default-timeout": "UV_HTTP_TIMEOUT",
}
COMMA_SEPARATED = {"UV_FIND_LINKS"}
# Pins must not depend on what this machine happens to hold besides the index.
NOT_FOR_PINS = {"UV_INDEX", "UV_FIND_LINKS", "UV_NO_INDEX"}

LOWEST_EXTRAS = ("completion", "examples", "mlflow", "pandas", "parquet", "tensorboard", "wandb")
PINS = {
    "uv.txt": ["requirements/uv.in"],
    "dev.txt": ["pyproject.toml", "--all-extras", "--group", "dev"],
    # A fifth of dev.txt, in the same versions: what the examples run with.
    "demo.txt": [
        *("pyproject.toml", "--extra", "examples", "--group", "build"),
        *("--constraint", "requirements/dev.txt"),
    ],
    # Without Ray, which nothing of what is tested there imports.
    "lowest.txt": [
        "pyproject.toml",
        *(word for extra in LOWEST_EXTRAS for word in ("--extra", extra)),
        *("--group", "test", "--resolution", "lowest-direct"),
    ],
}


def main(argv: Sequence[str]) -> int:
    """Do what the module says; the exit status."""
    if sys.version_info < OLDEST_PYTHON:
        print(
            f"alfred needs python 3.11 or newer, and {sys.executable} is {sys.version.split()[0]}: "
            "name another one with `make PYTHON=python3.12 ...`",
            file=sys.stderr,
        )
        return 2
    try:
        if list(argv) in (["--pins"], ["--upgrade"]):
            make_pins(list(argv))
        else:
            venv, *pins = (ROOT / path for path in argv)
            make_environment(venv, *pins)
    except subprocess.CalledProcessError as error:
        print(f"this command failed, see above: {' '.join(error.cmd)}", file=sys.stderr)
        return 1
    return 0


def make_environment(venv: Path, pins: Path, *larger: Path) -> None:
    """The virtual environment `venv` with exactly the packages of `pins` and this checkout, editable.

    One that was made from a file of `larger` is left as it is.
    """
    stamp = venv / ".alfred-setup"
    if stamp.exists() and stamp.read_text() in map(fingerprint, (pins, *larger)):
        return
    uv = bootstrap_uv()
    environment = uv_environment(pip_settings())
    python = str(venv / "bin" / "python")
    print(f"Making {venv.name} from {pins.relative_to(ROOT)} ...", flush=True)
    shutil.rmtree(venv, ignore_errors=True)
    run([uv, "venv", "--quiet", "--python", sys.executable, str(venv)], environment)
    # Compiled at once, so that no command compiles what it imports, time and again where it may not write.
    pinned = ["--require-hashes", "--compile-bytecode", "--requirement", str(pins)]
    run([uv, "pip", "install", "--quiet", "--python", python, *pinned], environment)
    # The build backend is among the pins: nothing is fetched for an isolated build.
    here = ["--no-deps", "--no-build-isolation", "--editable", str(ROOT)]
    run([uv, "pip", "install", "--quiet", "--python", python, *here], environment)
    stamp.write_text(fingerprint(pins))


def fingerprint(pins: Path) -> str:
    """What an environment depends on: its pins, uv's, the project's metadata, the interpreter, the place."""
    files = [pins, UV_PINS, ROOT / "pyproject.toml", ROOT / "alfred" / "__init__.py", Path(__file__)]
    digest = hashlib.sha256(b"".join(file.read_bytes() for file in files))
    digest.update(f"{os.path.realpath(sys.executable)}\n{sys.version}\n{ROOT}".encode())
    return digest.hexdigest()


def bootstrap_uv() -> str:
    """The path of the pinned uv, installed by pip into .tools/ when it is not there yet."""
    stamp, wanted = UV_DIR / ".pins", UV_PINS.read_text()
    if not (stamp.exists() and stamp.read_text() == wanted):
        shutil.rmtree(UV_DIR, ignore_errors=True)
        options = ["--quiet", "--disable-pip-version-check", "--root-user-action=ignore"]
        pins = ["--require-hashes", "--requirement", str(UV_PINS)]
        # A target of its own touches no system package, so an externally managed Python allows it.
        target = ["--no-deps", "--target", str(UV_DIR)]
        run(
            [sys.executable, "-m", "pip", "install", *options, *target, *pins],
            {**os.environ, "PIP_USER": "0", "PIP_REQUIRE_VIRTUALENV": "0"},
        )
        stamp.write_text(wanted)
    return str(UV_DIR / "bin" / "uv")


def pip_settings() -> dict[str, str]:
    """What pip on this machine is told by its files and by the environment, the stronger word last."""
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True
    )
    settings: dict[str, dict[str, str]] = {"global": {}, "install": {}, ":env:": {}}
    for line in listed.stdout.splitlines():
        key, _, value = line.partition("=")
        section, _, name = key.rpartition(".")
        if section in settings:
            settings[section][name] = str(ast.literal_eval(value))
    return settings["global"] | settings["install"] | settings[":env:"]


def uv_environment(settings: dict[str, str]) -> dict[str, str]:
    """The environment in which uv does what pip with these settings would; what the user told uv stays."""
    told = {}
    for name, value in settings.items():
        if name in UV_NAMES:
            uv_name = UV_NAMES[name]
            separator = "," if uv_name in COMMA_SEPARATED else " "
            told[uv_name] = separator.join(existing(value.split()))
    told = {name: value for name, value in told.items() if value}
    always = {
        "UV_INDEX_STRATEGY": "unsafe-best-match",  # pip's rule; the hashes say what may be installed
        "UV_SYSTEM_CERTS": "true",  # Debian's pip trusts the system's certificates too
        "UV_PYTHON_DOWNLOADS": "never",
        "UV_NO_PROGRESS": "1",
    }
    return always | told | os.environ


def existing(values: list[str]) -> Iterator[str]:
    """`values` without the folders that are not there: pip passes over them, uv stops."""
    for value in values:
        folder = value.removeprefix("file://")
        if not folder.startswith("/") or Path(folder).exists():
            yield value


def make_pins(argv: list[str]) -> None:
    """Resolve requirements/*.txt: every platform, python 3.11 and newer, hashes and no addresses."""
    uv = bootstrap_uv()
    environment = uv_environment(pip_settings())
    for name in NOT_FOR_PINS:
        environment.pop(name, None)
    upgrade = argv if argv == ["--upgrade"] else []
    options = ["--quiet", *upgrade, "--universal", "--python-version", "3.11", "--generate-hashes"]
    quiet = ["--no-emit-index-url", "--no-emit-find-links", "--custom-compile-command", "make pins"]
    for name, source in PINS.items():
        output = ["--output-file", f"requirements/{name}"]
        run([uv, "pip", "compile", *options, *quiet, *source, *output], environment)


def run(command: list[str], environment: dict[str, str]) -> None:
    """Run `command` in the checkout; raises subprocess.CalledProcessError where it fails."""
    subprocess.run(command, cwd=ROOT, env=environment, check=True)


def leave_own_environment() -> None:
    """Go on in the interpreter that an environment of the checkout was made with, where this runs in one.

    `make` in a shell that has .venv activated calls its python3, which has no pip and can't replace itself.
    """
    if Path(sys.prefix).resolve().parent == ROOT:
        outside = f"{sys.base_prefix}/bin/python{sys.version_info[0]}.{sys.version_info[1]}"
        os.execv(outside, [outside, *sys.argv])


if __name__ == "__main__":
    leave_own_environment()
    sys.exit(main(sys.argv[1:]))
