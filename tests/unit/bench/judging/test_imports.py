"""Importing the judge takes no heavy library."""

from __future__ import annotations

import subprocess
import sys


def test_importing_the_judge_is_light() -> None:
    command = (
        "import sys, bench.judging.folder, bench.commands.judge;"
        "print({'openai', 'pandas', 'numpy', 'scipy', 'torch'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True)
    assert done.stdout.strip() == "set()", done.stderr
