// Weights at another λ, T and mode: sliders, the address that carries them, and all that follows from them.
"use strict";

if (charts.data.affinity) (() => {
  const own = data.setting;
  const parts = krls.decompose(data.affinity);
  const values = Array.from(parts.mu, (m) => m * parts.size);
  const above = values.filter((m) => m > 0);
  const STEPS = 1000;
  const field = (name) => document.getElementById(name);

  // From where kλ leaves every direction in to where it leaves none, the mixture's own λ always within.
  const ends = {
    ridge: [Math.min(own.ridge / 30, (above.at(-1) ?? own.ridge) / k / 30), Math.max(own.ridge * 30, (above[0] ?? own.ridge) / k * 30)],
    temperature: [own.temperature / 100, own.temperature * 100],
  };
  let now = { ...own };

  function fromAddress() {
    const given = new URLSearchParams(location.hash.slice(1));
    const mode = ["pretrain", "finetune"].includes(given.get("mode")) ? given.get("mode") : own.mode;
    const number = (name, otherwise) => {
      const value = Number(given.get(name));
      return given.has(name) && Number.isFinite(value) && value > 0 ? value : otherwise;
    };
    return { mode, ridge: number("ridge", own.ridge), temperature: number("temperature", data.temperatures[mode]) };
  }

  function isOwn() {
    return now.mode === own.mode && now.ridge === own.ridge && now.temperature === own.temperature;
  }

  function toAddress() {
    const hash = isOwn() ? "" : `#ridge=${now.ridge}&temperature=${now.temperature}&mode=${now.mode}`;
    try {
      history.replaceState(null, "", location.pathname + location.search + hash);
    } catch {
      // A page shown without an address of its own (a preview) works all the same.
    }
  }

  function toSlider(name) {
    const [low, high] = ends[name].map(Math.log);
    const at = Math.round((STEPS * (Math.log(now[name]) - low)) / (high - low));
    field(name).value = Math.min(STEPS, Math.max(0, at));
    field(name).setAttribute("aria-valuetext", charts.digits(now[name]));
    // The field keeps what is being typed into it.
    if (document.activeElement !== field(`${name}-exact`)) field(`${name}-exact`).value = Number(now[name].toPrecision(6));
  }

  let found;
  function compute() {
    const scores = krls.leverageScores(parts, now.ridge, data.normalise);
    const rule = now.mode === "pretrain" ? krls.pretrainWeights : krls.finetuneWeights;
    found = { ...now, k_lambda: k * now.ridge, domains: names, scores, weights: rule(scores, now.temperature),
      eigenvalues: values };
  }

  function show() {
    compute();
    ["ridge", "temperature"].forEach(toSlider);
    charts.setChoice("mode", now.mode);
    field("state").textContent = JSON.stringify(found).replace(/</g, "\\u003c");
    const { weights } = found;
    weights.forEach((w, i) => {
      table.querySelector(`tr[data-domain="${i}"]`).dataset.weight = w;
      setCell(i, "chosen", w, charts.percent(w));
    });
    shown = isOwn() ? data.weights : weights;
    showEpochs();
    said();
    drawChosen();
    drawEigen();
    fillEigen();
  }

  function said() {
    const { weights } = found;
    const most = weights.indexOf(Math.max(...weights)), least = weights.indexOf(Math.min(...weights));
    const moved = weights.reduce((sum, w, i) => sum + Math.abs(w - data.weights[i]), 0) / 2;
    const told = moved < 5e-7 ? "These are the mixture's own weights."
      : `That moves ${charts.percent(moved)} of the training tokens to other domains.`;
    field("whatif-said").textContent = `λ = ${charts.digits(now.ridge)}, T = ${charts.digits(now.temperature)}, ${now.mode}: most `
      + `${charts.short(names[most], 60)}, ${charts.percent(weights[most])}; least ${charts.short(names[least], 60)}, `
      + `${charts.percent(weights[least])}. ${told}`;
  }

  function drawChosen() {
    const order = rowOrder();
    const texts = order.map((i) => hover(i, `here ${charts.percent(found.weights[i])}<br>mixture ${charts.percent(data.weights[i])}`));
    charts.plot("chosen", [bars(order, found.weights, "#f0c08a"),
      dots(order, found.weights, { color: charts.RED, symbol: "line-ns", size: 12, line: { width: 3, color: charts.RED } }, texts),
      dots(order, data.weights, { color: charts.BLUE, size: 8 }, texts)], rowsLayout(order),
    `Weights of ${k} domains at the chosen setting beside the mixture's own`);
  }

  function drawEigen() {
    const level = k * now.ridge, shares = krls.shares(parts, now.ridge);
    const count = shares.reduce((sum, s) => sum + s, 0);
    const none = k - above.length;
    field("eigen-said").textContent = "Directions in which the domains differ; one counts fully far above the line kλ, hardly below it. "
      + `Here ${charts.digits(count, 3)} of ${k} count` + (none ? ` (${none} with eigenvalue 0 not drawn).` : ".");
    const trace = { type: "bar", x: above.map((_, j) => j + 1), y: above, hoverinfo: "text", hovertext: above.map((m, j) =>
      `eigenvalue ${j + 1}: ${charts.digits(m)}<br>counts ${charts.percent(shares[j])}`),
    marker: { color: shares.slice(0, above.length), colorscale: [[0, "#dbe5ee"], [1, charts.BLUE]], cmin: 0, cmax: 1, line: { width: 0 } } };
    // Bars on a log axis need a floor.
    const all = [...above, level], low = Math.min(...all) / 2.5, high = 2.5 * Math.max(...all);
    charts.plot("eigen", [trace], { height: 260, hovermode: "closest", margin: { l: 50, r: 12, t: 10, b: 40 },
      xaxis: charts.axis({ title: { text: "direction" }, showgrid: false, nticks: 10, range: [0.4, Math.max(above.length, 1) + 0.6],
        tickformat: "d", ...(above.length < 10 ? { dtick: 1 } : {}) }),
      yaxis: charts.logAxis(low, high, {}),
      shapes: [{ type: "line", x0: 0, x1: 1, xref: "paper", y0: level, y1: level, line: { color: charts.RED, width: 2 } }],
      annotations: [{ x: 1, xref: "paper", xanchor: "right", y: Math.log10(level), yanchor: "bottom", text: `kλ = ${charts.digits(level)}`,
        showarrow: false, bgcolor: "rgba(255,255,255,.85)", font: { color: "#a34700" } }] },
    `Eigenvalues of the affinity beside kλ = ${charts.digits(level)}`);
  }
  const fillEigen = charts.tableWhenOpen("eigen-table", () => ["Direction", "Eigenvalue", "Counts"], () => {
    const shares = krls.shares(parts, now.ridge);
    return values.map((m, j) => [String(j + 1), charts.digits(m), charts.percent(shares[j])]);
  });

  function change(more) {
    now = { ...now, ...more };
    toAddress();
    show();
  }

  for (const name of ["ridge", "temperature"]) {
    const [low, high] = ends[name].map(Math.log);
    field(name).addEventListener("input", () => change({ [name]: Number(Math.exp(low + ((high - low) * field(name).value) / STEPS).toPrecision(4)) }));
    field(`${name}-exact`).addEventListener("input", () => {
      const value = Number(field(`${name}-exact`).value);
      if (Number.isFinite(value) && value > 0) change({ [name]: value });
    });
    field(`${name}-exact`).addEventListener("blur", () => toSlider(name));
  }
  const mode = charts.choice("mode", () => change({ mode: mode(), temperature: data.temperatures[mode()] }));
  field("reset").addEventListener("click", () => change(own));
  window.addEventListener("hashchange", () => { now = fromAddress(); show(); });
  redrawRows.push(drawChosen);
  now = fromAddress();
  show();
  charts.NARROW.addEventListener("change", () => { drawChosen(); drawEigen(); });
})();
