"""What methods declare of themselves."""

from __future__ import annotations

from methods.ppo_gold import PPOGold


def test_only_ppo_gold_is_privileged() -> None:
    from bench.config.catalog import catalog

    kinds = {name: kind for name, kind in catalog().items() if not isinstance(kind, str)}
    assert [name for name, kind in kinds.items() if kind.privileged] == ["ppo_gold"]
    assert PPOGold().value_init == "zero"
