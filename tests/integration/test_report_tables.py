"""The page's charts and tables in a real browser: they show, sort and copy what runs.csv has."""

from __future__ import annotations

import csv
import io
import json
import math
import random
import re
from pathlib import Path
from typing import Any

import pytest
from helpers.browser import TASKS, Opened, open_page, show_tab, wait_for_chart
from helpers.page_tables import cells, copied, main_table, tools_of
from helpers.selected import Selected
from playwright.sync_api import Browser, Page, expect

pytest_plugins = ["helpers.browser"]

CHART = '[data-plot="frontier"] .canvas svg'
POINTS = f"{CHART} path[aria-roledescription=point]"
DRAWN = 240
# A chart's points by what they stand for and where they are.
PLACES = """all => all.map(p => `${p.getAttribute('aria-label')} ${p.getAttribute('transform')}`)"""

TOOLTIP = "all => all.map(row => [...row.children].map(cell => cell.textContent))"


@pytest.fixture(scope="module")
def truth(report: Path) -> Selected:
    return Selected(report.parent)


def places(page: Page) -> list[str]:
    found: list[str] = page.eval_on_selector_all(POINTS, PLACES)
    return found


def wait_for_change(page: Page, before: list[str]) -> None:
    page.wait_for_function(
        f"before => {{const now = ({PLACES})([...document.querySelectorAll('{POINTS}')]);"
        "return now.length && now.join() !== before.join();}",
        arg=before,
    )


@pytest.fixture
def clipboard(page: Page) -> Page:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    return page


def test_a_point_shows_its_method_setting_and_reward(page: Page, truth: Selected) -> None:
    wait_for_chart(page)
    seen = set()
    points = page.locator(POINTS)
    for i in range(points.count()):
        points.nth(i).hover(force=True)
        shown = dict(page.eval_on_selector_all("[role=tooltip] > div", TOOLTIP))
        if "setting" not in shown:
            continue
        method, setting = shown["method"], shown["setting"]
        expected = truth.mean(TASKS[0], method, setting, "reward")
        assert f"{expected:.2f}" in shown.values(), (shown, expected)
        seen.add((method, setting))
    assert len(seen) >= 10, "points of most settings can be read"


def test_the_legend_hides_a_method_everywhere(page: Page) -> None:
    wait_for_chart(page)
    entry = page.locator('#legend button[data-method="dpo"]')
    before = places(page)
    assert any("method: dpo" in place for place in before)
    rows = """name => [...document.querySelectorAll('table[id]')].flatMap(t => [...t.rows]
        .filter(r => !r.hidden && [...r.cells].some((c, i) =>
        t.tHead.rows[0].cells[i]?.dataset.name === 'method' && c.textContent.trim() === name)))
        .length"""
    counts = {name: page.evaluate(rows, name) for name in ("dpo", "ppo")}
    assert min(counts.values()) >= 3 * len(TASKS)
    entry.click()
    assert entry.get_attribute("aria-pressed") == "false"
    assert "hide=dpo" in page.evaluate("location.hash")
    wait_for_change(page, before)
    hidden = places(page)
    assert hidden and not any("method: dpo" in place for place in hidden)
    assert page.evaluate(rows, "dpo") == 0
    assert page.evaluate(rows, "ppo") == counts["ppo"]
    entry.click()
    wait_for_change(page, hidden)
    assert entry.get_attribute("aria-pressed") == "true"
    assert "hide" not in page.evaluate("location.hash")
    assert places(page) == before
    assert page.evaluate(rows, "dpo") == counts["dpo"]


def test_every_switch_redraws_the_chart(page: Page) -> None:
    wait_for_chart(page)
    groups = page.locator('[data-plot="frontier"] .switches [role=group]')
    assert groups.count() >= 3
    for i in range(groups.count()):
        first = places(page)
        texts = groups.nth(i).get_by_role("button").all_inner_texts()
        assert len(texts) >= 2
        drawings = [page.inner_html(CHART)]
        for text in [*texts[1:], texts[0]]:
            before = places(page)
            groups.nth(i).get_by_role("button", name=text, exact=True).click()
            button = groups.nth(i).get_by_role("button", name=text, exact=True)
            expect(button).to_have_attribute("aria-pressed", "true")
            wait_for_change(page, before)
            drawings.append(page.inner_html(CHART))
        assert len(set(drawings[:-1])) == len(texts)
        assert places(page) == first, "the first choice is drawn as before"


def test_the_points_of_all_seeds_are_drawn(page: Page, truth: Selected) -> None:
    wait_for_chart(page)
    before = places(page)
    page.locator('[data-plot="frontier"] .switches').get_by_role("button", name="seeds").click()
    wait_for_change(page, before)
    drawn = [place for place in places(page) if "setting" in place]
    assert len(drawn) == len(truth.finished(TASKS[0]))


def test_a_drag_zooms_and_the_reset_shows_all(page: Page) -> None:
    wait_for_chart(page)
    before = places(page)
    box = page.locator(CHART).bounding_box()
    assert box
    page.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 0.3 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 0.7 * box["height"], steps=4)
    page.mouse.up()
    reset = page.get_by_role("button", name="Reset zoom")
    expect(reset).to_be_visible()
    wait_for_change(page, before)
    zoomed = places(page)
    reset.click()
    wait_for_change(page, zoomed)
    assert places(page) == before
    expect(reset).to_have_count(0)


def test_a_heading_sorts_by_value(page: Page) -> None:
    table = main_table(page)
    in_order = cells(table, 0)
    headings = table.locator("th")
    kinds = [headings.nth(i).get_attribute("class") for i in range(headings.count())]
    numeric = [i for i, kind in enumerate(kinds) if kind == "number"]
    for column in numeric[:4]:
        button = headings.nth(column).locator("button.sort")
        for side, sign in (("descending", -1), ("ascending", 1)):
            button.click()
            assert headings.nth(column).get_attribute("aria-sort") == side
            assert table.locator("th[aria-sort]").count() == 1
            values = cells(table, column, "data-value")
            known = [float(value) for value in values if value]
            assert known == sorted(known, key=lambda value: sign * value) and len(set(known)) > 2
            assert not any(values[len(known) :]), "missing values are last"
        button.click()
        assert table.locator("th[aria-sort]").count() == 0
        assert cells(table, 0) == in_order
    headings.nth(0).locator("button.sort").click()
    assert cells(table, 0) == sorted(in_order, key=str.lower) != in_order


def test_a_filter_leaves_the_rows_with_its_text(page: Page) -> None:
    show_tab(page, "methods")
    page.locator("main details.more:has(input[type=search]):visible > summary").first.click()
    search = page.locator("main input[type=search]:visible").first
    table = search.locator("xpath=following::table[1]")
    rows = table.locator("tbody tr:visible")
    before = rows.count()
    search.fill("PPO_gold")
    left = rows.all_inner_texts()
    assert 0 < len(left) < before and all("ppo_gold" in row for row in left)
    search.fill("no such row")
    assert rows.count() == 0
    search.fill("")
    assert rows.count() == before


def test_a_column_can_be_hidden(clipboard: Page) -> None:
    table = main_table(clipboard)
    label = table.locator("th").nth(2).get_attribute("data-label")
    tools = tools_of(table)
    tools.locator("summary").first.click()
    box = tools.locator("label input").nth(1)
    box.uncheck()
    assert not table.locator("th").nth(2).is_visible()
    assert not table.locator("tbody tr").first.locator("td").nth(2).is_visible()
    tools.locator("summary").first.click()
    header = next(csv.reader(io.StringIO(copied(table, "CSV"))))
    assert label not in header and len(header) > 5
    tools.locator("summary").first.click()
    box.check()
    tools.locator("summary").first.click()
    assert table.locator("th").nth(2).is_visible()


def test_a_table_is_copied_as_csv_with_all_digits(clipboard: Page, report: Path) -> None:
    table = main_table(clipboard)
    rows = list(csv.DictReader(io.StringIO(copied(table, "CSV"))))
    sections = json.loads((report.parent / "report.json").read_text())["sections"]
    [expected] = [part["tables"][0] for part in sections["results"]["parts"][:1]]
    assert len(rows) == len(expected["rows"]) == 5
    compared = 0
    for row, cell_of in zip(rows, expected["rows"], strict=True):
        for name, label in expected["columns"].items():
            cell = cell_of[name]
            ends = cell if isinstance(cell, dict) else {"value": cell}
            for key, value in ends.items():
                text = row[label if key == "value" else f"{label} {key}"]
                if isinstance(value, float):
                    assert float(text) == pytest.approx(value, rel=1e-6, abs=1e-12)
                    compared += 1
                elif isinstance(value, str):
                    assert text == value
    assert compared > 40


def test_a_table_is_copied_as_markdown_and_latex(clipboard: Page, truth: Selected) -> None:
    table = main_table(clipboard)
    reward = table.evaluate(
        "t => [...t.tHead.rows[0].cells].findIndex(th => th.dataset.name === 'reward')"
    )
    values = [float(value) for value in cells(table, reward, "data-value")]
    names = cells(table, 0)
    [privileged] = [i for i, name in enumerate(names) if name.startswith("ppo_gold")]
    assert values[privileged] == max(values), "it would be in bold if it competed"
    best = values.index(max(value for i, value in enumerate(values) if i != privileged))
    markdown = copied(table, "Markdown").splitlines()
    assert len(markdown) == 2 + len(values)
    assert len({len(re.findall(r"(?<!\\)\|", line)) for line in markdown}) == 1
    bold = [line.split(" | ")[reward].startswith("**") for line in markdown[2:]]
    assert [i for i, is_bold in enumerate(bold) if is_bold] == [best]
    latex = copied(table, "LaTeX")
    body = latex.split("\\midrule\n")[1].split("\n\\bottomrule")[0].splitlines()
    bold = [line.split(" & ")[reward].startswith("\\textbf{") for line in body]
    assert [i for i, is_bold in enumerate(bold) if is_bold] == [best]
    assert latex.startswith("\\begin{tabular}{") and latex.endswith("\\end{tabular}")
    columns = re.match(r"\\begin{tabular}{([lr]+)}", latex)
    assert columns and all(line.count(" & ") == len(columns[1]) - 1 for line in body)
    assert "ppo\\_gold" in latex and not re.search(r"(?<!\\)[_%#]", latex)


def test_what_is_copied_is_inert(browser: Browser, hostile_report: Path) -> None:
    opened = open_page(browser, hostile_report, permissions=["clipboard-read", "clipboard-write"])
    table = main_table(opened.page)
    rows = list(csv.reader(io.StringIO(copied(table, "CSV"))))
    assert any("cmd|" in cell for row in rows for cell in row)
    texts = [cell for row in rows for cell in row if not _is_number(cell)]
    assert not [text for text in texts if text[:1] in tuple("=+-@\t\r")]
    assert "<img" not in re.sub(r"\\<", "", copied(table, "Markdown"))
    assert not re.search(r"(?<!\\)[_%#&](?!\s)", copied(table, "LaTeX").split("\\midrule")[1])
    opened.page.context.close()


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def test_the_numbers_of_the_page_are_those_of_the_runs(shared: Opened, truth: Selected) -> None:
    """Numbers drawn at random equal those recomputed from runs.csv."""
    cells: list[dict[str, Any]] = shared.page.evaluate(
        """() => [...document.querySelectorAll('#overview table, #results table, #cost table')]
        .flatMap(t => [...t.tBodies[0].rows].flatMap(r => [...r.cells].map((c, i) => ({
          section: t.closest('section').id,
          task: t.closest('[data-task]').dataset.task,
          method: r.cells[0].textContent.trim().split(' (')[0],
          column: t.tHead.rows[0].cells[i].dataset.name,
          ...c.dataset})))).filter(c => c.value)"""
    )
    known = [cell for cell in cells if truth.knows(cell["section"], cell["column"])]
    assert len(known) >= 0.8 * len(cells), {c["column"] for c in cells} - {
        c["column"] for c in known
    }
    for cell in random.Random(0).sample(known, min(DRAWN, len(known))):
        expected = truth.value(
            **{key: cell[key] for key in ("section", "task", "method", "column")}
        )
        shown = [float(cell[end]) for end in ("value", "low", "high") if end in cell]
        assert shown == pytest.approx(expected[: len(shown)], rel=1e-6, abs=1e-9), cell
