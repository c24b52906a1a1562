"""How a policy is measured: one sampling sampling, KL, win rates, the frontier."""
