"""The report from synthetic results: its files, its page, and that what it shows is safe."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers.synthetic import fail, make_runs, write_folder
from helpers.synthetic_design import GRID
from helpers.synthetic_judges import add_calibration, add_judges

from bench.errors import UserError
from bench.report import build as build_module
from bench.report.build import build_report, make_tabs
from bench.report.content.section import Section, Tab
from bench.report.markdown import render_markdown
from bench.report.sections import SECTIONS, TABS
from bench.results.loading import Results, load_results

FIGURES = (
    "ranking",
    "frontier",
    "regret",
    "win_rates",
    "cost",
    "effort",
    "curves",
    "overoptimization",
    "likelihood",
)
HOSTILE = 'x"><img src=y onerror=z>|[a](b)'
Build = Callable[..., Path]


@pytest.fixture
def build(tmp_path: Path) -> Build:
    """Write a small results folder."""

    def write(
        methods: tuple[str, ...] = ("sft", "dpo", "ppo", "ppo_gold"),
        seeds: int = 2,
        change: Callable[[pd.DataFrame], pd.DataFrame] = lambda runs: runs,
    ) -> Path:
        return write_folder(tmp_path / "run", change(make_runs(["polite"], list(methods), seeds)))

    return write


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Section]]:
    """The folder and the sections of a report: two tasks, one judged, and a failed run."""
    runs = make_runs(["polite", "exact"], list(GRID), 2)
    lost = (runs["task"] == "polite") & (runs["method"] == "dpo") & (runs["seed"] == 1)
    lost &= runs["strength"] == 0.1
    runs = fail(runs, lost, "RuntimeError: <b>out of memory</b> | at step 3")
    folder = write_folder(tmp_path_factory.mktemp("full"), runs, [("dpo", "ppo")])
    add_judges(folder, "polite")
    add_calibration(folder)
    tabs: list[Tab] = []

    def make_and_keep(results: Results) -> list[Tab]:
        tabs.extend(make_tabs(results))
        return tabs

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build_module, "make_tabs", make_and_keep)
        build_report(folder)
    return folder, [section for tab in tabs for section in tab.sections]


@pytest.fixture(scope="module")
def full(built: tuple[Path, list[Section]]) -> Path:
    return built[0]


class Page(HTMLParser):
    """Every tag of a page, and every attribute by name."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def values(self, attribute: str) -> list[str]:
        return [value for name, value in self.attributes if name == attribute]


def all_sections(folder: Path) -> list[Section]:
    """Return every section with its charts; no file is written."""
    return [section for tab in make_tabs(load_results(folder)) for section in tab.sections]


def markdown_of(folder: Path) -> str:
    """Return every section in Markdown."""
    return render_markdown("", "", all_sections(folder))


def without_scripts(page: str) -> str:
    return re.sub(r"(?s)<script.*?</script>", "", page)


def without_images(page: str) -> str:
    return re.sub(r"data:[^\"]*", "", page)


def test_every_section_is_rendered(built: tuple[Path, list[Section]]) -> None:
    folder, sections = built
    page = (folder / "report.html").read_text()
    numbers = json.loads((folder / "report.json").read_text())["sections"]
    makers = [make for tab in SECTIONS.values() for make in tab]
    assert len(sections) == len(makers) == len({section.id for section in sections})
    assert set(numbers) == {section.id for section in sections}
    for section in sections:
        assert f'id="{section.id}"' in page
        for heading in (part.heading for part in section.parts if part and part.heading):
            assert f"<h3>{html.escape(heading)}</h3>" in page
    assert not re.search(r"\bnan\b", without_images(without_scripts(page)))


def test_tabs_are_reached_without_scripts(full: Path) -> None:
    page = Page((full / "report.html").read_text())
    for tab in TABS:
        assert f"#{tab.lower()}-tab" in page.values("href")
        assert f"{tab.lower()}-tab" in page.values("id")


def test_all_files_are_there(full: Path) -> None:
    files = {file.name for file in (full / "figures").iterdir() if file.is_file()}
    assert files == {f"{name}.{suffix}" for name in FIGURES for suffix in ("png", "svg")}
    assert (full / "report.md").exists()
    assert not list(full.glob(".*")), "temporary files stay behind"


@pytest.mark.parametrize(
    ("name", "inches"), [("polite_single_column", 3.33), ("double_column", 6.75)]
)
def test_papers_get_a_column_wide_figure_with_its_fonts(
    full: Path, name: str, inches: float
) -> None:
    content = (full / "figures" / "paper" / f"frontier_{name}.pdf").read_bytes()
    [width] = re.findall(rb"/MediaBox \[ 0 0 ([\d.]+)", content)
    assert float(width) / 72 == pytest.approx(inches)
    # TrueType programs, and no Type 3 fonts, which publishers refuse.
    assert b"/FontFile2" in content and b"/Type3" not in content


def test_other_charts_get_the_sizes_of_papers_where_asked_for(full: Path, build: Build) -> None:
    always = (full / "figures" / "paper").iterdir()
    assert {file.stem.split("_")[0] for file in always} == {"frontier"}
    folder = build(methods=("sft", "dpo"), seeds=1)
    paper = folder / "figures" / "paper"
    build_report(folder, paper=True)
    figures = {file.stem for file in (folder / "figures").glob("*.svg")} - {"ranking"}
    written = [file.stem for file in paper.iterdir()]
    assert len(written) == len(set(written)) and figures
    for name in figures:
        assert any(stem.startswith(f"{name}_polite") for stem in written), name
    widths = set()
    for file in paper.iterdir():
        [width] = re.findall(rb"/MediaBox \[ 0 0 ([\d.]+)", file.read_bytes())
        widths.add(round(float(width) / 72, 2))
    assert widths == {3.33, 6.75}


def test_the_page_needs_nothing_else(full: Path) -> None:
    text = (full / "report.html").read_text()
    page = Page(text)
    assert all(value.startswith("data:") for value in page.values("src"))
    links = page.values("href")
    # Papers are linked, and not loaded.
    assert links and all(link.startswith(("#", "https://example.org/")) for link in links)
    assert not {"link", "iframe", "object"} & set(page.tags)
    outside = re.sub(r'<a href="https?://[^"]*"', "", without_scripts(text))
    assert not re.search(r"https?://|@import|url\(", outside)


def test_the_policy_allows_the_scripts_of_the_page_alone(full: Path) -> None:
    text = (full / "report.html").read_text()
    [policy] = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)
    allowed = set(re.findall(r"sha256-[^']+", html.unescape(policy)))
    scripts = re.findall(r"(?s)<script>(.*?)</script>", text)
    digests = (hashlib.sha256(script.encode()).digest() for script in scripts)
    assert allowed == {f"sha256-{base64.b64encode(digest).decode()}" for digest in digests}
    assert "default-src 'none'" in html.unescape(policy) and "unsafe-eval" not in policy


def test_every_link_in_the_page_leads_somewhere(full: Path) -> None:
    page = Page((full / "report.html").read_text())
    inside = {link[1:] for link in page.values("href") if link[0] == "#"}
    assert inside and inside <= set(page.values("id"))


def test_what_a_model_writes_is_only_shown(full: Path) -> None:
    text = (full / "report.html").read_text()
    assert "<script>alert" not in text
    [data] = re.findall(r'(?s)<script type="application/json" id="data">(.*?)</script>', text)
    assert "<" not in data
    samples = json.loads(data)["samples"]["polite"]["samples"]
    assert any("<script>alert(1)</script> | `code`" in text for text in samples["response"])
    assert "<b>" not in without_scripts(text)
    assert "<b>" not in (full / "report.md").read_text()


def test_hostile_names_and_addresses_are_only_shown(build: Build) -> None:
    folder = build(methods=("sft", "dpo", "ppo"), seeds=1)
    about = pd.read_csv(folder / "methods.csv", dtype=str, keep_default_na=False)
    row = about["method"] == "dpo"
    address = f"https://example.org/{HOSTILE}".replace(" ", "")
    about.loc[row, ["title", "authors", "paper"]] = [HOSTILE, HOSTILE, address]
    about.loc[row, "fixed"] = json.dumps({HOSTILE: HOSTILE})
    about.loc[about["method"] == "ppo", "paper"] = "javascript:alert(1)"
    runs = pd.read_csv(folder / "runs.csv", dtype=str, keep_default_na=False)
    for name, frame in (("runs.csv", runs), ("methods.csv", about)):
        frame["method"] = frame["method"].replace("dpo", HOSTILE)
        frame.to_csv(folder / name, index=False)
    page = Page(build_report(folder).read_text())
    assert address in page.values("href")
    assert all(source.startswith("data:") for source in page.values("src"))
    assert not [link for link in page.values("href") if link.startswith("javascript")]
    text = (folder / "report.md").read_text()
    assert "<img" not in text and "[a](b)" not in text


def test_failures_are_loud(full: Path) -> None:
    for name in ("report.html", "report.md"):
        text = (full / name).read_text()
        first = text.index("dpo failed in 1 of 8 runs: ")
        assert first < text.index("<table" if name.endswith("html") else "| method")
        assert "out of memory" in text
        assert "<b>out" not in text


def test_the_page_holds_what_readers_look_for(full: Path) -> None:
    text = (full / "report.html").read_text()
    for words in (
        "interaction",
        "reward accuracy",
        "seeds: 6",
        "A Processor",
        "dpo 4",
        "All tasks together",
        "Only declared contrasts receive a verdict: dpo vs ppo.",
        "exact: on one scale",
        "<h2>Ranking",
        "<h2>Methods",
        "labels saved",
    ):
        assert words in text
    assert "<title>prefrontier: synthetic</title>" in text


def test_the_report_shows_effective_samples(full: Path) -> None:
    text = (full / "report.html").read_text()
    assert "effective samples there" in text and "two standard errors" in text


def test_the_short_report_has_at_most_1200_words(full: Path) -> None:
    text = (full / "report.md").read_text()
    headings = re.findall(r"(?m)^## (.+)$", text)
    assert headings[0] == "Answer" and headings[2:] == [
        "Results",
        "Verdicts",
        "Settings",
        "Versions",
    ]
    assert "](figures/frontier.svg)" in text
    assert len(re.findall(r"[\w.,%\[\]+-]+", text)) <= 1200


def test_the_same_files_give_the_same_report(build: Build) -> None:
    folder = build(methods=("sft", "dpo"), seeds=1)
    first = build_report(folder).read_bytes()
    assert build_report(folder).read_bytes() == first


def test_runs_alone_make_a_report(build: Build) -> None:
    folder = build(methods=("sft",), seeds=1)
    for file in folder.iterdir():
        if file.name != "runs.csv":
            file.unlink()
    assert "no other method to compare sft with" in build_report(folder).read_text()
    figures = {f.name for f in (folder / "figures").iterdir() if f.is_file()}
    assert figures == {"frontier.png", "frontier.svg"}


def test_a_folder_without_runs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"it has no runs\.csv"):
        build_report(tmp_path)


@pytest.mark.parametrize("name", ["runs.csv", "samples.parquet"])
def test_a_torn_file_is_one_line(build: Build, name: str) -> None:
    folder = build(methods=("sft",), seeds=1)
    (folder / name).write_text('"a')
    with pytest.raises(UserError, match="cannot be read") as raised:
        build_report(folder)
    assert "\n" not in str(raised.value)


def test_figures_of_earlier_results_go(build: Build) -> None:
    folder = build(methods=("sft",))
    (folder / "figures").mkdir()
    (folder / "figures" / "cost.png").write_bytes(b"old")
    build_report(folder)
    assert not (folder / "figures" / "cost.png").exists()


def test_one_seed_makes_a_report_without_intervals(build: Build) -> None:
    text = markdown_of(build(seeds=1))
    assert "Too few seeds" in text and not re.search(r"\bnan\b", text)


def test_an_unknown_frontier_makes_a_report_without_one(build: Build) -> None:
    folder = build(change=lambda runs: runs.assign(frontier_reward=np.nan, efficiency=np.nan))
    (folder / "frontier.csv").unlink()
    assert "an unknown share of the optimal gain" in markdown_of(folder)


@pytest.mark.parametrize("method", ["dpo", "sft"])
def test_a_method_whose_runs_all_failed_is_shown(build: Build, method: str) -> None:
    def change(runs: pd.DataFrame) -> pd.DataFrame:
        failed = fail(runs, runs["method"] == method, "KeyError: 'NA'")
        return failed[~((failed["method"] == method) & (failed["split"] == "test"))]

    text = markdown_of(build(change=change))
    assert "0/2" in text and "KeyError" in text


def test_failed_runs_alone_make_a_report(build: Build) -> None:
    folder = build(change=lambda runs: fail(runs, runs["seed"] >= 0, "no disk"))
    assert "No verdict" in markdown_of(folder)


def written(folder: Path) -> dict[str, bytes]:
    """Return every file of a folder, with the folders that hold them."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else b""
        for path in folder.rglob("*")
    }


REPORT = [sys.executable, "-m", "bench.cli", "report"]


def test_a_report_that_does_not_fit_on_the_disk_leaves_the_old_one(build: Build) -> None:
    folder = build(methods=("sft",), seeds=1)
    (folder / "report.html").write_text("old")
    before = written(folder)

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))

    done = subprocess.run(
        [*REPORT, str(folder)], preexec_fn=limit, capture_output=True, text=True, check=False
    )
    advice = "File too large; free some space, then the same command resumes the run"
    assert done.stderr == f"prefrontier: {folder}: cannot be written: {advice}\n"
    assert (done.returncode, done.stdout) == (1, "")
    assert written(folder) == before


def test_an_interrupted_report_leaves_the_old_one(build: Build) -> None:
    folder = build(methods=("sft", "dpo"), seeds=1)
    (folder / "report.html").write_text("old")
    before = written(folder)
    # It waits to be interrupted where one half is written.
    code = (
        "import sys, threading, bench.report.build as build\n"
        "write = build.write_figures\n"
        "def write_and_wait(*arguments):\n"
        "    write(*arguments)\n"
        "    print('ready', flush=True)\n"
        "    threading.Event().wait()\n"
        "build.write_figures = write_and_wait\n"
        "from bench.cli import main\n"
        "main(['report', sys.argv[1]])\n"
    )
    command = [sys.executable, "-c", code, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == b"ready\n"
        assert list((folder / ".staging").rglob("*.png"))
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=300)
    assert process.returncode == 130 and b"Traceback" not in errors
    assert written(folder) == before
