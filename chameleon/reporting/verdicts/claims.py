"""The claims of the papers' abstracts as sentences that this suite can test, in our words, with verdicts.

Reads tidy frames; used by the table of verdicts and by the summary. What a claim is compared with here is
part of its sentence: the papers' baselines, budgets and models are not this suite's. Three things stand
behind every verdict, and none of them is the paper: the method's published rule, this suite's defaults for it
at this number of domains k, and the budget of its proxies and of the base models. A verdict is on the three
together.
"""

from collections.abc import Mapping
from typing import NamedTuple

from chameleon.published.tables import table
from chameleon.reporting.records.missing import Gaps
from chameleon.reporting.records.tidy import YARDSTICK, Frames
from chameleon.reporting.verdicts.budgets import cheaper, share
from chameleon.reporting.verdicts.findings import ABSENT, Finding, Runs, Test, every
from chameleon.reporting.verdicts.judging import (
    MARGIN,
    RANK_MARGIN,
    lower,
    lower_on_every_domain,
    more_accurate,
    nobody_always_lower,
    orders_as_well,
)

#: Methods whose weights the Chameleon paper compares its own with, by the names it prints.
LEARNED = {"doremi": "DoReMi", "doge": "DoGE", "regmix": "RegMix"}
#: "A fraction of the cost" is read as at most half, "about one percent" as at most two.
FRACTION, ONE_PERCENT = 0.5, 0.02


def _printed(of: str) -> str:
    """Return what the Chameleon paper's weights cost of another method's FLOPs, as printed."""
    flops = table("chameleon_weighting_flops").column("FLOPs")
    return share(flops["Chameleon"] / flops[LEARNED[of]])


def _regmix_of_doremi() -> str:
    flops = {
        name: table("regmix_1b_results").column(name)["Estimated FLOPs"] for name in ("RegMix", "DoReMi")
    }
    return share(flops["RegMix"] / flops["DoReMi"])


class Claim(NamedTuple):
    """One claim: whose abstract makes it, a few words for the summary, the sentence, and its test.

    One with a `method` is left out where that was not to be run: the default run has few of them.
    """

    paper: str
    short: str
    sentence: str
    test: Test
    method: str = ""


CLAIMS: tuple[Claim, ...] = (
    Claim("Chameleon", "Chameleon beats uniform in pretraining",
          "Base models pretrained on Chameleon's weights have a lower mean perplexity than on uniform ones.",
          lower("chameleon", YARDSTICK, "pretrain")),
    Claim("Chameleon", "Chameleon beats uniform in few-shot accuracy",
          "They also have a higher mean few-shot accuracy.",
          more_accurate("chameleon", YARDSTICK, "pretrain")),
    Claim("Chameleon", "Chameleon's weights cost a fraction of DoReMi's, DoGE's and RegMix's",
          "Its weights cost at most half the FLOPs of the weights of DoReMi, DoGE and RegMix.",
          every(*(cheaper("chameleon", m, "pretrain", at_most=FRACTION, printed=_printed(m))
                  for m in LEARNED))),
    Claim("Chameleon", "Chameleon is as good as DoReMi, DoGE and RegMix",
          f"Its mean perplexity is not worse than theirs by more than {MARGIN:g} %.",
          every(*(lower("chameleon", m, "pretrain", margin=MARGIN) for m in LEARNED))),
    Claim("Chameleon", "re-weighting for new domains costs about 1 % of retraining",
          "When domains are added, new weights from the kept proxy cost about one percent (at most two) of "
          "the FLOPs of retraining it.",
          cheaper("chameleon", "chameleon_retrained", "transfer", at_most=ONE_PERCENT,
                  printed="about 1 %")),
    Claim("Chameleon", "re-weighting is as good as retraining the proxy",
          f"Their mean perplexity is not worse than with a retrained proxy by more than {MARGIN:g} %.",
          lower("chameleon", "chameleon_retrained", "transfer", margin=MARGIN)),
    Claim("Chameleon", "re-weighted Chameleon beats uniform on the enlarged set",
          "Their mean perplexity over old and new domains is lower than under uniform weights.",
          lower("chameleon", YARDSTICK, "transfer")),
    Claim("Chameleon", "Chameleon-FT beats uniform on every finetuning domain",
          "Finetuning on Chameleon's weights gives a lower perplexity than uniform weights on every domain.",
          lower_on_every_domain("chameleon_ft", YARDSTICK, "finetune")),
    Claim("DoReMi", "DoReMi beats its reference weights on every domain",
          "DoReMi's weights give a lower perplexity than its reference weights, uniform here, on every "
          "domain.",
          lower_on_every_domain("doremi", YARDSTICK, "pretrain")),
    Claim("DoReMi", "DoReMi beats its reference weights on average",
          "They give a lower mean log-perplexity.",
          lower("doremi", YARDSTICK, "pretrain", metric="mean_log_perplexity")),
    Claim("DoReMi", "DoReMi beats its reference weights in few-shot accuracy",
          "They give a higher mean few-shot accuracy.",
          more_accurate("doremi", YARDSTICK, "pretrain")),
    Claim("DoGE", "DoGE beats uniform and DoReMi",
          "DoGE's weights give a lower mean perplexity than uniform weights and than DoReMi's.",
          every(lower("doge", YARDSTICK, "pretrain"), lower("doge", "doremi", "pretrain"))),
    Claim("DoGE", "DoGE beats uniform and DoReMi in few-shot accuracy",
          "They give a higher mean few-shot accuracy than both.",
          every(more_accurate("doge", YARDSTICK, "pretrain"), more_accurate("doge", "doremi", "pretrain"))),
    Claim("RegMix", "RegMix beats natural weights",
          "RegMix's weights give a lower mean perplexity than weights in proportion to the tokens at hand "
          "(standing in for weights chosen by people).",
          lower("regmix", "natural", "pretrain")),
    Claim("RegMix", "RegMix is as good as DoReMi",
          f"They are not worse than DoReMi's by more than {MARGIN:g} %.",
          lower("regmix", "doremi", "pretrain", margin=MARGIN)),
    Claim("RegMix", "RegMix's weights cost less than DoReMi's",
          "They cost fewer FLOPs than DoReMi's.",
          cheaper("regmix", "doremi", "pretrain", at_most=1.0, printed=_regmix_of_doremi())),
    Claim("Aioli", "Aioli beats uniform everywhere",
          "Aioli gives a lower mean perplexity than uniform weights in every scenario.",
          lower("aioli", YARDSTICK, "pretrain", "transfer")),
    Claim("Aioli", "no earlier method beats uniform everywhere",
          "Neither DoReMi nor DoGE does.",
          nobody_always_lower(("doremi", "doge"), YARDSTICK, "pretrain", "transfer")),
    Claim("DeMix", "merged proxies order mixtures as trained runs do",
          "The losses of merged proxies order other methods' mixtures as well as a regression on trained "
          f"runs does (RegMix's): the rank correlation with base models is not lower by more than "
          f"{RANK_MARGIN:g}.",
          orders_as_well("demix", "regmix", "pretrain"), "demix"),
    Claim("CLIMB", "searching in rounds beats RegMix",
          "Runs spent in rounds give a lower mean perplexity than RegMix's, drawn all at once.",
          lower("climb", "regmix", "pretrain"), "climb"),
    Claim("Olmix", "reused ratios are as good as a swarm over all domains",
          "When domains are added, keeping the old ones' ratios and weighing only their sum anew is not "
          f"worse than a swarm over all domains (RegMix's here) by more than {MARGIN:g} %.",
          lower("mixture_reuse", "regmix", "transfer", margin=MARGIN), "mixture_reuse"),
    Claim("Olmix", "reused ratios cost less than a swarm over all domains",
          "It costs fewer FLOPs than that swarm.",
          cheaper("mixture_reuse", "regmix", "transfer", at_most=1.0, printed="less"), "mixture_reuse"),
)  # fmt: skip


def judge(kinds: Mapping[str, str], frames: Mapping[str, Frames]) -> list[tuple[Claim, Finding]]:
    """Return every claim with what was found.

    Args:
        kinds: {scenario: kind}, in reading order.
        frames: {scenario: its tidy frames}.
    """
    runs = Runs(kinds, frames)
    planned = {method for found in frames.values() for method in Gaps(found).methods}
    judged = [(c, c.test(runs)) for c in CLAIMS if not c.method or c.method in planned]
    return [(c, f._replace(measured="") if f.verdict == ABSENT else f) for c, f in judged]
