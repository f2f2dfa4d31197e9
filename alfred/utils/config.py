"""Hyper-parameters as namespace, dictionary, JSON file and text."""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import math
import re
import sys
from argparse import Namespace
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from alfred import files
from alfred.errors import StorageError, did_you_mean

__all__ = [
    "config_to_str",
    "convert_to_type_from_str",
    "load_config_from_json",
    "load_dict_from_json",
    "parse_bool",
    "parse_log_level",
    "save_config_to_json",
    "save_dict_to_json",
    "validate_config_unique",
]

_TRUE = ("yes", "true", "t", "y", "1")
_FALSE = ("no", "false", "f", "n", "0")
_LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
}


class InvalidValue(argparse.ArgumentTypeError, ValueError):
    """A text that stands for no value of the type asked for; argparse shows its message."""


def parse_bool(bool_arg: str | bool) -> bool:
    """True for yes, true, t, y, 1, False for no, false, f, n, 0, in any case; else a ValueError."""
    text = str(bool_arg).strip().lower()
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise InvalidValue(f"yes/true/t/y/1 or no/false/f/n/0 expected, not {bool_arg!r}")


def parse_log_level(level_arg: str | int) -> int:
    """The level of `logging` with this name, in any case, or this number; else a ValueError."""
    text = str(level_arg).strip().lower()
    if text in _LEVELS:
        return _LEVELS[text]
    if re.fullmatch(r"[0-9]+", text):
        return int(text)
    raise InvalidValue(f"no log level is called {level_arg!r}: {did_you_mean(text, _LEVELS)}")


def convert_to_type_from_str(string: str) -> int | float | bool | str | None:
    """What a text stands for: None, a whole number, a number, a truth value, else the text itself.

    "1" is a number and "t" is True.
    """
    text = string.strip()
    if text.lower() == "none":
        return None
    if re.fullmatch(r"[+-]?[0-9]+", text):
        return int(text)
    with contextlib.suppress(ValueError):
        return float(text if "_" not in text else "")
    with contextlib.suppress(ValueError):
        return parse_bool(text)
    return string


def load_dict_from_json(filename: str | Path) -> dict[str, Any]:
    """The object in a JSON file; StorageError names file, line and what is wrong with it.

    A key that stands twice in one object is an error, since one of its values would be lost.
    NaN and Infinity, as Python writes them, are read.
    """
    path = Path(filename)
    try:
        read = json.loads(files.read_whole(path).decode("utf-8-sig"), object_pairs_hook=_without_doubles)
    except FileNotFoundError as error:
        raise StorageError(f"{path} does not exist: check its name") from error
    except OSError as error:
        raise StorageError(f"{path} can't be read: {error.strerror}: put a readable file there") from error
    except json.JSONDecodeError as error:
        raise StorageError(
            f"{path}, line {error.lineno}, column {error.colno}: no valid JSON: {error.msg}: mend it there"
        ) from error
    except RecursionError as error:
        raise StorageError(f"{path}: no valid JSON: it is nested too deep: mend it there") from error
    except ValueError as error:
        raise StorageError(f"{path}: no valid JSON: {str(error).partition(';')[0]}: mend it there") from error
    if not isinstance(read, dict):
        raise StorageError(f"{path}, line 1: a JSON object {{...}} expected, not a {type(read).__name__}")
    return read


def save_dict_to_json(dictionary: Mapping[str, Any], filename: str | Path) -> None:
    """Write a dictionary as JSON, whole or not at all, in its own order, one key a line.

    Numpy scalars and arrays become numbers and lists, tuples and sets lists, paths text. StorageError
    names the key of a value that JSON can't hold, or says why the file can't be written.
    """
    path = Path(filename)
    plain = _plain(dictionary, "", path)
    try:
        files.write_text(path, _json_text(plain))
    except OSError as error:
        raise StorageError(f"{path} can't be written: {error.strerror}") from error


def save_config_to_json(config: Namespace, filename: str | Path) -> None:
    """Write a namespace as JSON; see `save_dict_to_json`."""
    save_dict_to_json(vars(config), filename)


def load_config_from_json(filename: str | Path) -> Namespace:
    """The namespace whose attributes stand in a JSON file; see `load_dict_from_json`."""
    return Namespace(**load_dict_from_json(filename))


def config_to_str(config: Namespace | Mapping[str, Any]) -> str:
    """One line `name: value` for each hyper-parameter, by name, the values below one another."""
    values = config if isinstance(config, Mapping) else vars(config)
    width = max((len(str(name)) for name in values), default=0) + 2
    lines = [f"{name + ':':{width}}{values[name]}" for name in sorted(map(str, values))]
    return "\n".join(["Configuration:", *("  " + line for line in lines)])


def validate_config_unique(
    config: Namespace | Mapping[str, Any], config_unique: Namespace | Mapping[str, Any]
) -> None:
    """StorageError, naming them all, if names of `config_unique` are missing or different in `config`."""
    values = config if isinstance(config, Mapping) else vars(config)
    unique = config_unique if isinstance(config_unique, Mapping) else vars(config_unique)
    wrong = [
        f"{name} is {values[name]!r} in config.json, {value!r} in config_unique.json"
        if name in values
        else f"{name} is not in config.json"
        for name, value in unique.items()
        if name not in values or not same_value(values[name], value)
    ]
    if wrong:
        raise StorageError("; ".join(wrong) + ": run alfred.update_config_unique after an edit by hand")


def same_value(one: Any, other: Any) -> bool:
    """Equal as JSON values: true is not 1 there, and NaN is the same as NaN."""
    if isinstance(one, float) and isinstance(other, float) and math.isnan(one) and math.isnan(other):
        return True
    if isinstance(one, bool) != isinstance(other, bool):
        return False
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(same_value, one, other))
    return bool(one == other)


def _without_doubles(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    read: dict[str, Any] = {}
    for key, value in pairs:
        if key in read:
            raise ValueError(f"the key {key!r} stands twice")
        read[key] = value
    return read


def _json_text(plain: dict[str, Any]) -> str:
    """Letters as themselves; escaped only if one of them is half a character, as of an odd file name."""
    text = json.dumps(plain, indent=4, ensure_ascii=False) + "\n"
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return json.dumps(plain, indent=4) + "\n"
    return text


def _plain(value: Any, key: str, path: Path) -> Any:
    """`value` made of what JSON holds; `key` says where it stands."""
    if value is None or isinstance(value, bool):
        return value
    for kind in (str, int, float):
        if isinstance(value, kind):
            return kind(value)
    if isinstance(value, Mapping):
        pairs = [(_text_key(name, key, path), item) for name, item in value.items()]
        return {name: _plain(item, _below(key, name), path) for name, item in pairs}
    if isinstance(value, set | frozenset):
        value = sorted(value, key=repr)
    if isinstance(value, list | tuple):
        return [_plain(item, f"{key}[{at}]", path) for at, item in enumerate(value)]
    if isinstance(value, Path):
        return str(value)
    numpy = sys.modules.get("numpy")  # where it was never imported, nothing can be of it
    is_array = numpy is not None and isinstance(value, numpy.generic | numpy.ndarray)
    if is_array and value.dtype.kind in "biufU":
        return _plain(value.tolist(), key, path)
    raise StorageError(
        f"{path}: JSON can't hold the value of {key!r}, {repr(value)[:60]} of type {type(value).__name__}"
    )


def _text_key(name: Any, key: str, path: Path) -> str:
    if not isinstance(name, str):
        where = f"in {key!r}" if key else "at the top"
        raise StorageError(f"{path}: a JSON object has text for keys, not {repr(name)[:60]} ({where})")
    return str(name)


def _below(key: str, name: Any) -> str:
    return f"{key}.{name}" if key else str(name)
