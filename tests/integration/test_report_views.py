"""The page's samples and head-to-head tabs in a real browser, against the files of the results."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.browser import SEEDS, TASKS, Opened, show_tab
from helpers.selected import Selected
from helpers.synthetic_design import GRID
from playwright.sync_api import Locator, Page, expect

pytest_plugins = ["helpers.browser"]

TASK = TASKS[0]


@pytest.fixture(scope="module")
def truth(report: Path) -> Selected:
    return Selected(report.parent)


@pytest.fixture
def samples(shared: Opened, page: Page) -> Iterator[Locator]:
    show_tab(page, "samples")
    yield page.locator("[data-view=samples]")
    assert shared.problems == []


@pytest.fixture
def pair(shared: Opened, page: Page) -> Iterator[Locator]:
    show_tab(page, "head-to-head")
    yield page.locator("[data-view=head-to-head]")
    assert shared.problems == []


def prompt_of(samples: Locator) -> str:
    return samples.get_by_label("Prompt", exact=True).inner_text().strip()


def step(samples: Locator, name: str) -> Locator:
    return samples.get_by_role("navigation").get_by_role("button", name=name)


def all_prompts(samples: Locator) -> list[str]:
    """Return the prompts that the filters leave, from the one that is shown to the last."""
    seen = [prompt_of(samples)]
    while step(samples, "Next").get_attribute("aria-disabled") != "true":
        step(samples, "Next").click()
        seen.append(prompt_of(samples))
        assert len(seen) < 100
    return seen


def choose(place: Locator, name: str, value: str) -> None:
    place.locator(f"select[name={name}]").select_option(value)


def card_of(samples: Locator, method: str) -> Locator:
    heading = samples.page.get_by_role("heading", name=re.compile(rf"^\W*{method}\b(?!_)"))
    return samples.get_by_role("article").filter(has=heading)


def test_every_method_answers_the_same_prompt(samples: Locator, truth: Selected) -> None:
    rows = truth.samples(TASK, 0)
    rows = rows[rows["prompt"] == prompt_of(samples)]
    assert len(rows) == len(GRID) == samples.get_by_role("article").count()
    for row in rows.to_dict("records"):
        text = card_of(samples, row["method"]).inner_text()
        assert re.search(r"word\d+", row["response"])[0] in text.split()  # type: ignore[index]
        assert f"{row['reward']:.2f}" in text.split()
        assert f"{row['proxy_reward']:.2f}" in text.split()


def test_next_and_previous_go_through_all_prompts(samples: Locator, truth: Selected) -> None:
    expected = list(dict.fromkeys(truth.samples(TASK, 0)["prompt"]))
    assert len(expected) == 4 and all_prompts(samples) == expected
    step(samples, "Previous").click()
    assert prompt_of(samples) == expected[-2]
    address = samples.page.evaluate("location.href")
    assert "sample=" in address


def test_a_search_leaves_the_prompts_with_its_text(samples: Locator, truth: Selected) -> None:
    rows = truth.samples(TASK, 0)
    row = rows[rows["method"] == "ppo"].iloc[2]
    word = re.search(r"word\d+", row["response"])[0]  # type: ignore[index]
    first = prompt_of(samples)
    assert first != row["prompt"]
    samples.locator("[name=q]").fill(word)
    samples.page.wait_for_function("word => location.hash.includes(word)", arg=word)
    matches = rows[rows["response"].str.contains(word)]["prompt"]
    assert all_prompts(samples) == list(dict.fromkeys(matches))
    samples.locator("[name=q]").fill("no such text")
    expect(samples.get_by_role("article")).to_have_count(0)
    samples.locator("[name=q]").fill("")
    expect(samples.get_by_role("article")).to_have_count(len(GRID))


def test_only_prompts_where_one_method_is_better(samples: Locator, truth: Selected) -> None:
    rewards = truth.samples(TASK, 0).pivot(index="prompt", columns="method", values="reward")
    left = 0
    for better, than in (("dpo", "ppo"), ("ppo", "dpo"), ("sft", "best_of_n")):
        choose(samples, "better", better)
        choose(samples, "than", than)
        expected = set(rewards.index[rewards[better] > rewards[than]])
        shown = all_prompts(samples) if expected else []
        assert set(shown) == expected and len(shown) == len(expected)
        assert samples.get_by_role("article").count() == len(GRID) * bool(expected)
        left += len(expected)
    assert 0 < left < 3 * len(rewards), "the filters leave some prompts, and not all"


def test_words_that_differ_from_sft_are_marked(samples: Locator) -> None:
    card = card_of(samples, "ppo")
    marked = card.locator("mark").all_inner_texts()
    assert len(marked) == 1 and re.fullmatch(r"\s*word\d+\s*", marked[0])
    assert card_of(samples, "sft").locator("mark").count() == 0
    samples.locator("[name=marks]").uncheck()
    expect(samples.locator("mark")).to_have_count(0)
    samples.locator("[name=marks]").check()
    expect(card.locator("mark")).to_have_count(1)


def test_a_hidden_method_has_no_card(samples: Locator) -> None:
    samples.page.click('#legend button[data-method="dpo"]')
    expect(card_of(samples, "dpo")).to_have_count(0)
    assert samples.get_by_role("article").count() == len(GRID) - 1


def test_another_seed_has_other_responses(samples: Locator, truth: Selected) -> None:
    rows = truth.samples(TASK, 1)
    choose(samples, "seed", "1")
    row = rows[(rows["prompt"] == prompt_of(samples)) & (rows["method"] == "dpo")].iloc[0]
    assert f"{row['reward']:.2f}" in card_of(samples, "dpo").inner_text().split()


def selected_pair(pair: Locator) -> list[str]:
    return [pair.locator("select").nth(i).input_value() for i in range(2)]


def words_of(pair: Locator) -> str:
    return pair.locator("[aria-live]").inner_text()


def marks_of(pair: Locator, kind: str) -> list[str]:
    found: list[str] = pair.locator(f"svg path[aria-roledescription={kind}]").evaluate_all(
        "all => all.map(mark => mark.getAttribute('transform') ?? mark.getAttribute('d'))"
    )
    return found


def test_a_pair_is_compared_in_words(pair: Locator, truth: Selected) -> None:
    assert set(selected_pair(pair)) == {"dpo", "ppo"}, "the contrast that was declared comes first"
    for first, second in (("dpo", "ppo"), ("best_of_n", "sft"), ("ppo_gold", "dpo")):
        pair.locator("select").nth(0).select_option(first)
        pair.locator("select").nth(1).select_option(second)
        assert selected_pair(pair) == [first, second]
        difference, low, high = truth.difference(TASK, first, second)
        sign = -1 if difference < 0 else 1
        text = words_of(pair)
        assert text.index(first) < text.index(second)
        for number in (abs(difference), *sorted((sign * low, sign * high))):
            assert f"{number:.2f}" in text, (number, text)
        address = pair.page.evaluate("location.hash")
        assert f"a={first}" in address and f"b={second}" in address


def test_a_verdict_is_of_the_declared_contrast_alone(pair: Locator) -> None:
    declared = words_of(pair)
    pair.locator("select").nth(0).select_option("best_of_n")
    exploratory = words_of(pair)
    assert "Exploratory" not in declared and "Exploratory" in exploratory


def test_every_seed_is_drawn_and_listed(pair: Locator, truth: Selected) -> None:
    expect(pair.locator("svg path[aria-roledescription=point]")).to_have_count(SEEDS + 1)
    before = marks_of(pair, "point")
    pair.locator("select").nth(0).select_option("best_of_n")
    [first, second] = selected_pair(pair)
    pair.page.wait_for_function(
        "before => document.querySelector('[data-view=head-to-head] svg "
        "path[aria-roledescription=point]')?.getAttribute('transform') !== before",
        arg=before[0],
    )
    assert len(marks_of(pair, "point")) == SEEDS + 1
    pair.locator("details summary").first.click()
    rows = pair.locator("details table tbody tr")
    assert rows.count() == SEEDS
    rewards = [truth.by_seed(TASK, name, "reward") for name in (first, second)]
    for seed, row in enumerate(rows.all()):
        cells = row.locator("td").all_inner_texts()
        assert cells[0] == str(seed)
        assert cells[1:3] == [f"{reward[seed]:.2f}" for reward in rewards]
    pair.locator("details summary").first.click()


def test_the_two_methods_can_be_swapped(pair: Locator, truth: Selected) -> None:
    [first, second] = selected_pair(pair)
    before = words_of(pair)
    pair.get_by_role("button", name="Swap").click()
    assert selected_pair(pair) == [second, first] and words_of(pair) != before
    pair.page.go_back()
    expect(pair.locator("[aria-live]")).to_have_text(before, use_inner_text=True)


def test_a_prompt_leads_to_its_samples(pair: Locator, page: Page) -> None:
    button = pair.get_by_role("button", name=re.compile(r"^Prompt \d+")).first
    prompt = button.locator("xpath=following-sibling::*").inner_text()
    [first, second] = selected_pair(pair)
    button.click()
    samples = page.locator("[data-view=samples]:visible")
    assert prompt_of(samples) in prompt
    chosen = {samples.locator(f"select[name={name}]").input_value() for name in ("better", "than")}
    assert chosen == {first, second}
    page.go_back()
    expect(pair).to_be_visible()


def test_a_bar_leads_to_the_samples_of_its_prompt(pair: Locator, page: Page) -> None:
    bars = pair.locator("svg path[aria-roledescription=bar]")
    expect(bars.last).to_be_visible()
    bars.last.click(force=True)
    expect(page.locator("[data-view=samples]")).to_be_visible()
    assert "sample=" in page.evaluate("location.hash")
