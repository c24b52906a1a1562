"""Tables of the open page: what they show, and what is copied from them."""

from __future__ import annotations

from typing import Any

from helpers.browser import show_tab
from playwright.sync_api import Locator, Page, expect


def main_table(page: Page) -> Locator:
    """Open the main table, of the first task."""
    show_tab(page, "results")
    return page.locator("#results table:visible").first


def cells(table: Locator, column: int, attribute: str = "") -> list[Any]:
    """Return a column's shown cells from top to bottom: an attribute, or the text."""
    read = f"c.getAttribute('{attribute}')" if attribute else "c.textContent.trim()"
    found: list[Any] = table.evaluate(
        f"t => [...t.tBodies[0].rows].filter(r => !r.hidden).map(r => r.cells[{column}])"
        f".map(c => {read})"
    )
    return found


def tools_of(table: Locator) -> Locator:
    """Return a table's controls."""
    return table.locator("xpath=ancestor::*[contains(@class, 'scroll')]/preceding-sibling::*[1]")


def copied(table: Locator, kind: str) -> str:
    """Copy a table and return what is on the clipboard."""
    button = tools_of(table).locator(f"button[data-label='{kind}']")
    menu = tools_of(table).locator(f"details:has(button[data-label='{kind}']) summary")
    menu.click()
    button.click()
    expect(button).not_to_have_text(kind)
    menu.click()
    text: str = table.page.evaluate("navigator.clipboard.readText()")
    return text
