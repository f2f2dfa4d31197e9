"""Recorder files that try to do something else than hold data, by name."""

from __future__ import annotations

import pickle
import struct
import zlib

import numpy as np


class Raw(bytes):
    """Opcodes that leave one value on the stack."""


def put(value) -> bytes:
    """The opcodes that leave `value` on the stack."""
    if isinstance(value, Raw):
        return value
    if isinstance(value, str):
        return b"X" + struct.pack("<I", len(value.encode())) + value.encode()
    if isinstance(value, bytes):
        return b"B" + struct.pack("<I", len(value)) + value
    if isinstance(value, tuple | list):
        return b"(" + b"".join(map(put, value)) + (b"t" if isinstance(value, tuple) else b"l")
    if isinstance(value, dict):
        return b"(" + b"".join(put(key) + put(item) for key, item in value.items()) + b"d"
    if isinstance(value, bool) or value is None:
        return {None: b"N", True: b"\x88", False: b"\x89"}[value]
    return b"I%d\n" % value


def named(module: str, name: str) -> Raw:
    return Raw(b"c" + module.encode() + b"\n" + name.encode() + b"\n")


def dotted(module: str, name: str) -> Raw:
    return Raw(put(module) + put(name) + b"\x93")


def call(function: Raw, *arguments) -> Raw:
    return Raw(function + put(arguments) + b"R")


def build(value: Raw, state) -> Raw:
    return Raw(value + put(state) + b"b")


def held(value) -> bytes:
    """A recorder file with `value` in a list of its tape."""
    return b"\x80\x04" + put({"a": [1, value]}) + b"."


def calls(target: str) -> dict[str, bytes]:
    """Files that ask for functions; those that would work make the file `target`, or begin to."""
    touch, code = f"touch {target}", f"open({target!r}, 'w').close()"
    asked = {
        ("os", "system"): (touch,),
        ("posix", "system"): (touch,),
        ("os", "popen"): (touch,),
        ("os", "execv"): ("/bin/touch", ["touch", target]),
        ("os", "mkdir"): (target,),
        ("os", "open"): (target, 0o101),
        ("subprocess", "Popen"): (["touch", target],),
        ("subprocess", "check_output"): (["touch", target],),
        ("builtins", "eval"): (code,),
        ("__builtin__", "eval"): (code,),
        ("builtins", "exec"): (code,),
        ("builtins", "open"): (target, "w"),
        ("io", "open"): (target, "w"),
        ("codecs", "open"): (target, "w"),
        ("builtins", "compile"): ("1", "x", "eval"),
        ("builtins", "__import__"): ("antigravity",),
        ("builtins", "getattr"): (named("os", "path"), "join"),
        ("importlib", "import_module"): ("this",),
        ("_codecs", "lookup"): ("idna",),
        ("_codecs", "encode"): ("a", "idna"),
        ("_codecs", "decode"): (b"a", "bz2_codec"),
        ("codecs", "encode"): ("a", "punycode"),
        ("functools", "partial"): (named("os", "system"), touch),
        ("functools", "reduce"): (named("operator", "add"), [1, 2]),
        ("operator", "attrgetter"): ("__class__.__base__",),
        ("operator", "methodcaller"): ("system", touch),
        ("copyreg", "_reconstructor"): (named("builtins", "object"), named("builtins", "object"), None),
        ("copyreg", "__newobj__"): (named("pathlib", "Path"), target),
        ("copyreg", "add_extension"): ("os", "system", 7),
        ("pickle", "loads"): (held(call(named("os", "system"), touch)),),
        ("_pickle", "loads"): (held(call(named("os", "system"), touch)),),
        ("marshal", "loads"): (b"N",),
        ("types", "FunctionType"): (None, {}),
        ("types", "CodeType"): (0,) * 6,
        ("collections", "namedtuple"): ("x", "a b"),
        ("ctypes", "CDLL"): (None,),
        ("webbrowser", "open"): (f"file://{target}",),
        ("logging.config", "dictConfig"): ({"version": 1},),
        ("pydoc", "pipepager"): ("text", touch),
        ("pydoc", "locate"): ("this",),
        ("timeit", "timeit"): (code, code, named("time", "time"), 1),
        ("cProfile", "run"): (code,),
        ("runpy", "run_path"): (target,),
        ("pty", "spawn"): (["touch", target],),
        ("shutil", "rmtree"): (target,),
        ("socket", "create_connection"): (("127.0.0.1", 9),),
        ("pathlib", "PosixPath"): (target,),
        ("numpy", "load"): (target, None, True),
        ("numpy", "memmap"): (target, "uint8", "w+", 0, (4,)),
        ("numpy", "savetxt"): (target, [1]),
        ("numpy", "frompyfunc"): (named("os", "system"), 1, 1),
        ("numpy.testing", "runstring"): (code, {}),
        ("numpy.testing._private.utils", "runstring"): (code, {}),
        ("numpy._core.multiarray", "fromfile"): (target,),
        ("numpy.core.multiarray", "fromfile"): (target,),
        ("numpy._core.multiarray", "_vec_string"): ("a", "b", "c"),
        ("numpy._core._internal", "_makenames_list"): ({}, False),
        ("numpy.f2py.capi_maps", "load_f2cmap_file"): (target,),
        ("numpy.lib.npyio", "DataSource"): (target,),
        ("numpy.dtypes", "StringDType"): (),
        ("alfred.utils.tape_file", "os.system"): (touch,),
        ("__main__", "json"): (),
    }
    files = {
        f"{module}.{name}": held(call(named(module, name), *args)) for (module, name), args in asked.items()
    }
    for module, name in (
        ("builtins", "list.__class__"),
        ("collections", "OrderedDict.__class__"),
        ("collections", "OrderedDict.fromkeys.__self__"),
        ("numpy", "ndarray.tofile"),
        ("numpy", "os.system"),
        ("", "eval"),
        ("x\x1b[31m\nTraceback" + "y" * 5000, "z"),
    ):
        files[f"dotted {module[:20]!r} {name}"] = held(call(dotted(module, name), touch))
    files["found and never called"] = held(named("os", "system"))
    files["as a metric's name"] = b"\x80\x04" + put({call(named("os", "system"), touch): [1]}) + b"."
    files["as the file"] = b"\x80\x04" + call(named("os", "system"), touch) + b"."
    tape = pickle.dumps({"a": [1]})
    files["behind the file"] = tape + rows(
        tape, b"\x80\x04" + put([[call(named("os", "system"), touch)]]) + b"."
    )
    return files


def rows(tape: bytes, added: bytes) -> bytes:
    """What stands behind a pickled tape when these rows were added, with the right check."""
    return struct.pack("<4sIQ", b"rows", zlib.crc32(added, zlib.crc32(tape)), len(added)) + added


def odd_opcodes(target: str) -> dict[str, bytes]:
    """Files with opcodes that data never need."""
    command = put(f"touch {target}")
    inner = {
        "INST": b"(S'touch'\nios\nsystem\n",
        "OBJ": b"(" + named("os", "system") + command + b"o",
        "NEWOBJ": named("pathlib", "PosixPath") + put((target,)) + b"\x81",
        "NEWOBJ_EX": named("pathlib", "PosixPath") + put((target,)) + put({}) + b"\x92",
        "NEWOBJ of a list": named("builtins", "list") + put(()) + b"\x81",
        "EXT1": b"\x82\x07",
        "EXT2": b"\x83\x07\x00",
        "EXT4": b"\x84\x07\x00\x00\x00",
        "PERSID": b"Pos.system\n",
        "BINPERSID": put("os.system") + b"Q",
        "NEXT_BUFFER": b"\x97",
        "READONLY_BUFFER": put(b"a") + b"\x98",
        "DUP": put([1]) + b"2" + b"a",
        "POP": put([1]) + b"N0",
        "an unknown one": b"\xff",
    }
    return {name: held(Raw(opcodes)) for name, opcodes in inner.items()}


DTYPE, RECONSTRUCT = named("numpy", "dtype"), named("numpy._core.multiarray", "_reconstruct")
ARRAY = call(RECONSTRUCT, named("numpy", "ndarray"), (0,), b"b")
SCALAR, FROM_BUFFER = named("numpy._core.multiarray", "scalar"), named("numpy._core.numeric", "_frombuffer")
PARTS = (3, "<", None, None, None, -1, -1, 0)


def dtype(spec: str, state=PARTS) -> Raw:
    return build(call(DTYPE, spec, False, True), state)


def fields(places: dict, size: int, spec: str = "V8") -> Raw:
    return dtype(spec, (3, "|", None, tuple(places), places, size, 1, 0))


def lies(target: str) -> dict[str, bytes]:
    """Files that tell numpy, or the stand-ins, what isn't so."""
    f8, wild = dtype("f8"), b"A" * 8
    liar = dtype("O", (3, "|", None, None, None, -1, -1, 0))
    defaults = named("collections", "defaultdict")
    inner = {
        "objects that are none": build(ARRAY, (1, (1,), liar, False, wild)),
        "a scalar of objects": call(SCALAR, liar, wild),
        "a buffer of objects": call(FROM_BUFFER, wild, liar, (1,), "C"),
        "fields of hidden objects": build(ARRAY, (1, (1,), fields({"x": (liar, 0)}, 8), False, wild)),
        "a scalar of hidden objects": call(SCALAR, fields({"x": (liar, 0)}, 8), wild),
        "fields outside": build(ARRAY, (1, (1,), fields({"x": (f8, 1000)}, 8), False, wild)),
        "fields before": build(ARRAY, (1, (1,), fields({"x": (f8, -8)}, 8), False, wild)),
        "fields on objects": build(ARRAY, (1, (1,), fields({"x": (liar, 0), "y": (f8, 0)}, 8), False, [1])),
        "a negative size": build(ARRAY, (1, (1,), fields({"x": (f8, 0)}, -8), False, wild)),
        "terabytes": build(ARRAY, (1, (2**40,), f8, False, wild)),
        "terabytes of objects": build(ARRAY, (1, (2**40,), liar, False, [1])),
        "more than fits a number": build(ARRAY, (1, (2**62, 2**62), f8, False, wild)),
        "more around nothing": build(ARRAY, (1, (2**62, 2**62, 0), f8, False, b"")),
        "a negative shape": build(ARRAY, (1, (-1,), f8, False, wild)),
        "two negative shapes": build(ARRAY, (1, (-1, -1), f8, False, wild)),
        "a shape of texts": build(ARRAY, (1, ("8",), f8, False, wild)),
        "items without a size": build(ARRAY, (1, (2**50,), dtype("S0"), False, b"")),
        "a buffer too short": call(FROM_BUFFER, wild, f8, (1000,), "C"),
        "a buffer that is none": call(FROM_BUFFER, [1, 2], f8, (1,), "C"),
        "axes that are none": call(FROM_BUFFER, wild, f8, (1,), "K", (5, 7)),
        "a dtype that is none": build(ARRAY, (1, (1,), "f8", False, wild)),
        "a dtype in words": call(SCALAR, call(DTYPE, "f8, (1000000000,)f8", False, True), wild),
        "a dtype of a function": call(DTYPE, named("builtins", "list"), False, True),
        "a unit that is none": call(SCALAR, dtype("M8", (*PARTS, ({}, ("us],O,M8[us", 1, 1, 1)))), wild),
        "a scalar of nothing": call(SCALAR, dtype("V2000000000")),
        "a scalar too short": call(SCALAR, dtype("V2000000000"), wild),
        "a subarray beyond": call(SCALAR, dtype("V8", (3, "|", (f8, (2**40,)), None, None, 8, 1, 0)), wild),
        "a factory that is none": call(defaults, call(named("builtins", "int"), 1)),
        "a factory from numpy": call(defaults, SCALAR),
        "a state for a defaultdict": build(call(defaults), {"default_factory": named("builtins", "list")}),
        "a state for an OrderedDict": build(call(named("collections", "OrderedDict")), {"items": [1]}),
        "attributes for a stand-in": build(
            call(FROM_BUFFER, wild, f8, (1,), "C"), (None, {"_made_of": (1,)})
        ),
        "a state for a function": build(SCALAR, (named("builtins", "list"), (), {}, {})),
        "a state for a type": build(named("builtins", "list"), {"kind": SCALAR}),
        "an array itself": ARRAY[:-1] + b"Rp9\n" + put((1, (1,), liar, False, [Raw(b"g9\n")])) + b"b",
        "an array as a key": Raw(b"(" + build(ARRAY, (1, (1,), f8, False, wild)) + put(1) + b"d"),
    }
    return {name: held(Raw(value)) for name, value in inner.items()}


def bombs(target: str) -> dict[str, bytes]:
    """Files that ask for more memory, time or depth than they are worth."""
    many, million = 200_000, 1_000_000
    twice = {
        "lists": b"".join(b"(g%d\ng%d\nlp%d\n" % (level, level, level + 1) for level in range(60)),
        "tuples": b"".join(b"(g%d\ng%d\ntp%d\n" % (level, level, level + 1) for level in range(60)),
        "dictionaries": b"".join(
            b"(K\x01g%d\nK\x02g%d\ndp%d\n" % (level, level, level + 1) for level in range(60)
        ),
    }
    kind = {
        name: named("builtins", name) for name in ("list", "bytes", "bytearray", "tuple", "set", "int", "str")
    }
    numbers = call(named("builtins", "range"), 10**12)
    objects = dtype("O", (3, "|", None, None, None, -1, -1, 63))
    head, tail = ARRAY + b"(K\x01K\x01\x85" + objects + b"\x89]", b"atb"
    text = pickle.SHORT_BINUNICODE + b"\x01k"
    inner = {
        **{f"laughing {kinds}": b"]p0\n" + levels for kinds, levels in twice.items()},
        "deep lists": b"]" * many + b"a" * (many - 1),
        "deep tuples": b")" + b"\x85" * many,
        "deep tuples as a key": b"(" + b")" + b"\x85" * many + b"K\x01d",
        "deep tuples in a set": b"\x8f(" + b")" + b"\x85" * many + b"\x90",
        "deep frozensets": b"(" * many + b"\x91" * many,
        "deep dictionaries": b"}" + (text + b"}") * many + b"s" * many,
        "deep slices": named("builtins", "slice") * many + b"N" + b"\x85R" * many,
        "deep arrays": head * 20_000 + b"N" + tail * 20_000,
        "deep by the memo": b")" + b"q\x01h\x01\x85" * many,
        "deep by filling later": b"]p0\n"
        + b"".join(b"]p%d\n" % (n + 1) + b"g%d\ng%d\na" % (n, n + 1) for n in range(9)),
        "a list in itself": b"]p0\ng0\na",
        "a list in its tuple": b"]p0\n(g0\nta",
        "a far place of the memo": b"Nr\x00\x00\x00\x80",
        "a far place in words": b"Np99999999999999\n",
        "a negative place": b"Np-1\n",
        "a place of nothing": b"h\x63",
        "all numbers there are": call(kind["list"], numbers),
        "a tuple of all numbers": call(kind["tuple"], numbers),
        "a set of all numbers": call(kind["set"], numbers),
        "bytes of a size": call(kind["bytes"], 10**11),
        "a bytearray of a size": call(kind["bytearray"], 10**11),
        "a long number in words": call(kind["int"], "9" * million),
        "a long number in base 3": call(kind["int"], "2" * million, 3),
        "a long number": b"L" + b"9" * million + b"L\n",
        "copies of copies": b"("
        + put(list(range(3000)))
        + b"p0\n"
        + (kind["list"] + b"(g0\ntR") * 30_000
        + b"l",
        "bytes of one text": b"("
        + put("x" * million)
        + b"p0\n"
        + (named("_codecs", "encode") + b"(g0\nX\x06\x00\x00\x00latin1tR") * 3000
        + b"l",
        "a text of 2**62": b"\x8d" + struct.pack("<Q", 2**62) + b"x",
        "bytes of 2**62": b"\x8e" + struct.pack("<Q", 2**62) + b"x",
        "bytes of 2**63": b"\x8e" + struct.pack("<Q", 2**63) + b"x",
        "a bytearray of 2**62": b"\x96" + struct.pack("<Q", 2**62) + b"x",
        "a bytearray of 2**40": b"\x96" + struct.pack("<Q", 2**40) + b"x",
        "a string of 2**31": b"T\xff\xff\xff\x7fx",
        "a string of less than nothing": b"T\xff\xff\xff\xffx",
        "a number of 2**31 bytes": b"\x8b\xff\xff\xff\x7fx",
        "a number of less than no bytes": b"\x8b\xff\xff\xff\xffx",
        "a frame of 2**62": b"\x95" + struct.pack("<Q", 2**62) + b"N",
        "a frame too long": b"\x95" + struct.pack("<Q", 5000) + b"N",
        "a protocol to come": b"\x80\x09N",
        "no mark": b"Nt",
        "nothing to call": b"R",
        "nothing to fill": b"Na",
    }
    files = {name: held(Raw(opcodes)) for name, opcodes in inner.items()}
    files["a name that is no text"] = b"\x80\x04" + put({1: [1]}) + b"."
    files["no lists"] = b"\x80\x04" + put({"a": 1}) + b"."
    files["only its head"] = b"\x80\x04"
    files["an array"] = pickle.dumps(np.arange(3))
    return files
