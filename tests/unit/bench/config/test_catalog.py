"""What `prefrontier methods` lists, from where, and how quickly."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from bench.config.catalog import GROUP, catalog

COMMAND = """
import sys
from bench.cli import main
try:
    main(sys.argv[1:])
finally:
    print("imported:", *sorted({"torch", "transformers", "trl"} & set(sys.modules)))
"""


def listing(*options: str, path: Path | None = None) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, "methods", *options],
        env=os.environ | ({"PYTHONPATH": str(path)} if path else {}),
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


def test_listing_is_light_and_fits_a_hundred_columns() -> None:
    before = os.times()
    lines = listing()
    after = os.times()
    assert lines[-1] == "imported:"
    assert {line.split()[0] for line in lines} >= set(catalog())
    assert max(len(line.rstrip()) for line in lines) <= 100
    # Seconds of processor time: those on the wall are those of the machine's other work too.
    spent = after.children_user + after.children_system
    assert spent - before.children_user - before.children_system < 1


def test_the_grid_is_shown_when_asked_for() -> None:
    assert "n: [2, 4, 8, 16]" in "\n".join(listing("--verbose"))
    assert "[2, 4, 8, 16]" not in "\n".join(listing())


def test_plug_ins_that_cannot_be_had_are_listed_with_the_reason(tmp_path: Path) -> None:
    information = tmp_path / "fruit-1.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Name: fruit\nVersion: 1\n")
    (information / "entry_points.txt").write_text(
        f"[{GROUP}]\nmissing = nowhere:Nothing\nnumber = math:pi\ndpo = methods.sft:SFT\n"
    )
    text = " ".join(" ".join(listing(path=tmp_path)).split())
    for name, reason in {
        "missing": "ModuleNotFoundError: No module named 'nowhere'",
        "number": "3.141592653589793 is not a Method",
        "dpo of fruit": "the name 'dpo' is taken",
    }.items():
        assert f"{name} - - cannot be imported: {reason}" in text
    # A plug-in takes no other method's place.
    assert "dpo pairs beta Direct preference optimization." in text
