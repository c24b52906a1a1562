"""YAML: the part of it that experiment files need, and no more than fits into memory.

Nothing of a file is built before its size, depth and number of values are known to be small: a few
aliases of aliases could stand for billions of values.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from bench.cache.files import read_named
from bench.errors import UserError, reason_of, shown

# Experiment files have about 2 kB, 200 values and a depth of 8.
LARGEST = 256 * 1024
MOST_VALUES, DEEPEST, LONGEST_NUMBER = 20_000, 32, 40
TAG = "tag:yaml.org,2002:"
KINDS = ("null", "bool", "str", "seq", "map")
INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9_]*)$")
# Unlike YAML 1.1, as people write numbers: 1e-3 is one; 1:30 and 010 are not.
FLOAT = re.compile(
    r"[-+]?(?:[0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*|[0-9][0-9_]*(?=[eE]))(?:[eE][-+]?[0-9]+)?$"
    r"|[-+]?\.(?:inf|Inf|INF)$|\.(?:nan|NaN|NAN)$"
)


def read_yaml(file: Path) -> object:
    """Return the content of a YAML file.

    Args:
        file: A path that the user gave.

    Raises:
        UserError: It is no file, or too large, or no YAML, or uses more of YAML than is allowed.
    """
    return parse_yaml(read_named(file, LARGEST), file)


def parse_yaml(text: str, file: Path) -> object:
    """Return the content of a YAML file, given its text.

    Raises:
        UserError: It is no YAML, or uses more of YAML than is allowed.
    """
    try:
        return yaml.load(text, _Loader)
    except yaml.MarkedYAMLError as error:
        place = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        problem = ", ".join(filter(None, [error.context, error.problem]))
        raise UserError(f"{file}: not readable as YAML: {place}{problem}") from None
    except yaml.YAMLError as error:
        raise UserError(f"{file}: not readable as YAML: {reason_of(error)}") from None


def yaml_text(content: object) -> str:
    """Return content as YAML that `read_yaml` reads, keys in their order."""
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True)


class _Loader(yaml.SafeLoader):
    """YAML without tags, dates and repeated keys; keys are text."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._nodes = self._depth = 0

    def compose_node(self, parent: Node | None, index: Any) -> Node | None:
        self._nodes += 1
        self._depth += 1
        event = self.peek_event()
        if self._nodes > MOST_VALUES:
            raise _refused(f"more than {MOST_VALUES:,} values", event.start_mark)
        if self._depth > DEEPEST:
            raise _refused(f"nested deeper than {DEEPEST} levels", event.start_mark)
        if tag := getattr(event, "tag", None):
            raise _refused(f"the tag {shown(tag)} is not allowed", event.start_mark)
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def get_single_data(self) -> Any:
        node = self.get_single_node()
        if node is None:
            return None
        if _size(node, {}) > MOST_VALUES:
            raise _refused(f"its aliases stand for more than {MOST_VALUES:,} values", None)
        return self.construct_document(node)

    def construct_mapping(self, node: MappingNode, deep: bool = False) -> dict[Any, Any]:
        _check_keys(node)
        return super().construct_mapping(node, deep)

    def construct_number(self, node: ScalarNode) -> int | float:
        """Return a number, unless it is longer than any that is meant."""
        if len(node.value) > LONGEST_NUMBER:
            raise _refused(f"{shown(node.value)} is too long for a number", node.start_mark)
        if node.tag == f"{TAG}int":
            return int(node.value.replace("_", ""))
        return float(self.construct_yaml_float(node))


def _refused(problem: str, mark: Any) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=mark)


def _size(node: Node, known: dict[int, int]) -> int:
    """Return how many values a node stands for, aliases expanded."""
    if id(node) in known:
        if not known[id(node)]:
            raise _refused("a value contains itself", node.start_mark)
        return known[id(node)]
    known[id(node)] = 0
    size = 1
    if isinstance(node, SequenceNode):
        size += sum(_size(item, known) for item in node.value)
    elif isinstance(node, MappingNode):
        size += sum(_size(key, known) + _size(value, known) for key, value in node.value)
    known[id(node)] = size
    return size


def _check_keys(node: MappingNode) -> None:
    """Raise an error if a key is no text, or is there twice. Merged keys (<<) may be overridden."""
    seen = set()
    for key, _ in node.value:
        if key.tag == f"{TAG}merge":
            continue
        if not isinstance(key, ScalarNode) or key.tag != f"{TAG}str":
            name = f" {shown(key.value)}" if isinstance(key, ScalarNode) else ""
            raise _refused(f"the key{name} must be text; put it in quotes", key.start_mark)
        if key.value in seen:
            raise _refused(f"the key {shown(key.value)} is there twice", key.start_mark)
        seen.add(key.value)


def _resolvers() -> dict[str, list[tuple[str, re.Pattern[str]]]]:
    """Return what tells plain scalars apart, by their first character."""
    replaced = {f"{TAG}int", f"{TAG}float", f"{TAG}timestamp"}
    resolvers: Mapping[str, list[tuple[str, re.Pattern[str]]]]
    resolvers = yaml.SafeLoader.yaml_implicit_resolvers
    kept = {
        first: [(tag, pattern) for tag, pattern in pairs if tag not in replaced]
        for first, pairs in resolvers.items()
    }
    for first in "-+.0123456789":
        kept[first] = [
            (f"{TAG}int", INTEGER),
            (f"{TAG}float", FLOAT),
            *kept.get(first, []),
        ]
    return kept


_Loader.yaml_implicit_resolvers = _resolvers()
_Loader.yaml_constructors = {
    **{f"{TAG}{kind}": yaml.SafeLoader.yaml_constructors[f"{TAG}{kind}"] for kind in KINDS},
    f"{TAG}int": _Loader.construct_number,
    f"{TAG}float": _Loader.construct_number,
}


class _Dumper(yaml.SafeDumper):
    """Puts into quotes what one of the two forms of YAML takes for a number."""


_Dumper.add_implicit_resolver(f"{TAG}float", FLOAT, list("-+.0123456789"))
