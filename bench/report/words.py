"""The report's standing text: what each section shows and what the terms mean."""

from __future__ import annotations

from bench.analysis.statistics import SEEDS_FOR_VERDICT, SIGNIFICANCE

_TEST = (
    "The test is an exact two-sided sign-flip test on paired test-prompt differences, and the 95% "
    "t-interval must leave 0 out besides."
)
_SEEDS = (
    f"It needs {SEEDS_FOR_VERDICT} seeds, since with fewer p cannot fall below {SIGNIFICANCE}. "
    "Every other comparison on this page is exploratory: an interval and no verdict. The seeds "
    "that choose are the seeds that test, on other prompts, so gains of chosen settings still "
    "flatter a little."
)
WORDS = {
    "declared": (
        "A verdict is given on the contrasts that the experiment file declares, and on no other. "
        f"{_TEST} Its p is corrected for the number of contrasts declared (Holm). {_SEEDS}"
    ),
    "primary": (
        "No contrast is declared, so a verdict is given on one per task: the best method against "
        "the second-best, both named by validation prompts, methods that were given the gold "
        f"reward left out. {_TEST} With one contrast there is nothing to correct for. {_SEEDS}"
    ),
    "judge": (
        "Where nobody knows a gold reward, what policies are measured by is a judge's reward: "
        "wherever this page says gold of such a task, it means that. A judge is right only as "
        "often as it agrees with people on held-out preferences, here with 95% intervals over "
        "prompts; 50% is a coin. A method can please the judge and not people: no figure here says "
        "more than what the judge was."
    ),
    "people": (
        "By the judge, against the responses that people chose for the same test prompts, ties "
        "half, and at equal length. The implicit accuracy is how often a policy's log-ratio to the "
        "SFT policy is higher for the response that people chose, on held-out pairs: it is what "
        "methods such as DPO train, and says nothing of what the policy writes."
    ),
    "llm": (
        "A language model that is shown two responses, in both orders; ties count half. "
        "Comparisons with an answer that cannot be read are counted and left out, never guessed. "
        "The share of answers for the response shown first is its position bias: 50% is none."
    ),
    "contrasts": (
        "Every comparison: the difference in gold reward on test prompts with the 95% t-interval "
        "of the paired difference, and the exact two-sided sign-flip p. The probability of "
        "improvement is how often a seed of the first beats a seed of the second. Exploratory rows "
        "are no tests: with so many of them some will seem to differ by chance."
    ),
    "overall": (
        "In each pipeline, a task with a seed, the methods are ranked by gold reward on test prompts, "
        "at their selected settings; the order is that of the mean rank, every task counted alike. "
        "Who failed in a pipeline comes last there. Intervals, and how often a method has the best "
        "mean rank, are from drawing the seeds of each task anew; with few seeds they are too "
        "narrow, and with one seed on any task there are none. A rank says nothing of how far "
        "apart two methods are. This is a summary and no verdict: those are for declared "
        "contrasts. Privileged methods, and those that were not run on every task, take no rank."
    ),
    "across": (
        "The normalized gain is that over SFT as a share of the largest gain on the frontier for that "
        "task and seed, tasks without a frontier left out: the interquartile mean over all runs. "
        "Brackets are 95% bootstrap intervals over seeds within each task. Worlds are those that "
        "the method finished, of all."
    ),
    "main": (
        "Settings chosen on validation prompts, figures from test prompts, means over seeds. After "
        "± stands half a 95% t-interval, in brackets the 95% t-interval of the paired difference."
    ),
    "frontier": (
        "Small dots are seeds, large markers the mean of a setting, lines join a method's settings "
        "in order of strength, rings mark the selected ones. Many methods are split by what they "
        "learn from. No policy can be above the "
        "frontier of its seed (thin; bold is their mean): what remains between a method and the curve "
        "at its KL is what a better method could still win."
    ),
    "frontier": (
        "Where not every response can be listed, the frontier is estimated from samples of the SFT "
        "policy and, where that reaches further, of trained policies that moved far. It is drawn, "
        "and used, only as far as bias and two standard errors stay within 2% of its gain over "
        "SFT, 5 effective samples are left for each prompt, and either the KL is below log n - 3 "
        "for n samples of the SFT policy or a sampled policy has been that far. A task without a "
        "line has too few samples for any of it (frontier_samples in the experiment). Means over "
        "seeds."
    ),
    "win_rates": (
        "How often the row's response has more gold reward than the column's to the same test "
        "prompt, ties counting half: selected settings, mean over seeds and prompts."
    ),
    "win_rate_table": (
        "The standard error is clustered by seed and by prompt at once. The length-controlled rate "
        "is the one to expect if responses were as long as the opponent's: a logistic model of the "
        "prompts' win rates with a term for the difference in mean tokens, as AlpacaEval has it. "
        "It is left out where hardly a response is shorter, or hardly one longer."
    ),
    "strengths": (
        "Bradley-Terry: one strength per method, in log-odds with mean 0, so that a difference of "
        "1 is a win rate of 73%. Intervals are 95% bootstraps over seeds and prompts together; "
        "with few seeds they are too narrow."
    ),
    "temperatures": (
        "The same comparison at other sampling temperatures than the one that all other figures "
        "are taken at; 0 is greedy. Both sides are sampled at that temperature."
    ),
    "methods": (
        "What each method learns from, its dial (the setting that trades reward against KL), the "
        "settings that were tried and those that were fixed, with what differs from task to task. "
        "What each cost is in the next section."
    ),
    "cost": (
        "What training took at the selected setting, median over seeds. What all methods share "
        "(base model, SFT, feedback, reward model) is listed further down. Labels are the "
        "answers an annotator gave to what the method learned from; for a privileged method, each "
        "gold reward. A method that trains nothing pays each time it answers (best-of-n: n "
        "responses for one), which is not counted here. Labels saved sets what the annotator "
        "was asked once against how often the reward model answered in training, one label for "
        "each answer."
    ),
    "effort_figure": (
        "The gold gain over SFT on test prompts to expect had only so many settings been tried, "
        "and the best of them chosen on validation: mean over seeds with its 95% t-interval. "
        "Compare methods at the same number of settings."
    ),
    "likelihood": (
        "Change of the mean log-probability (nats) of held-out chosen and rejected responses, from "
        "the SFT policy to the trained one, and on the way there at the selected settings. A "
        "pairwise loss only widens the margin: it can lower the chosen responses too, as long as "
        "the rejected ones fall further, and the probability goes to responses that nobody has "
        "judged."
    ),
    "curves": (
        "Selected settings: the mean over seeds, each seed thin. These are the methods' own "
        "numbers, never results; rewards of different kinds are not on one scale."
    ),
    "objective": (
        "A method whose strength is the price of KL maximizes J = E[reward] - strength · KL. With "
        "gold as the reward, the regret is the best J at that strength less the policy's. It is "
        "the sum of what the optimizer left (how far the policy is from the optimum of the reward "
        "model), of what the reward model cost (how far that optimum is from gold's), and of a "
        "term in which they meet: below 0 where stopping short saved the policy from the reward "
        "model's errors. For DPO, which trains no reward model, the shared one stands for what "
        "the pairs say. The share is (J - J of SFT) / (best J - J of SFT): 100% is the best policy "
        "there is, below 0% is worse than not training. Exact where every response is listed; "
        "elsewhere estimated from the SFT policy's samples, and left out where an optimum is too "
        "far away for that."
    ),
    "overoptimization": (
        "The further a policy goes after a learned reward, the more it finds its errors: the proxy "
        "climbs on while gold turns down. Points are all settings and seeds, final policies and "
        "checkpoints on the way (at the squares of equal parts of the training), as gains over the "
        "SFT policy of the seed, against d = √KL. Both forms of Gao et al. (2022) are fitted to a "
        "method's gold, d (a - b d) and d (a - b log d), the better one drawn solid; it names the "
        "KL at which gold turns, if that is within what was seen. Changes from there on to the "
        "furthest point are those of the fits, errors root mean squares. Methods that were given "
        "gold show what does not turn."
    ),
    "shape": (
        "Mean length of the responses, and the length that gold's own optimum at the same KL would "
        "have: a method that is longer was paid for length. Entropy (nats) and distinct-2 say how "
        "varied the responses are. Modes, where all responses are listed: the fewest responses "
        "that hold half of that optimum. A policy with less of them has settled elsewhere, one "
        "with more has collapsed onto them."
    ),
    "effort": (
        "Over all settings of a method. The area under its frontier (the best gold within each KL "
        "budget, the SFT policy's where no setting is within it) is a share of the frontier's area. "
        "Gold at a KL budget is that of the setting which validation would choose among those "
        "within it. Best of k is the test gold to expect had only k of the settings been tried, "
        "and the best of them chosen on validation. Collapsed runs failed, or ended below the SFT "
        "policy they came from."
    ),
    "settings": (
        "Every setting counts, also those that lost. More settings are more chances: compare "
        "methods only where they had the same number."
    ),
    "samples": "The first test prompts of the first seed, each method's first response.",
    "terms": [
        (
            "KL",
            "how far the policy moved from the SFT policy: the KL divergence of whole responses, "
            "in nats, the end token included. At 0 it is the SFT policy.",
        ),
        (
            "frontier",
            "the highest mean gold reward that any policy can have at that KL. It depends on the "
            "task and the SFT policy alone, on no method.",
        ),
        (
            "efficiency",
            "the gain over SFT as a share of the frontier's gain at the same KL. Above 100% the frontier "
            "is wrong, not the method good. Empty where the frontier cannot be trusted.",
        ),
        (
            "win rate vs SFT",
            "the share of test prompts on which the response has more gold reward than the SFT "
            "policy's, ties counting half.",
        ),
        (
            "effective samples",
            "on how many samples for each prompt the frontier rests at a KL (Kish's formula): the "
            "further from the SFT policy, the fewer of its samples count.",
        ),
        ("gold and proxy", "the true reward, and the reward model's estimate of it."),
        (
            "privileged",
            "trained on the gold reward itself. Such a method shows what the optimizer could do "
            "with a perfect reward; it is never called best.",
        ),
        ("ended", "the share of responses that stopped by themselves."),
        ("distinct-2", "the share of two-word sequences that are different: diversity."),
        (
            "seeds",
            "finished of started. A seed is a pipeline of its own (base model, SFT policy, feedback, "
            "reward model), the same for every method.",
        ),
    ],
}
