"""Quality against compute for many methods: a row each, the best on top, free ones apart, the front bold."""

from chameleon.reporting.figures.costs import cost_list
from chameleon.reporting.statistics.stats import Estimate

KNOWN = {
    "uniform": Estimate(0.0, 0.0, 0.0, 0.0, 3),
    "doge": Estimate(-2.0, -3.0, -1.0, 0.4, 3),
    "regmix": Estimate(5.0, -1.0, 11.0, 2.4, 3),
    "aioli": Estimate(-1.0, -2.5, 0.5, 0.6, 3),
    "single_domain": Estimate(90.0, None, None, None, 1),
}
PRICE = {"uniform": 0.0, "doge": 70.0, "regmix": 240.0, "aioli": 7.0, "single_domain": 52.0}


def test_rows_prices_and_front():
    figure = cost_list(KNOWN, PRICE, 1.3)
    quality, cost = figure.axes
    labels = quality.get_yticklabels()
    assert [label.get_text() for label in labels] == ["doge", "aioli", "uniform", "regmix", "single_domain"]
    bold = {label.get_text() for label in labels if label.get_weight() == "bold"}
    assert bold == {"uniform", "aioli", "doge"}, "nothing is both cheaper and better"
    points = {round(float(line.get_ydata()[0])): float(line.get_xdata()[0]) for line in cost.get_lines()}
    assert points[0] == 70 and points[3] == 240
    assert points[2] < 1 and cost.get_xticklabels()[0].get_text() == "free"
    figure.canvas.draw()


def test_nothing_paid_or_nothing_free():
    some = {m: KNOWN[m] for m in ("doge", "regmix")}
    assert "free" not in [t.get_text() for t in cost_list(some, PRICE, 0.0).axes[1].get_xticklabels()]
    for figure in (cost_list({"uniform": KNOWN["uniform"]}, {"uniform": 0.0}, 0.0),):
        figure.canvas.draw()
