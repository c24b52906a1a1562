"""A real browser for tests of the report's page: fixtures, and what goes wrong on an open page.

A test module takes the fixtures with `pytest_plugins = ["helpers.browser"]`.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from helpers.synthetic import make_runs, write_folder
from helpers.synthetic_design import GRID
from helpers.synthetic_hostile import write_hostile_folder
from playwright.sync_api import Browser, Page, sync_playwright

from bench.report.build import build_report
from bench.results import schema
from bench.tasks.base import END

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
NO_BROWSER = "no Chromium: apt-get install chromium, or set PREFRONTIER_BROWSER to its path"
SCREEN = {"width": 1400, "height": 900}
TASKS = ["polite", "exact", "haiku"]
SEEDS = 7
# Of each wait (ms), also where other programs keep the browser from running.
TIMEOUT = 60_000


class Opened(NamedTuple):
    """An open page.

    Attributes:
        page: As playwright has it.
        problems: Errors, dialogs and requests so far, which no page may have.
    """

    page: Page
    problems: list[str]


Open = Callable[..., Opened]


def find_browser() -> str:
    """Return the path of a Chromium; without one the test fails, as no test may be left out."""
    chosen = os.environ.get("PREFRONTIER_BROWSER") or next(
        filter(None, map(shutil.which, NAMES)), ""
    )
    if not chosen:
        pytest.fail(NO_BROWSER, pytrace=False)
    return chosen


def open_page(browser: Browser, file: Path, fragment: str = "", **options: Any) -> Opened:
    """Open a page in a window of its own, and wait until its scripts, if any, have run.

    Args:
        browser: The browser.
        file: The page.
        fragment: Of its address, with "#".
        options: Of the window, such as viewport or color_scheme.
    """
    window = browser.new_context(**({"viewport": SCREEN} | options))
    page, problems = window.new_page(), list[str]()
    page.set_default_timeout(TIMEOUT)
    page.on("console", lambda said: problems.append(f"console: {said.text}"))
    page.on("pageerror", lambda error: problems.append(f"error: {error}"))
    page.on("request", lambda request: _note_request(request.url, file, problems))

    def refuse(dialog: Any) -> None:
        problems.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    page.on("dialog", refuse)
    page.goto(f"{file.as_uri()}{fragment}")
    if options.get("java_script_enabled", True) and page.locator("script").count():
        page.wait_for_selector("html[data-ready]")
    return Opened(page, problems)


def _note_request(url: str, file: Path, problems: list[str]) -> None:
    if url.partition("#")[0] != file.as_uri() and not url.startswith("data:"):
        problems.append(f"request: {url[:200]}")


def wait_for_chart(page: Page, name: str = "frontier") -> None:
    """Wait until a chart is drawn."""
    page.wait_for_selector(f'[data-plot="{name}"] .canvas svg path')


def reset(page: Page) -> None:
    """Bring an open page back to its first address."""
    page.evaluate("history.replaceState(null, '', '#'); dispatchEvent(new Event('hashchange'))")


def tab_names(page: Page) -> list[str]:
    """Return the names of the tabs, in their order."""
    names: list[str] = page.eval_on_selector_all("nav.tabs a", "all => all.map(a => a.dataset.tab)")
    return names


def show_tab(page: Page, name: str) -> None:
    """Open a tab as a reader does."""
    page.click(f'nav.tabs a[data-tab="{name}"]')
    page.wait_for_selector(f'main > .tab[data-tab="{name}"]')


def vary_samples(folder: Path) -> None:
    """Give every response words and rewards of its own."""
    samples = schema.SAMPLES.read(folder)
    random = np.random.default_rng(0)
    words = [f"word{number}" for number in range(len(samples))]
    samples["response"] = [f"a reply with {word} {END}" for word in words]
    for name in ("reward", "proxy_reward"):
        samples[name] = random.normal(size=len(samples))
    schema.SAMPLES.write(folder, samples)


@pytest.fixture(scope="session")
def browser_path() -> str:
    return find_browser()


@pytest.fixture(scope="module")
def browser(browser_path: str) -> Iterator[Browser]:
    # Not longer than the module: playwright keeps an event loop running.
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def report(browser_path: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of three tasks, five methods and seven seeds."""
    folder = tmp_path_factory.mktemp("report")
    write_folder(folder, make_runs(TASKS, list(GRID), SEEDS), [("dpo", "ppo")])
    vary_samples(folder)
    return build_report(folder)


@pytest.fixture(scope="session")
def hostile_report(browser_path: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of results whose texts are attacks."""
    return build_report(write_hostile_folder(tmp_path_factory.mktemp("hostile")))


@pytest.fixture(scope="module")
def shared(browser: Browser, report: Path) -> Opened:
    """The page, loaded once for a module."""
    opened = open_page(browser, report)
    wait_for_chart(opened.page)
    return opened


@pytest.fixture
def page(shared: Opened) -> Page:
    """The shared page at its first address."""
    reset(shared.page)
    return shared.page
