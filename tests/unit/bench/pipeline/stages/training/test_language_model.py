"""Training text: which examples are taken where there are more than enough."""

from __future__ import annotations

from bench.pipeline.stages.training.language_model import some
from bench.tasks.base import Example

EXAMPLES = [Example(f"prompt {i}", "answer") for i in range(1000)]


def test_a_cut_takes_examples_from_everywhere() -> None:
    drawn = some(EXAMPLES, 200, "sft")
    places = [EXAMPLES.index(example) for example in drawn]
    assert len(set(places)) == 200
    # Half of them from each half, within five standard deviations.
    assert 65 < sum(place < 500 for place in places) < 135
    assert some(EXAMPLES, 200, "sft") == drawn
    assert some(EXAMPLES, 200, "judge") != drawn


def test_without_a_cut_the_order_stays() -> None:
    assert some(EXAMPLES, 1000, "sft") == EXAMPLES
