"""How a policy is measured: one sampling law, KL, win rates, the limit."""
