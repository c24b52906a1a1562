"""The question for the judge."""

from __future__ import annotations

from bench.judging.template import fill, load_template


def test_the_tags_around_texts_depend_on_the_texts() -> None:
    template = load_template(None)
    question, swapped = fill(template, "p", "a", "b"), fill(template, "p", "b", "a")
    mark = question.split("<prompt-")[1][:8]
    assert f"<response-B-{mark}>\nb\n</response-B-{mark}>" in question and "{" not in question
    assert f"<response-B-{mark}>\na\n</response-B-{mark}>" in swapped
    assert mark not in fill(template, "p", "a", "c")
