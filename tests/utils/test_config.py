"""Configurations: what is read is what was written, and what can't be is said in one line."""

from __future__ import annotations

import argparse
import json
import logging
import math
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest

from alfred.errors import StorageError
from alfred.utils.config import (
    config_to_str,
    convert_to_type_from_str,
    load_config_from_json,
    load_dict_from_json,
    parse_bool,
    parse_log_level,
    save_config_to_json,
    save_dict_to_json,
    validate_config_unique,
)


@pytest.mark.parametrize("text", ["yes", "true", "t", "y", "1", "YES", "True", True])
def test_truth(text):
    assert parse_bool(text) is True


@pytest.mark.parametrize("text", ["no", "false", "f", "n", "0", "No", "FALSE", False])
def test_falsehood(text):
    assert parse_bool(text) is False


def test_what_is_neither_is_told_to_argparse_and_as_a_value_error(capsys):
    with pytest.raises(ValueError, match="maybe"):
        parse_bool("maybe")
    parser = argparse.ArgumentParser()
    parser.add_argument("--flag", type=parse_bool)
    with pytest.raises(SystemExit):
        parser.parse_args(["--flag", "maybe"])
    assert "yes/true/t/y/1 or no/false/f/n/0 expected, not 'maybe'" in capsys.readouterr().err


def test_log_levels():
    assert parse_log_level("INFO") == parse_log_level("info") == logging.INFO
    assert parse_log_level("15") == parse_log_level(15) == 15
    with pytest.raises(ValueError, match="did you mean warning"):
        parse_log_level("warnig")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3), ("-3", -3), ("0.5", 0.5), ("1e-3", 0.001), ("1", 1), ("None", None), ("none", None),
        ("true", True), ("f", False), ("adam", "adam"), ("v1_2", "v1_2"), ("1_000", "1_000"), ("", ""),
    ],
)  # fmt: skip
def test_a_text_becomes_the_value_it_stands_for(text, value):
    converted = convert_to_type_from_str(text)
    assert converted == value
    assert type(converted) is type(value)


def test_a_config_comes_back_as_it_was_saved(tmp_path):
    config = Namespace(
        lr=1e-3, n=3, name="é '\"\n", flag=False, nothing=None, sizes=[1, 2], nested={"a": [1.5]}
    )
    save_config_to_json(config, tmp_path / "config.json")
    assert load_config_from_json(tmp_path / "config.json") == config
    assert list(load_dict_from_json(str(tmp_path / "config.json"))) == list(vars(config))


def test_numpy_values_tuples_sets_and_paths_become_plain(tmp_path):
    values = {
        "int": np.int64(3), "float": np.float32(0.5), "bool": np.bool_(True), "text": np.str_("a"),
        "array": np.arange(4).reshape(2, 2), "tuple": (1, 2), "set": {"b", "a"}, "path": Path("/x"),
    }  # fmt: skip
    save_dict_to_json(values, tmp_path / "values.json")
    assert json.loads((tmp_path / "values.json").read_text()) == {
        "int": 3, "float": 0.5, "bool": True, "text": "a",
        "array": [[0, 1], [2, 3]], "tuple": [1, 2], "set": ["a", "b"], "path": "/x",
    }  # fmt: skip


def test_nan_and_infinity_come_back(tmp_path):
    save_dict_to_json({"a": math.nan, "b": -math.inf}, tmp_path / "x.json")
    read = load_dict_from_json(tmp_path / "x.json")
    assert math.isnan(read["a"])
    assert read["b"] == -math.inf


def test_a_file_name_of_odd_bytes_comes_back(tmp_path):
    save_dict_to_json({"file": "a\udcff"}, tmp_path / "x.json")
    assert load_dict_from_json(tmp_path / "x.json") == {"file": "a\udcff"}


@pytest.mark.parametrize(
    ("values", "key"),
    [
        ({"a": {"b": [1, object()]}}, "a.b[1]"),
        ({"f": len}, "f"),
        ({"z": 1j}, "z"),
        ({"c": np.complex64(1)}, "c"),
    ],
)
def test_a_value_that_json_can_not_hold_is_named_and_the_old_file_stays(tmp_path, values, key):
    file = tmp_path / "x.json"
    file.write_text("old")
    with pytest.raises(StorageError) as caught:
        save_dict_to_json(values, file)
    assert repr(key) in str(caught.value)
    assert str(file) in str(caught.value)
    assert file.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["x.json"]


def test_keys_are_text(tmp_path):
    with pytest.raises(StorageError, match="text for keys, not 1"):
        save_dict_to_json({"a": {1: 2}}, tmp_path / "x.json")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{\n "a": 1,\n "b" 2\n}', "line 3, column 6"),
        (b"", "line 1, column 1"),
        (b'{"a": 1, "a": 2}', "the key 'a' stands twice"),
        (b"[1]", "a JSON object {...} expected, not a list"),
        (b"\xff\xfe", "no valid JSON"),
        (b"[" * 100_000, "no valid JSON"),
    ],
)
def test_a_damaged_file_is_said_in_one_line_with_its_name(tmp_path, content, message):
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(StorageError) as caught:
        load_dict_from_json(tmp_path / "x.json")
    assert message in str(caught.value)
    assert str(tmp_path / "x.json") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_a_missing_folder_are_said(tmp_path):
    with pytest.raises(StorageError, match="does not exist"):
        load_config_from_json(tmp_path / "x.json")
    with pytest.raises(StorageError, match="No such file"):
        save_dict_to_json({}, tmp_path / "nowhere" / "x.json")


def test_the_byte_order_mark_of_an_editor_is_passed_over(tmp_path):
    (tmp_path / "x.json").write_bytes(b'\xef\xbb\xbf{"a": 1}')
    assert load_dict_from_json(tmp_path / "x.json") == {"a": 1}


def test_the_text_of_a_config_names_every_value():
    assert config_to_str(Namespace(lr=0.1, alg_name="sgd")).splitlines() == [
        "Configuration:",
        "  alg_name: sgd",
        "  lr:       0.1",
    ]


def test_config_unique_must_agree():
    config = Namespace(lr=0.1, seed=1, sizes=[1, 2], bad=math.nan)
    validate_config_unique(config, Namespace(lr=0.1, sizes=[1, 2], bad=math.nan))
    validate_config_unique(vars(config), {"seed": 1})
    with pytest.raises(StorageError, match=r"lr is 0\.1 in config\.json, 0\.2 in config_unique\.json"):
        validate_config_unique(config, Namespace(lr=0.2))
    with pytest.raises(StorageError, match="seed is 1"):
        validate_config_unique(config, {"seed": True})
    with pytest.raises(StorageError, match="beta is not in"):
        validate_config_unique(config, {"beta": 1})
