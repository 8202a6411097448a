// The charts of a run's page: per scenario quality, cost, learning curves and weights of its methods.
"use strict";

charts.data.scenarios.forEach((scenario, at) => {
  const id = (name) => `s${at}-${name}`;
  const field = (name) => document.getElementById(id(name));
  const section = document.querySelector(`[data-scenario="${at}"]`);
  if (!section) return;
  const look = Object.fromEntries(scenario.methods.map((m) => [m.name, m]));
  const compared = Object.keys(scenario.differences);
  section.querySelectorAll("table.heat").forEach(charts.sortable);

  const signed = (value, n = 1) => (value > 0 ? "+" : "") + value.toFixed(n).replace("-", "−");
  const between = (cell) => (cell.low === null ? "" : `, ${signed(cell.low, 2)} to ${signed(cell.high, 2)}`);
  // Filled where decided; signs that are lines (controls) have no inside.
  const fill = (cell, m) => (cell.decided || look[m].symbol.endsWith("-open") ? look[m].colour : "#fff");
  const band = (values) => ({ type: "rect", layer: "below", line: { width: 0 }, fillcolor: "#e9ecf0", ...values });

  // Four times as far out as most (a control, often): the others would have no room, so such a mean is drawn at the
  // edge with its number, and intervals end there.
  function edge(cells) {
    const sizes = cells.map((cell) => Math.abs(cell.mean)).sort((a, b) => a - b);
    const most = 4 * sizes[Math.floor(0.8 * (sizes.length - 1))] || Infinity;
    const ends = cells.flatMap((cell) => [cell.mean, ...Object.values(cell.seeds)]);
    // An interval that is much wider than the others' is cut too.
    const lows = cells.map((cell) => cell.low ?? cell.mean).sort((a, b) => a - b), far = Math.floor(0.1 * lows.length);
    const highs = cells.map((cell) => cell.high ?? cell.mean).sort((a, b) => b - a);
    return { most, low: Math.max(-most, Math.min(0, lows[far], ...ends)), high: Math.min(most, Math.max(0, highs[far], ...ends)) };
  }

  function drawQuality() {
    const column = Number(field("column").value);
    const rows = compared.filter((m) => scenario.differences[m][column]).sort((a, b) =>
      scenario.differences[a][column].mean - scenario.differences[b][column].mean);
    const cells = rows.map((m) => scenario.differences[m][column]);
    const { most, low, high } = edge(cells), room = 0.06 * (high - low) || 1;
    const inside = cells.map((cell) => Math.abs(cell.mean) <= most);
    const x = cells.map((cell, i) => (inside[i] ? cell.mean : cell.mean > 0 ? high : low));
    const seeds = { type: "scatter", mode: "markers", x: [], y: [], hoverinfo: "none", marker: { color: charts.SOFT, size: 4, opacity: 0.7 } };
    cells.forEach((cell, i) => inside[i] && Object.values(cell.seeds).forEach((value) => { seeds.x.push(value); seeds.y.push(i + 0.24); }));
    const whiskers = cells.map((cell, i) => (inside[i] && cell.low !== null ? i : -1)).filter((i) => i >= 0);
    const lines = { type: "scatter", mode: "lines", hoverinfo: "none", line: { color: charts.INK, width: 1.5 },
      x: whiskers.flatMap((i) => [cells[i].low, cells[i].high, null]), y: whiskers.flatMap((i) => [i, i, null]) };
    const dots = { type: "scatter", mode: "markers+text", x, y: rows.map((_, i) => i), textposition: cells.map((c) => (c.mean > 0 ? "middle left" : "middle right")),
      text: cells.map((cell, i) => (inside[i] ? "" : `${signed(cell.mean, 0)} % `)), textfont: { size: 10 },
      customdata: rows.map((m, i) => `<b>${charts.plain(m)}</b><br>${signed(cells[i].mean, 2)} %${between(cells[i])}<br>${cells[i].n} seeds`),
      hovertemplate: "%{customdata}<extra></extra>",
      marker: { size: 9, symbol: rows.map((m) => look[m].symbol), color: cells.map((c, i) => fill(c, rows[i])),
        line: { width: 1.8, color: rows.map((m) => look[m].colour) } } };
    charts.plot(id("quality"), [lines, seeds, dots], { height: charts.rowHeight(rows.length), hovermode: "closest",
      margin: { l: 10, r: 12, t: 62, b: 12 }, yaxis: charts.rowAxis(charts.labels(rows)),
      annotations: [{ x: 0, y: 1, yref: "paper", yanchor: "bottom", yshift: 24, text: "uniform", showarrow: false, font: { color: charts.SOFT, size: 11 } }],
      xaxis: charts.axis({ range: [low - room, high + room], side: "top", ticksuffix: " %", nticks: charts.NARROW.matches ? 5 : 8 }),
      shapes: column === 0 && scenario.apart ? [band({ x0: -scenario.apart, x1: scenario.apart, y0: 0, y1: 1, yref: "paper" })] : [] },
    `Difference to uniform of ${rows.length} methods, ${scenario.columns[column]}`);
  }

  function drawCost() {
    const rows = compared.filter((m) => scenario.differences[m][0] && scenario.price[m] !== null);
    const cells = rows.map((m) => scenario.differences[m][0]), { most, low, high } = edge(cells);
    const paid = rows.filter((m) => scenario.price[m] >= scenario.free).map((m) => scenario.price[m]);
    const least = paid.length ? Math.min(...paid) : 1, dearest = paid.length ? Math.max(...paid) : 10;
    // Free methods stand side by side left of the axis's first price.
    const free = rows.filter((m) => scenario.price[m] < scenario.free);
    const width = Math.log10(dearest / least) || 1, step = Math.min(0.09 * width, (0.3 * width) / Math.max(free.length, 1));
    const x = rows.map((m) => (scenario.price[m] < scenario.free ? Math.log10(least) - 0.2 * width - step * (free.length - 1 - free.indexOf(m)) : Math.log10(scenario.price[m])));
    const y = cells.map((cell) => (Math.abs(cell.mean) <= most ? cell.mean : cell.mean > 0 ? high : low));
    const range = { x: [Math.min(...x, Math.log10(least)) - 0.12 * width, Math.log10(dearest) + 0.14 * width], y: [low - 0.08 * (high - low), high + 0.08 * (high - low)] };
    const height = 420, room = field("cost").clientWidth - 70;
    const found = charts.place(x, y, charts.labels(rows.map((m, i) => (Math.abs(cells[i].mean) > most ? `${m} (${signed(cells[i].mean, 0)} %)` : m)), 26), room, height - 70, range);
    const lines = { type: "scatter", mode: "lines", hoverinfo: "none", line: { color: "#9aa3ae", width: 1.3 }, x: [], y: [] };
    cells.forEach((cell, i) => {
      if (cell.low === null || Math.abs(cell.mean) > most) return;
      lines.x.push(x[i], x[i], null);
      lines.y.push(cell.low, cell.high, null);
    });
    const dots = { type: "scatter", mode: "markers+text", x, y, text: found.map((f) => f.text), textposition: found.map((f) => f.side), textfont: { size: 10.5 },
      customdata: rows.map((m, i) => `<b>${charts.plain(m)}</b><br>${signed(cells[i].mean, 2)} %${between(cells[i])}<br>weights: `
        + `${scenario.price[m] < scenario.free ? "free" : `${charts.digits(scenario.price[m], 3)} % of a base run`}`), hovertemplate: "%{customdata}<extra></extra>",
      marker: { size: 10, symbol: rows.map((m) => look[m].symbol), color: cells.map((c, i) => fill(c, rows[i])),
        line: { width: 1.8, color: rows.map((m) => look[m].colour) } } };
    const ticks = [];
    for (let power = Math.floor(Math.log10(least)); power <= Math.ceil(Math.log10(dearest)); power++) {
      for (const digit of width > 2.5 ? [1] : [1, 2, 5]) ticks.push(Number(`${digit}e${power}`));
    }
    const shown = paid.length ? ticks.filter((t) => t >= 0.8 * least && t <= 1.3 * dearest) : [];
    const begin = free.length ? [Math.log10(least) - 0.2 * width - (step * (free.length - 1)) / 2] : [];
    // The front: the best mean so far, from what is free (uniform too) to what costs most.
    let best = Math.min(0, ...free.map((m) => scenario.differences[m][0].mean));
    const front = { type: "scatter", mode: "lines", hoverinfo: "none", line: { color: charts.INK, width: 1, dash: "dot", shape: "hv" }, x: [range.x[0]], y: [best] };
    rows.map((m, i) => [scenario.price[m], cells[i].mean, x[i]]).filter(([price]) => price >= scenario.free).sort((a, b) => a[0] - b[0]).forEach(([, mean, where]) => {
      if (mean < best) front.x.push(where), front.y.push((best = mean));
    });
    front.x.push(range.x[1]);
    front.y.push(best);
    charts.plot(id("cost"), [front, lines, dots], { height, hovermode: "closest", margin: { l: 52, r: 12, t: 12, b: 48 },
      xaxis: charts.axis({ range: range.x, tickvals: [...begin, ...shown.map(Math.log10)], ticktext: [...(begin.length ? ["free"] : []), ...shown.map((t) => charts.digits(t))],
        zeroline: false, title: { text: "cost of the weights (% of a base run, log scale)" } }),
      yaxis: charts.axis({ range: range.y, ticksuffix: " %" }),
      shapes: scenario.apart ? [band({ y0: -scenario.apart, y1: scenario.apart, x0: 0, x1: 1, xref: "paper" })] : [] },
    `Mean perplexity against uniform and cost of the weights of ${rows.length} methods`);
  }

  const boxes = () => [...field("chosen").querySelectorAll("input:checked")].map((box) => box.value);
  const ends = (mean, low, high) => (low === null ? "" : `, ${signed(low, 4)} to ${signed(high, 4)}`);

  function drawCurves() {
    const traces = [], marks = [];
    for (const m of boxes().filter((name) => scenario.curves[name])) {
      const { tokens, mean, low, high, seeds } = scenario.curves[m], { colour, symbol } = look[m];
      if (!low.includes(null)) {
        traces.push({ type: "scatter", mode: "lines", x: [...tokens, ...[...tokens].reverse()], y: [...high, ...[...low].reverse()], fill: "toself",
          fillcolor: colour + "1f", line: { width: 0 }, hoverinfo: "skip", showlegend: false });
      }
      const lines = Object.values(seeds).filter((values) => values.length > 1 && Object.keys(seeds).length > 1);
      traces.push(...lines.map((y) => ({ type: "scatter", mode: "lines", x: tokens, y, line: { color: colour, width: 0.7 }, opacity: 0.55, hoverinfo: "skip", showlegend: false })));
      marks.push({ type: "scatter", mode: "lines+markers", x: tokens, y: mean, name: charts.plain(m), line: { color: colour, width: 2.2 }, marker: { symbol, size: 7, color: colour },
        text: mean.map((y, i) => `<b>${charts.plain(m)}</b><br>${signed(y, 4)}${ends(y, low[i], high[i])}`), hovertemplate: "%{text}<extra></extra>", showlegend: true });
    }
    charts.plot(id("curves"), [...traces, ...marks], { height: 420, hovermode: "closest", margin: { l: 56, r: 12, t: 10, b: 44 }, showlegend: true,
      legend: { orientation: "h", y: -0.18, yanchor: "top", font: { size: 11 }, itemclick: false, itemdoubleclick: false },
      xaxis: charts.axis({ title: { text: "training tokens of the base run" }, rangemode: "tozero", nticks: 6 }), yaxis: charts.axis({ title: { text: "nats/token against uniform" } }) },
    `Difference to uniform along training of ${marks.length} methods`);
  }

  function drawWeights() {
    const { domains, seeds, mean } = scenario.weights, shown = boxes().filter((m) => seeds[m]);
    const traces = [];
    shown.forEach((m, j) => {
      const { colour, symbol } = look[m], up = 0.36 * ((2 * (j + 0.5)) / shown.length - 1);
      const small = { x: [], y: [] };
      seeds[m].forEach((values, i) => values.forEach((w) => { small.x.push(100 * w); small.y.push(i + up); }));
      traces.push({ type: "scatter", mode: "markers", ...small, marker: { color: colour, size: 4, opacity: 0.5 }, hoverinfo: "none", showlegend: false });
      traces.push({ type: "scatter", mode: "markers", x: mean[m].map((w) => (w === null ? null : 100 * w)), y: mean[m].map((_, i) => i + up), marker: { color: colour, symbol, size: 8 },
        name: charts.plain(m), showlegend: true, text: mean[m].map((w, i) => `<b>${charts.plain(m)}</b><br>${charts.plain(charts.short(domains[i], 50))} ${w === null ? "–" : charts.percent(w)}`),
        hovertemplate: "%{text}<extra></extra>" });
    });
    const n = domains.length, line = 100 / n;
    charts.plot(id("weights"), traces, { height: 130 + n * Math.max(30, 9 * shown.length), hovermode: "closest", showlegend: true,
      margin: { l: 10, r: 12, t: 48, b: 12 }, legend: { orientation: "h", y: 0, yanchor: "top", font: { size: 11 }, itemclick: false, itemdoubleclick: false },
      yaxis: charts.rowAxis(charts.labels(domains)), xaxis: charts.axis({ rangemode: "tozero", side: "top", ticksuffix: " %", nticks: 6 }),
      shapes: [{ type: "line", x0: line, x1: line, y0: 0, y1: 1, yref: "paper", line: { color: charts.SOFT, dash: "dash", width: 1.3 } },
        ...domains.slice(0, -1).map((_, i) => ({ type: "line", x0: 0, x1: 1, xref: "paper", y0: i + 0.5, y1: i + 0.5, line: { color: "#e6e9ee", width: 1 } }))] },
    `Weights of ${shown.length} methods on ${n} domains`);
  }

  for (const m of [...scenario.methods.map((one) => one.name)]) {
    const label = document.createElement("label"), box = document.createElement("input");
    Object.assign(box, { type: "checkbox", value: m, checked: scenario.first.includes(m) });
    label.append(box, m);
    field("chosen").append(label);
  }
  function chosen() {
    field("chosen-said").textContent = `Choose methods (${boxes().length} of ${scenario.methods.length} shown)`;
    drawCurves();
    drawWeights();
    fillCurves();
  }
  const fillCurves = charts.tableWhenOpen(id("curves-table"), () => ["Tokens", ...boxes().filter((m) => scenario.curves[m])], () => {
    const shown = boxes().filter((m) => scenario.curves[m]);
    const tokens = [...new Set(shown.flatMap((m) => scenario.curves[m].tokens))].sort((a, b) => a - b);
    return tokens.map((t) => [t.toLocaleString("en"), ...shown.map((m) => {
      const i = scenario.curves[m].tokens.indexOf(t);
      return i < 0 ? "–" : signed(scenario.curves[m].mean[i], 4);
    })]);
  });
  field("chosen").addEventListener("change", chosen);
  scenario.columns.forEach((name, i) => field("column").add(new Option(name, i)));
  field("column").addEventListener("change", drawQuality);
  if (compared.length) {
    charts.drawing(drawQuality);
    charts.drawing(drawCost);
  } else {
    ["quality", "cost"].forEach((name) => { field(name).textContent = "There is no method to compare with uniform."; });
  }
  charts.drawing(chosen);
});
