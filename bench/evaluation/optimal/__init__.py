"""The best that any policy can do: the optimal frontier, regret and modes, as pure functions.

Imports: methods.core, methods.dpo, methods.ipo.
To add a quantity of the optimum, write a function of an `OptimalFrontier`.
"""
