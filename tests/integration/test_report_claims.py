"""The page of claims in a real browser: what readers see, with no script at all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers.browser import SCREEN, Opened, open_page
from helpers.claims import Effect, all_verdicts, hostile_claims, with_verdicts
from helpers.contrast import low_contrasts, luminance
from playwright.sync_api import Browser, Page

from bench.report.claims.page import render_claims_page

pytest_plugins = ["helpers.browser"]

PHONE = {"width": 400, "height": 800}
MOST_CLAIMS = 18


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of claims with all verdicts, one with levels, and many that are not decided."""
    texts = {"title": "Some method is better than another under some condition", "checked": "so"}
    names = [f"more{i}" for i in range(MOST_CLAIMS - 5)]
    more = with_verdicts(
        {"levels": [Effect(0.5, levels=True)], **{key: [Effect(0.05, 0.6)] for key in names}},
        dict.fromkeys(["levels", *names], texts),
    )
    file = tmp_path_factory.mktemp("claims") / "claims.html"
    file.write_text(render_claims_page([*all_verdicts(), *more], {"holds"}))
    return file


@pytest.fixture
def opened(browser: Browser, file: Path) -> Iterator[Opened]:
    opened = open_page(browser, file)
    yield opened
    opened.page.context.close()


def too_wide(page: Page) -> str:
    width, window = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    return f"{width} > {window}" if width > window else ""


def open_all(page: Page) -> None:
    page.eval_on_selector_all("details", "all => all.forEach(each => { each.open = true; })")


def test_the_first_screen_holds_the_summary_and_the_start_of_the_table(opened: Opened) -> None:
    page = opened.page
    summary = page.locator("#summary").bounding_box()
    first = page.locator("details.claim").first.bounding_box()
    assert summary and summary["y"] + summary["height"] < SCREEN["height"]
    assert first and first["y"] + first["height"] <= SCREEN["height"]
    assert "Of 18 claims tested" in page.locator("#summary h2").first.inner_text()
    assert opened.problems == []


@pytest.mark.parametrize("scripts", [True, False])
def test_a_click_on_a_claim_opens_it(browser: Browser, file: Path, scripts: bool) -> None:
    opened = open_page(browser, file, java_script_enabled=scripts)
    claim = opened.page.locator("details.claim", has_text="The claim part")
    part = claim.locator(".opened")
    assert not part.is_visible()
    claim.locator("h3").click()
    assert part.is_visible()
    assert part.locator("table").first.locator("tbody tr").count() == 3
    claim.locator("h3").click()
    assert not part.is_visible()
    assert opened.problems == []
    opened.page.context.close()


def test_a_link_of_the_summary_opens_its_claim(opened: Opened) -> None:
    page = opened.page
    page.locator("#summary a", has_text="The claim refuted").click()
    claim = page.locator("details.claim", has_text="The claim refuted")
    assert claim.locator(".opened").is_visible()
    box = claim.locator("h3").bounding_box()
    assert box and 0 <= box["y"] < SCREEN["height"], "its title is in view"


def test_the_keyboard_opens_a_claim(opened: Opened) -> None:
    summary = opened.page.locator("details.claim > summary").first
    summary.focus()
    opened.page.keyboard.press("Enter")
    assert opened.page.locator(".opened").first.is_visible()


def test_rows_and_headings_are_in_the_same_columns(opened: Opened) -> None:
    lefts = opened.page.evaluate(
        "[...document.querySelectorAll('.columns, .claim > summary')].map(row =>"
        "[row.children[0], row.children[1], row.querySelector('.contrast svg')]"
        ".map(e => Math.round(e.getBoundingClientRect().left)))"
    )
    assert len(lefts) == MOST_CLAIMS + 1
    assert {tuple(row) for row in lefts} == {tuple(lefts[0])}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_background(browser: Browser, file: Path, scheme: Any) -> None:
    opened = open_page(browser, file, color_scheme=scheme)
    background = opened.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (luminance(background) < 0.1) == (scheme == "dark")
    open_all(opened.page)
    assert low_contrasts(opened.page) == []
    opened.page.context.close()


@pytest.mark.parametrize("window", [SCREEN, PHONE, {"width": 850, "height": 900}])
def test_nothing_is_wider_than_the_window(opened: Opened, window: Any) -> None:
    page = opened.page
    page.set_viewport_size(window)
    assert too_wide(page) == ""
    open_all(page)
    assert too_wide(page) == ""
    for selector in ("details.claim h3", ".badge", ".effect", "svg.forest:not(.key)"):
        for found in page.locator(f"#claims .claim {selector}").all()[:8]:
            box = found.bounding_box()
            assert box and box["x"] >= 0 and box["x"] + box["width"] <= window["width"], selector


def test_on_paper_the_table_is_whole(opened: Opened) -> None:
    page = opened.page
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 720, "height": 1000})
    assert too_wide(page) == ""
    assert page.locator(".badge:visible").count() >= MOST_CLAIMS
    assert page.locator(".effect:visible").count() >= MOST_CLAIMS


def test_texts_only_show(browser: Browser, tmp_path: Path) -> None:
    file = tmp_path / "claims.html"
    file.write_text(render_claims_page(hostile_claims(), {"script", "long"}))
    opened = open_page(browser, file)
    page = opened.page
    open_all(page)
    for window in (SCREEN, PHONE):
        page.set_viewport_size(window)
        assert too_wide(page) == ""
    assert page.evaluate("typeof window.pwned") == "undefined"
    assert page.evaluate("document.scripts.length + document.images.length") == 0
    assert page.locator("a[href^='javascript' i], a[href^='data' i]").count() == 0
    assert "</script><script>window.pwned=1" in page.inner_text("#claims")
    assert opened.problems == []
    page.context.close()
