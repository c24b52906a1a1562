"""Parts of an export that no run is needed for."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest
from helpers.preferences import make_folder
from transformers import AutoModelForCausalLM

from bench.commands.policies.export_model import (
    model_as_it_is,
    new_folder,
    restored_generation,
    write_model,
)
from bench.commands.policies.sources import hub_id, shown_source, without_folders
from bench.errors import UserError
from bench.tasks.exact import Exact
from bench.tasks.recorded import Recorded


def test_each_row_of_an_exported_embedding_belongs_to_a_token(tmp_path: Path) -> None:
    """As in models whose embedding is padded: the logits of all tokens stay as they are."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    source, out = make_folder("qwen2", tmp_path / "source"), tmp_path / "out"
    out.mkdir()
    write_model(source, out)
    model, exported = map(AutoModelForCausalLM.from_pretrained, (source, out))
    tokens = len(AutoTokenizer.from_pretrained(out))
    ids = torch.tensor([[3, 5, 8, 200]])
    with torch.no_grad():
        expected, logits = model(ids).logits, exported(ids).logits
    assert expected.shape[-1] == tokens + 7 and logits.shape[-1] == tokens
    assert torch.equal(logits, expected[..., :tokens])
    assert exported.config.vocab_size == tokens


def test_an_empty_folder_is_filled_even_if_it_is_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    for out in (Path(), tmp_path / "new"):
        with new_folder(out) as partial:
            (partial / "base").mkdir()
            (partial / "base" / "file").write_text("weights")
        assert [file.name for file in out.iterdir()] == ["base"]
        assert (out / "base" / "file").read_text() == "weights"
    assert {file.name for file in tmp_path.iterdir()} == {"empty", "new"}


def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    """The largest file that a process may write stands for what is left of the disk."""
    source, out = make_folder("gpt2", tmp_path / "source"), tmp_path / "out"
    message = r"--out: .*out cannot be written: .*large"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        with pytest.raises(UserError, match=message), new_folder(out) as partial:
            write_model(source, partial)
        model = AutoModelForCausalLM.from_pretrained(source)
        with pytest.raises(UserError, match=message), new_folder(out) as partial:
            model.save_pretrained(partial)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [file.name for file in tmp_path.iterdir()] == ["source"]


def test_every_end_token_is_in_the_exported_generation_config() -> None:
    original = {"top_k": 20, "eos_token_id": 0, "temperature": 0.7}
    trained = {"eos_token_id": [2, 0], "pad_token_id": 5}
    expected = {"top_k": 20, "temperature": 0.7, "eos_token_id": [0, 2], "pad_token_id": 5}
    assert restored_generation(original, trained) == expected
    assert restored_generation({"eos_token_id": 2}, {"eos_token_id": 2}) == {"eos_token_id": 2}
    assert restored_generation({}, {}) == {}


def test_adapters_name_the_users_model_where_it_is_the_sft_policy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    hub = Recorded(data="prefs.jsonl", model="owner/name", base="pretrained")
    assert model_as_it_is(hub) == "owner/name"
    folder = Recorded(data="prefs.jsonl", model="mine", base="pretrained")
    assert model_as_it_is(folder) == str(tmp_path / "mine")
    elsewhere = Recorded(data="prefs.jsonl", model="models/mine", base="pretrained")
    assert model_as_it_is(elsewhere, ["models/mine"]) == ""
    for other in (
        Recorded(data="prefs.jsonl", model="owner/name"),
        Recorded(data="prefs.jsonl", model="tiny", base="pretrained"),
        Exact(),
    ):
        assert model_as_it_is(other) == ""


def test_names_of_the_hub_and_paths_are_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data" / "mine").mkdir(parents=True)
    assert hub_id("owner/name") == "owner/name"
    assert [hub_id(name) for name in ("data/mine", "/a/b", "tiny", "", "a/b/c")] == [None] * 5
    assert shown_source("owner/name:config") == "owner/name:config"
    assert shown_source("/home/me/prefs.jsonl") == "prefs.jsonl"
    # Results that do not say what was local: the end of the name may tell.
    assert hub_id("elsewhere/prefs.jsonl") is None and hub_id("elsewhere/prefs.csv.gz") is None
    # Results that do: what is here now does not matter.
    assert hub_id("data/mine", []) == "data/mine" and hub_id("owner/name", ["owner/name"]) is None
    options = {"data": "elsewhere/prefs", "more": ["owner/name", "1/2 \u00b7 a"]}
    assert without_folders(options, ["elsewhere/prefs"]) == options | {"data": "prefs"}
