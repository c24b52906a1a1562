"""A plug-in that is broken takes nothing else down, and naming it is a mistake in one line."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from helpers.refusals import Refusal, refusal, words_in

import methods
from bench.cli import main
from bench.config.catalog import GROUP, catalog

__all__ = ["refusal"]

ROOT = Path(__file__).parents[2]
HEAD = """
from dataclasses import dataclass
from typing import ClassVar
from methods.base import Method
from methods.dpo import DPO
from methods.sft import SFT
from methods.toolkit.offline import PairLoss
"""


def declared(body: str, base: str = "SFT", decorator: str = "@dataclass(frozen=True)") -> str:
    return f'{HEAD}\n{decorator}\nclass Mine({base}):\n    """Mine."""\n    {body}\n'


# What a file in the methods' folder does when it is imported, and the reason that is listed.
IMPORTS: dict[str, tuple[str, str]] = {
    "exits": ("raise SystemExit(0)", "SystemExit: 0"),
    "sys.exit": ("import sys; sys.exit()", "SystemExit"),
    "sys.exit with text": ("import sys; sys.exit('bye')", "SystemExit: bye"),
    "own interrupt": ("class Stop(KeyboardInterrupt): pass\nraise Stop('now')", "Stop: now"),
    "own base exception": ("class Odd(BaseException): pass\nraise Odd('odd')", "Odd: odd"),
    "generator exit": ("raise GeneratorExit", "GeneratorExit"),
    "recursion": ("def f(): f()\nf()", "RecursionError: maximum recursion depth"),
    "memory": ("raise MemoryError", "MemoryError"),
    "syntax": ("def (", "SyntaxError: invalid syntax"),
    "indentation": ("if True:\nx = 1", "IndentationError"),
    "null character": ("x = 1\0", "SyntaxError"),
    "encoding": ("# coding: nothing\n", "SyntaxError: unknown encoding"),
    "missing import": ("import nowhere_at_all", "No module named 'nowhere_at_all'"),
    "wrong import": ("from methods.base import Nothing", "cannot import name 'Nothing'"),
    "lines": ("raise ValueError('one\\ntwo')", "ValueError: one two"),
    "long": ("raise ValueError('word ' * 5000)", "ValueError: word word"),
    "escapes": ("raise ValueError('\\x1b[2Jx')", "ValueError: \\x1b[2Jx"),
    "error without words": (
        "class Mute(Exception):\n    def __str__(self): raise ValueError\nraise Mute",
        "Mute",
    ),
    "empty": ("", "defines 0 methods; it must define one"),
    "two methods": (declared("") + "class Other(SFT):\n    pass", "defines 2 methods"),
    # Declarations.
    "no dataclass": (
        f"{HEAD}\nclass Mine(SFT):\n    grid: ClassVar = 3",
        "grid: must map fields to lists",
    ),
    "grid is a list": (declared("grid: ClassVar = ['beta']"), "grid: must map fields to lists"),
    "grid of a number": (declared("grid: ClassVar = {'examples': 3}"), "grid: must map"),
    "grid of no values": (declared("grid: ClassVar = {'examples': []}"), "grid: must map"),
    "grid of no field": (declared("grid: ClassVar = {'bete': [1]}"), "grid: 'bete' is none of"),
    "strength is a number": (declared("strength: ClassVar = 3"), "strength: must be the name"),
    "feedback is unknown": (
        declared("feedback: ClassVar = 'pair'"),
        "unknown feedback 'pair'; allowed: pairs",
    ),
    "feedback is a list": (declared("feedback: ClassVar = ['pairs']"), "unknown feedback"),
    "mutable default": (declared("x: list = []"), "ValueError: mutable default"),
    "field without default": (
        declared("x: int", "DPO"),
        "TypeError: non-default argument 'x' follows default argument",
    ),
    "not frozen": (declared("", decorator="@dataclass"), "TypeError: cannot inherit non-frozen"),
}
# What is found only once the method is made, and the message of `bench`.
MADE: dict[str, tuple[str, str]] = {
    "strength is no field": (
        declared("strength: ClassVar = 'bta'"),
        "methods.mine: its strength 'bta' is none of its fields",
    ),
    "strength of nothing": (declared("strength_is_kl: ClassVar = True"), "strength names no field"),
    "loss is missing": (declared("", "PairLoss"), "methods.mine: Mine cannot be made"),
    "train is missing": (declared("", "Method"), "methods.mine: Mine cannot be made"),
    "default of a wrong kind": (
        declared("x: int = 'three'"),
        "methods.mine.x: must be a valid int",
    ),
    "default that is infinite": (declared("x: float = float('inf')"), "methods.mine.x"),
    "default that is true": (declared("x: float = True"), "methods.mine.x"),
    "inherited default": (declared("examples: int = 0", "DPO"), "methods.mine: 0 examples"),
    "unknown type": (declared("x: 'Unheard' = 1"), "Unheard"),
    "type that pydantic does not know": (
        "class Thing: pass\n" + declared("x: Thing = None"),
        "methods.mine: Mine cannot be made",
    ),
    "refuses its settings": (
        declared("def __post_init__(self): raise ValueError('never')"),
        "methods.mine: never",
    ),
    "fails with its settings": (
        declared("def __post_init__(self): 1 / 0"),
        "methods.mine: Mine cannot be made: division by zero",
    ),
    "fails with escapes": (
        declared("def __post_init__(self): raise RuntimeError('a\\nb\\x1b[31m')"),
        "cannot be made: a b\\x1b[31m",
    ),
}


@pytest.fixture
def plug_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Put a file `mine.py` into a folder of methods that also has all other methods."""
    folder = tmp_path / "methods"
    folder.mkdir()
    for file in Path(methods.__path__[0]).iterdir():
        (folder / file.name).symlink_to(file)
    monkeypatch.setattr(methods, "__path__", [str(folder)])

    def put(source: str) -> None:
        (folder / "mine.py").write_text(source)
        catalog.cache_clear()

    yield put
    catalog.cache_clear()
    sys.modules.pop("methods.mine", None)


@pytest.mark.parametrize("case", IMPORTS)
def test_a_plug_in_that_cannot_be_had_is_listed_and_refused(
    case: str,
    plug_in: Callable[[str], None],
    refusal: Refusal,
    capsys: pytest.CaptureFixture[str],
) -> None:
    source, reason = IMPORTS[case]
    plug_in(source)
    entry = catalog()["mine"]
    assert isinstance(entry, str) and reason in entry and "\n" not in entry and len(entry) < 400
    assert sum(isinstance(e, str) for e in catalog().values()) == 1, "the others work"
    with pytest.raises(SystemExit) as ended:
        main(["methods"])
    listed = " ".join(capsys.readouterr().out.split())
    assert not ended.value.code and "mine - - cannot be imported" in listed and "\x1b" not in listed
    for line in ("bench quick --methods mine,dpo", "check mine", "new-method x --like mine"):
        message = refusal.of(*line.split())
        words_in(["method 'mine' cannot be imported", reason], message)


@pytest.mark.parametrize("case", MADE)
def test_a_plug_in_that_cannot_be_made_is_refused(
    case: str, plug_in: Callable[[str], None], refusal: Refusal
) -> None:
    source, words = MADE[case]
    plug_in(source)
    assert not isinstance(catalog()["mine"], str)
    message = refusal.of("bench", "quick", "--methods", "mine,dpo", "--device", "cpu")
    words_in(words, message)


def test_what_a_plug_in_prints_is_not_output(
    plug_in: Callable[[str], None], capsys: pytest.CaptureFixture[str]
) -> None:
    plug_in("print('hello')\n" + declared(""))
    assert not isinstance(catalog()["mine"], str)
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "hello\n")


def package(folder: Path, name: str, entries: bytes) -> None:
    """Write the metadata of an installed package with these entry points."""
    information = folder / f"{name}-1.dist-info"
    information.mkdir()
    (information / "METADATA").write_text(f"Name: {name}\nVersion: 1\n")
    (information / "entry_points.txt").write_bytes(entries)


@pytest.mark.parametrize(
    ("entries", "listed"),
    [
        (b"mine = mine:quit", "mine - - cannot be imported: SystemExit: 3"),
        (b"mine = mine:Missing", "mine - - cannot be imported: AttributeError"),
        (b"mine = mine:", "mine - - cannot be imported"),
        (b"all = methods.sft:SFT", "all - - cannot be imported: its name must be letters"),
        (b"a/b = methods.sft:SFT", "a/b - - cannot be imported: its name must be letters"),
        (b"\x1b[31m = methods.sft:SFT", "\\x1b[31m - - cannot be imported: its name must be"),
        (b"no equals sign", "fruit - - cannot be imported: its entry points cannot be read"),
        (b"caf\xe9 = x:y", "fruit - - cannot be imported: its entry points cannot be read"),
    ],
)
def test_entry_points(entries: bytes, listed: str, tmp_path: Path) -> None:
    package(tmp_path, "fruit", f"[{GROUP}]\n".encode() + entries + b"\n")
    package(tmp_path, "good", f"[{GROUP}]\nfine = methods.sft:SFT\n".encode())
    (tmp_path / "mine.py").write_text(
        "def __getattr__(name):\n    if name == 'quit': raise SystemExit(3)\n"
        "    raise AttributeError(name)\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "bench", "methods"],
        env=os.environ | {"PYTHONPATH": f"{ROOT}:{tmp_path}"},
        capture_output=True,
        text=True,
        check=True,
    )
    text = " ".join(done.stdout.split())
    assert listed in text
    assert "fine pairs" in text or "fine none" in text
