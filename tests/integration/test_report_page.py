"""The page in a real browser: what readers see, how they get there, and that texts only show."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from helpers.browser import (
    SCREEN,
    TASKS,
    Opened,
    open_page,
    show_tab,
    tab_names,
    wait_for_chart,
)
from helpers.contrast import low_contrasts, luminance
from playwright.sync_api import Browser, Page

pytest_plugins = ["helpers.browser"]

PHONE = {"width": 400, "height": 800}
MOST_WORDS = 600
# What the page is made of, charts and marks of methods aside.
TAGS = (
    "html head meta title style body header nav main section article footer div span p pre h1 h2 "
    "h3 h4 a b strong mark ol ul li dl dt dd table thead tbody tr th td figure figcaption img "
    "details summary form label input select option button script"
)
POINT = ".canvas:visible svg path[aria-roledescription=point]"
MOST_STATEMENT_WORDS = 25


def box_of(page: Page, selector: str) -> dict[str, float]:
    box = page.locator(selector).first.bounding_box()
    assert box, f"{selector} is not shown"
    return dict(box)


def visible_tab(page: Page) -> str:
    [name] = page.eval_on_selector_all(
        "main > .tab", "all => all.filter(t => t.checkVisibility()).map(t => t.dataset.tab)"
    )
    return str(name)


def too_wide(page: Page) -> list[str]:
    """Return the tabs that make the document scroll sideways."""
    wide = []
    for name in tab_names(page):
        show_tab(page, name)
        width, window = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        if width > window:
            wide.append(f"{name}: {width} > {window}")
    return wide


def test_the_first_screen_holds_answer_chart_and_table(page: Page) -> None:
    statements = page.locator("main [data-task] .statement")
    assert statements.count() == len(TASKS)
    for i in range(len(TASKS)):
        box = statements.nth(i).bounding_box()
        assert box and box["y"] + box["height"] <= SCREEN["height"]
    for selector in ('[data-plot="frontier"] .canvas svg', "#overview table:visible"):
        box = box_of(page, selector)
        assert box["y"] + box["height"] <= SCREEN["height"], selector
        assert box["x"] + box["width"] <= SCREEN["width"], selector


def test_the_first_screen_is_short(page: Page) -> None:
    assert 50 < len(page.inner_text("body").split()) <= MOST_WORDS
    for statement in page.locator("main [data-task] .statement").all_inner_texts():
        assert 3 <= len(statement.split()) <= MOST_STATEMENT_WORDS, statement


def test_no_two_elements_have_the_same_id(page: Page) -> None:
    ids = page.eval_on_selector_all("[id]", "all => all.map(e => e.id)")
    assert len(ids) > 50
    assert [name for name, count in Counter(ids).items() if count > 1] == []


def test_every_tab_opens(shared: Opened, page: Page) -> None:
    names = tab_names(page)
    assert len(names) >= 9
    for name in names:
        show_tab(page, name)
        assert visible_tab(page) == name
        headings = page.locator(f'main > .tab[data-tab="{name}"] :is(h2, h3):visible')
        assert headings.count() and headings.first.inner_text().strip()
        assert page.get_attribute("nav.tabs a[aria-current]", "data-tab") == name
    page.wait_for_timeout(100)
    assert shared.problems == []


def test_a_tab_comes_back_with_the_back_button(page: Page) -> None:
    first, second, third = tab_names(page)[:3]
    show_tab(page, second)
    show_tab(page, third)
    page.go_back()
    page.wait_for_selector(f'main > .tab[data-tab="{second}"]')
    assert visible_tab(page) == second
    page.go_back()
    page.wait_for_selector(f'main > .tab[data-tab="{first}"]')
    assert visible_tab(page) == first
    page.go_forward()
    assert visible_tab(page) == second


def test_an_address_shows_what_its_sender_saw(browser: Browser, report: Path, page: Page) -> None:
    show_tab(page, "results")
    page.click("#tasks button:has-text('exact')")
    table = page.locator('[data-tab="results"] [data-task="exact"] table').first
    table.locator("th .sort").nth(2).click()
    page.click('#legend button[data-method="dpo"]')
    fragment = page.evaluate("location.hash")
    expected = table.locator("tbody").inner_text()
    assert {"tab=results", "task=exact", "hide=dpo"} <= set(fragment[1:].split("&"))
    opened = open_page(browser, report, fragment)
    assert visible_tab(opened.page) == "results"
    again = opened.page.locator('[data-tab="results"] table:visible').first
    assert again.get_attribute("id") == table.get_attribute("id")
    assert again.locator("tbody").inner_text() == expected
    assert again.locator("th").nth(2).get_attribute("aria-sort") == "descending"
    assert "dpo" not in again.locator("tbody td:first-child:visible").all_inner_texts()
    assert opened.problems == []
    opened.page.context.close()


def test_help_opens_and_closes_by_keyboard(page: Page) -> None:
    marks = page.locator("main .help:visible")
    assert marks.count() > 3
    for i in range(3):
        marks.nth(i).focus()
        page.keyboard.press("Enter")
        explanation = page.locator("[popover]:popover-open")
        assert explanation.count() == 1 and len(explanation.inner_text().split()) > 2
        box = explanation.bounding_box()
        assert box and box["x"] >= 0 and box["x"] + box["width"] <= SCREEN["width"]
        page.keyboard.press("Escape")
        assert page.locator("[popover]:popover-open").count() == 0


def test_the_keyboard_alone_reaches_everything_at_the_top(page: Page) -> None:
    page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
    page.mouse.click(2, 2)
    reached = []
    for _ in range(30):
        page.keyboard.press("Tab")
        about = "e => e.dataset.tab ?? e.dataset.method ?? (e.closest('#tasks') ? 'task' : '')"
        reached.append(page.evaluate(f"({about})(document.activeElement)"))
    order = [name for name in reached if name]
    methods = page.eval_on_selector_all("#legend button", "all => all.map(b => b.dataset.method)")
    assert order[: len(TASKS)] == ["task"] * len(TASKS)
    assert order[len(TASKS) :] == [*methods, *tab_names(page)]
    page.focus('#legend button[data-method="dpo"]')
    page.keyboard.press("Space")
    assert page.get_attribute('#legend button[data-method="dpo"]', "aria-pressed") == "false"
    assert page.evaluate("document.activeElement.dataset.method") == "dpo", "the focus is lost"
    page.focus('nav.tabs a[data-tab="cost"]')
    page.keyboard.press("Enter")
    assert visible_tab(page) == "cost"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_background(
    browser: Browser, report: Path, shared: Opened, scheme: Any
) -> None:
    page = shared.page
    # A chart that is on the page is drawn anew where the scheme changes, some time later.
    if page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches") != (scheme == "dark"):
        page.evaluate("document.querySelectorAll('svg').forEach(each => each.dataset.old = '')")
    page.emulate_media(color_scheme=scheme)
    try:
        background = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (luminance(background) < 0.1) == (scheme == "dark")
        for name in tab_names(page):
            show_tab(page, name)
            if name == "overview":
                page.wait_for_selector('[data-plot="frontier"] .canvas svg:not([data-old]) path')
            assert low_contrasts(page) == [], name
    finally:
        page.emulate_media(color_scheme="light")


def test_nothing_is_wider_than_a_phone(shared: Opened, page: Page) -> None:
    page.set_viewport_size(PHONE)
    try:
        assert too_wide(page) == []
    finally:
        page.set_viewport_size(SCREEN)


def test_without_scripts_everything_is_shown(browser: Browser, report: Path) -> None:
    opened = open_page(browser, report, java_script_enabled=False)
    page = opened.page
    for selector in (".statement", "#overview table", "#results table"):
        assert page.locator(selector).count() >= len(TASKS)
        assert all(found.is_visible() for found in page.locator(selector).all())
    figures = page.locator("figure img")
    assert figures.count() >= 5
    for figure in figures.all():
        assert figure.is_visible()
        box = figure.bounding_box()
        assert box and box["width"] > 200 and box["height"] > 100
    assert opened.problems == []
    page.context.close()


def test_texts_only_show(browser: Browser, hostile_report: Path) -> None:
    opened = open_page(browser, hostile_report)
    page = opened.page
    wait_for_chart(page)
    for width in (SCREEN, PHONE):
        page.set_viewport_size(width)
        assert too_wide(page) == []
    for name in tab_names(page):
        show_tab(page, name)
        if page.locator(POINT).count():
            page.locator(POINT).last.hover(force=True)
    assert page.evaluate("typeof window.pwned") == "undefined"
    sources = page.eval_on_selector_all("img", "all => all.map(i => i.getAttribute('src'))")
    assert sources and all(source.startswith("data:image/") for source in sources)
    assert page.evaluate("document.scripts.length") == 3, "data, charts and the page's own"
    assert page.locator("a[href^='javascript' i]").count() == 0
    found = page.evaluate(
        "[...new Set([...document.querySelectorAll('*')]"
        ".filter(e => !e.closest('svg')).map(e => e.localName))]"
    )
    assert set(found) <= set(TAGS.split())
    handlers = page.evaluate(
        "[...document.querySelectorAll('*')].flatMap(e => [...e.attributes])"
        ".map(a => a.name).filter(name => /^on/i.test(name))"
    )
    assert handlers == []
    assert re.search(r"<img src=y onerror", page.inner_text("#legend"))
    assert opened.problems == []
    page.context.close()
