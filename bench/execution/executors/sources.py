"""Which source code a job is made of, as far as no library's version says what it is."""

from __future__ import annotations

import pickletools
import sys
import sysconfig

from bench.cache.code import PROJECT

# Where Python's own modules and installed packages lie.
_LIBRARIES = tuple(sysconfig.get_path(kind) for kind in ("stdlib", "purelib", "platlib"))


def modules_in(pickled: bytes) -> tuple[str, ...]:
    """Return the modules that a pickle names and that are not part of a library."""
    names = {argument for _, argument, _ in pickletools.genops(pickled)}
    return tuple(sorted(name for name in names if isinstance(name, str) and _is_source(name)))


def _is_source(name: str) -> bool:
    file = getattr(sys.modules.get(name), "__file__", None) or ""
    if name == "__main__" or not file.endswith(".py"):
        return False
    return name.partition(".")[0] in PROJECT or not file.startswith(_LIBRARIES)
