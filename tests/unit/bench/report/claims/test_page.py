"""The page of claims and its short form: what they hold, and that texts only show."""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from helpers.claims import Effect, all_verdicts, hostile_claims, with_verdicts
from helpers.synthetic_hostile import SCRIPT

from bench.report.claims.markdown import render_claims_markdown
from bench.report.claims.page import render_claims_page
from bench.report.claims.tables import condition_table, contrast_table
from bench.report.content.display import ACTING

# Elements without an end.
VOID = {"meta", "br", "img", "line", "rect", "circle", "path"}


class Elements(HTMLParser):
    """The elements of a page, each with its attributes and all text within."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None], list[str]]] = []
        self.open: list[tuple[str, list[str]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        texts: list[str] = []
        self.found.append((tag, dict(attrs), texts))
        if tag not in VOID:
            self.open.append((tag, texts))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs), []))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop()[0] == tag

    def handle_data(self, data: str) -> None:
        for _, texts in self.open:
            texts.append(data)

    def texts(self, tag: str, kind: str = "") -> list[str]:
        return (
            [
                " ".join("".join(texts).split())
                for name, attributes, texts in self.found
                if name == tag and kind in (attributes.get("class") or "").split(" ")
            ]
            if kind
            else [" ".join("".join(texts).split()) for name, _, texts in self.found if name == tag]
        )


def page_of(claims: Any, reports: tuple[str, ...] = ()) -> Elements:
    return Elements(render_claims_page(claims, reports))


def test_claims_are_ordered_by_verdict_and_say_what_they_rest_on() -> None:
    page = page_of(all_verdicts())
    rows = page.texts("details", "claim")
    names = ["holds", "part", "refuted", "open"]
    assert len(rows) == len(names)
    assert all(f"The claim {name}" in row for name, row in zip(names, rows, strict=True))
    badges = page.texts("span", "badge")
    verdicts = ["holds here", "holds in part", "does not hold here", "not decided"]
    assert badges == verdicts * 2, "in the summary, then in the table"
    choice, _, _, refuted, *_ = page.texts("li")
    assert choice.startswith("dpo and ppo: dpo has") and "; ppo has" in choice
    assert "dpo is 0.30 [0.29, 0.31] below ppo in reward; predicted: higher." in refuted
    assert page.texts("h2")[0].startswith("Of 4 claims tested, 1 holds here")


def test_links_of_the_summary_lead_to_the_claims() -> None:
    page = page_of(all_verdicts())
    ids = [attributes["id"] for _, attributes, _ in page.found if attributes.get("id")]
    assert len(set(ids)) == len(ids)
    for tag, attributes, texts in page.found:
        target = attributes.get("href") or ""
        if tag == "a" and target.startswith("#claim"):
            assert target[1:] in ids
            [row] = [t for t in page.texts("details", "claim") if "".join(texts) in t]
            assert row


def test_a_claim_links_its_report_where_it_has_one() -> None:
    page = page_of(all_verdicts(), reports=("holds",))
    reports = [a.get("href") for tag, a, _ in page.found if tag == "a"]
    assert [link for link in reports if link and "report" in link] == ["./holds/report.html"]


def test_what_was_checked_is_shown_where_it_was_noted() -> None:
    claims = with_verdicts(
        {"one": [Effect(-0.5)], "two": [Effect(-0.5)]}, {"two": {"checked": "so"}}
    )
    assert page_of(claims).texts("dd", "checked") == ["so"]


def test_tables_hold_what_decides() -> None:
    effects = [Effect(0.5), Effect(0.0, predicted="not lower"), Effect(1.0, levels=True, seeds=6)]
    [result] = with_verdicts({"one": effects})
    table = contrast_table(result)
    names = [column.name for column in table.columns]
    assert "not_lower_p" in names and "not_higher_p" not in names
    assert [row["not_lower_p"] == "—" for row in table.rows] == [True, False, True]
    assert [row["seeds"] for row in table.rows] == ["8", "8", "6"]
    assert [row["predicted"] for row in table.rows] == ["higher", "not lower", "higher"]
    conditions = condition_table(result).rows
    assert {row["contrast"] for row in conditions} == {"contrast 3"}, "others have one task"
    assert [row["level"] for row in conditions] == ["0", "0.1", "0.2", "0.4"]
    assert [row["effect"].value for row in conditions] == pytest.approx([0.0, 0.1, 0.2, 0.4])
    assert "6 to 8 seeds" in render_claims_page([result], set())


def test_texts_only_show() -> None:
    text = render_claims_page(hostile_claims(), {"script", "image", "control", "long"})
    page = Elements(text)
    tags = {tag for tag, _, _ in page.found}
    assert not tags & {"script", "img", "iframe", "object", "base", "form"}
    names = {name for _, attributes, _ in page.found for name in attributes}
    assert not [name for name in names if name.startswith("on") or name == "style"]
    links = [attributes["href"] or "" for tag, attributes, _ in page.found if tag == "a"]
    assert all(link.startswith(("#", "./", "https://example.org/")) for link in links)
    assert html.escape(SCRIPT, quote=False) in text
    body = text.partition("<body>")[2]
    assert not ACTING.search(body) and "[U+202E]" in body
    assert "script-src 'none'" in html.unescape(text) and text.startswith("<!doctype html>")


def test_the_short_form_has_a_row_for_each_claim() -> None:
    text = render_claims_markdown(all_verdicts(), "claims.html", "claims.svg")
    rows = [line for line in text.splitlines() if line.startswith("| The claim")]
    assert [row.split(" | ")[2] for row in rows] == [
        "holds here",
        "holds in part",
        "does not hold here",
        "not decided",
    ]
    assert "[Author (2024), Title](https://example.org/paper)" in rows[0]
    assert "above ppo in reward / dpo is" in rows[1]
    assert "1 as predicted, 1 not as predicted" in rows[1]
    assert "(claims.svg)" in text and "[claims.html](./claims.html)" in text


def test_texts_only_show_in_the_short_form() -> None:
    text = render_claims_markdown(hostile_claims(), "claims.html", "")
    assert "<" not in text and not ACTING.search(text)
    assert "](javascript:" not in text and "](data:" not in text
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    # Heading, rule, and four claims: no text breaks out of its cell.
    assert len(rows) == 6
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {7}
