"""Changes of parameters as they are typed: what each means, and one line for what means nothing."""

import math

import pytest

from alfred.errors import UsageError
from alfred.search.changes import parse_changes


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("lr=0.1,float", "lr", 0.1),
        ("lr=1,float", "lr", 1.0),
        ("lr=-1e-3, float", "lr", -0.001),
        ("clip=inf,float", "clip", math.inf),
        ("width=16,int", "width", 16),
        ("width=-2,int", "width", -2),
        ("name=a=b,c,str", "name", "a=b,c"),
        ("name=,str", "name", ""),
        ("name=1,str", "name", "1"),
        ("bias=No,bool", "bias", False),
        ("bias=t,bool", "bias", True),
        ("clip=None,float", "clip", None),
        ("clip=none,str", "clip", None),
        ("clip=None,None", "clip", None),
        ("task_name=hill_2,str", "task_name", "hill_2"),
    ],
)
def test_a_change_has_the_type_that_it_names(text, name, value):
    (found,) = parse_changes([text]).items()
    assert found == (name, value)
    assert type(found[1]) is type(value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("lr", ["'lr'", "name=value,type"]),
        ("lr=0.1", ["'lr=0.1'", "name=value,type"]),
        ("=1,int", ["name=value,type"]),
        ("lr=0.1,flaot", ["'flaot'", "did you mean float?"]),
        ("lr=abc,float", ["'abc' is no float"]),
        ("lr=1_0,float", ["'1_0' is no float"]),
        ("width=1.5,int", ["'1.5' is no int"]),
        ("width=1_000,int", ["'1_000' is no int"]),
        ("bias=perhaps,bool", ["'perhaps' is no bool"]),
        ("clip=3,None", ["'3' is no None"]),
        ("seed=3,int", ["seed", "alfred prepare --add_seeds"]),
        ("desc=x,str", ["desc", "--new_desc"]),
        ("alg_name=3,int", ["alg_name", ",str"]),
        ("task_name=None,str", ["task_name", ",str"]),
        ("task_name=,str", ["task_name", ",str"]),
    ],
)
def test_what_is_no_change_is_answered_in_one_line(text, words):
    with pytest.raises(UsageError) as caught:
        parse_changes([text])
    message = str(caught.value)
    assert "--additional_param" in message
    assert "\n" not in message
    assert all(word in message for word in words), message


def test_several_changes_are_taken_and_a_name_given_twice_is_refused():
    assert parse_changes(["a=1,int", "b=x,str"]) == {"a": 1, "b": "x"}
    with pytest.raises(UsageError, match="a twice"):
        parse_changes(["a=1,int", "b=x,str", "a=2,int"])
