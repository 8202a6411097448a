// The chart of a mixture's weights, the sorting of its table, epochs for a budget, the heat map and the map.
"use strict";

const { data } = charts;
const names = data.domains;
const k = names.length;
const table = document.getElementById("table");
const rowsBy = charts.choice("rows", () => redrawRows.forEach((draw) => draw()));
const redrawRows = [];

// Places of the domains in the order of the charts' rows.
function rowOrder() {
  const order = names.map((_, i) => i);
  return rowsBy() === "weight" ? order.sort((i, j) => data.weights[j] - data.weights[i] || i - j) : order;
}

function hover(i, more) {
  return `<b>${charts.plain(charts.short(names[i], 60))}</b><br>${more}`;
}

function bars(order, values, colour) {
  return { type: "bar", orientation: "h", y: order.map((_, at) => at), x: order.map((i) => 100 * values[i]), width: 0.62,
    marker: { color: colour }, hoverinfo: "none" };
}

function whisker(order, ends, width, cap) {
  const middle = order.map((i) => 50 * (ends.low[i] + ends.high[i]));
  const half = order.map((i) => 50 * (ends.high[i] - ends.low[i]));
  return { type: "scatter", mode: "markers", x: middle, y: order.map((_, at) => at), hoverinfo: "none",
    marker: { opacity: 0 }, error_x: { type: "data", array: half, color: charts.INK, thickness: width, width: cap } };
}

function dots(order, values, marker, texts) {
  return { type: "scatter", mode: "markers", x: order.map((i) => 100 * values[i]), y: order.map((_, at) => at), marker,
    text: texts, hovertemplate: texts ? "%{text}<extra></extra>" : undefined, hoverinfo: texts ? undefined : "none" };
}

function equalLine() {
  return { type: "line", x0: 100 / k, x1: 100 / k, y0: 0, y1: 1, yref: "paper", line: { color: charts.SOFT, dash: "dash", width: 1.5 } };
}

// With more rows than the screen has room for, the axis stands above them.
function many() {
  return k > 22;
}

function equalNote() {
  return { x: 100 / k, y: 1, yref: "paper", yanchor: "bottom", yshift: many() ? 24 : 0, text: `equal: ${charts.percent(1 / k)}`, showarrow: false,
    font: { color: charts.SOFT, size: 11 } };
}

function rowsLayout(order) {
  return { height: charts.rowHeight(k), bargap: 0.3, hovermode: "closest", shapes: [equalLine()], annotations: [equalNote()],
    margin: { l: 10, r: 12, t: many() ? 48 : 26, b: many() ? 12 : 40 }, yaxis: charts.rowAxis(charts.labels(order.map((i) => names[i]))),
    xaxis: charts.axis({ rangemode: "tozero", side: many() ? "top" : "bottom", ticksuffix: " %", nticks: charts.NARROW.matches ? 5 : 10 }) };
}

function drawWeights() {
  const order = rowOrder();
  const said = order.map((i) => hover(i, [`weight ${charts.percent(data.weights[i])}`,
    ...["windows", "documents"].filter((over) => data[over]).map((over) =>
      `over ${over}: ${charts.percent(data[over].low[i])} to ${charts.percent(data[over].high[i])}`),
    ...(data.natural ? [`share of tokens ${charts.percent(data.natural[i])}`] : [])].join("<br>")));
  const traces = [bars(order, data.weights, charts.SKY)];
  if (data.documents) traces.push(whisker(order, data.documents, 1.2, 5));
  if (data.windows) traces.push(whisker(order, data.windows, 4, 0));
  if (data.natural) {
    traces.push(dots(order, data.natural, { symbol: "diamond-open", size: 9, color: charts.RED, line: { width: 2 } }));
  }
  traces.push(dots(order, data.weights, { color: charts.BLUE, size: 8 }, said));
  charts.plot("weights", traces, rowsLayout(order), `Weights of ${k} domains with intervals, beside equal shares`);
}
redrawRows.push(drawWeights);
charts.drawing(drawWeights);

charts.sortable(table);

function setCell(i, key, value, text) {
  const cell = table.querySelector(`tr[data-domain="${i}"] [data-key="${key}"]`);
  if (!cell) return;
  if (value === null) delete cell.dataset.value;
  else cell.dataset.value = value;
  cell.textContent = text;
}

// Epochs: how often a domain's tokens are read when so many tokens are trained on, at the weights shown.
const budget = document.getElementById("budget");
let shown = data.weights;

function tokensOf(text) {
  const found = /^\s*([0-9][0-9_, ]*\.?[0-9]*(?:e[0-9]+)?)\s*([kmbt]?)\s*$/i.exec(text);
  if (!found) return null;
  const size = { "": 1, k: 1e3, m: 1e6, b: 1e9, t: 1e12 }[found[2].toLowerCase()];
  const number = Number(found[1].replace(/[_, ]/g, "")) * size;
  return Number.isFinite(number) && number > 0 ? number : null;
}

function count(n) {
  for (const [size, letter] of [[1e12, "T"], [1e9, "B"], [1e6, "M"], [1e3, "K"]]) {
    if (n >= 0.9995 * size) return `${Number((n / size).toPrecision(3))}${letter}`;
  }
  return String(Number(n.toPrecision(3)));
}

function showEpochs() {
  if (!budget) return;
  const tokens = tokensOf(budget.value);
  const said = document.getElementById("budget-said");
  said.textContent = tokens === null ? "A number, such as 300M or 2.5B, is needed." : `${tokens.toLocaleString("en")} tokens`;
  budget.setAttribute("aria-invalid", tokens === null);
  names.forEach((_, i) => {
    const have = data.tokens[i];
    const epochs = tokens === null || !have ? null : (shown[i] * tokens) / have;
    setCell(i, "epochs", epochs, epochs === null ? "–" : charts.digits(epochs, 3));
  });
}

if (budget) {
  // To begin with: as many tokens as there are.
  budget.value = count(data.tokens.reduce((sum, t) => sum + (t ?? 0), 0) || 1e9);
  budget.addEventListener("input", showEpochs);
  showEpochs();
}

if (data.affinity) {
  const omega = data.affinity;
  const length = omega.map((row, i) => Math.sqrt(Math.max(row[i], 0)));
  let top = 0;
  omega.forEach((row, i) => row.forEach((x, j) => { if (i !== j) top = Math.max(top, Math.abs(x)); }));
  top = top || 1;
  const orderBy = charts.choice("order", () => { drawAffinity(); fillAffinity(); });
  const places = () => (orderBy() === "similarity" ? data.order : names.map((_, i) => i));

  function drawAffinity() {
    const order = places(), z = order.map((i) => order.map((j) => omega[i][j]));
    const cosine = (i, j) => (length[i] && length[j] ? omega[i][j] / length[i] / length[j] : 0);
    const said = order.map((i) => order.map((j) => `${charts.plain(charts.short(names[i], 40))}<br>`
      + `${charts.plain(charts.short(names[j], 40))}<br>affinity ${charts.digits(omega[i][j])}, cosine ${charts.digits(cosine(i, j), 2)}`));
    const texts = charts.labels(order.map((i) => names[i]), charts.NARROW.matches ? 10 : 16);
    const ticks = k > 60 ? { showticklabels: false, ticks: "" } : { tickvals: texts.map((_, i) => i), ticktext: texts,
      ticks: "", tickfont: { size: k > 30 ? 9 : 11 } };
    const trace = { type: "heatmap", z, text: said, hovertemplate: "%{text}<extra></extra>", zmin: -top, zmax: top, colorscale: charts.HEAT,
      xgap: k > 60 ? 0 : 1, ygap: k > 60 ? 0 : 1,
      colorbar: { orientation: "h", y: 1, yanchor: "bottom", thickness: 9, len: 0.8, nticks: 5, tickfont: { size: 10 } } };
    charts.plot("affinity", [trace], { height: Math.min(560, 200 + 30 * k), hovermode: "closest", margin: { l: 10, r: 10, t: 40, b: 20 },
      xaxis: charts.axis({ ...ticks, tickangle: -55, showgrid: false, zeroline: false }),
      yaxis: charts.axis({ ...ticks, showgrid: false, zeroline: false, range: [k - 0.5, -0.5] }) },
    `Heat map of the affinity of ${k} domains, ${orderBy() === "similarity" ? "alike ones side by side" : "in the order given"}`);
  }
  charts.drawing(drawAffinity);
  const fillAffinity = charts.tableWhenOpen("affinity-table", () => ["Domain", ...places().map((i) => names[i])],
    () => places().map((i) => [names[i], ...places().map((j) => charts.digits(omega[i][j]))]));

  const { x, y, shares } = data.map;
  const part = (share) => `${(100 * share).toFixed(0)} %`;
  document.getElementById("map-said").textContent = "Domains near each other look alike to the model; those near the middle are common. "
    + `Larger dots: larger weights. The plane shows ${part(shares[0] + shares[1])} of how the domains differ.`;
  const span = (values) => {
    const low = Math.min(...values), high = Math.max(...values), room = 0.16 * (high - low) || 1;
    return [low - room, high + room];
  };
  function drawMap() {
    const range = { x: span(x), y: span(y) }, height = 440;
    const width = document.getElementById("map").clientWidth - 70;
    const found = charts.place(x, y, charts.labels(names, charts.NARROW.matches ? 12 : 20), width, height - 70, range);
    const most = Math.max(...data.weights);
    const trace = { type: "scatter", mode: "markers+text", x, y, text: found.map((f) => f.text), textposition: found.map((f) => f.side),
      textfont: { size: 11 }, customdata: names.map((_, i) => hover(i, `weight ${charts.percent(data.weights[i])}`)),
      hovertemplate: "%{customdata}<extra></extra>", cliponaxis: false,
      marker: { color: charts.BLUE, opacity: 0.75, line: { color: "#fff", width: 1 }, size: data.weights.map((w) => 6 + 18 * Math.sqrt(w / most)) } };
    charts.plot("map", [trace], { height, hovermode: "closest", margin: { l: 50, r: 12, t: 10, b: 44 },
      xaxis: charts.axis({ range: range.x, title: { text: `component 1 (${part(shares[0])})` } }),
      yaxis: charts.axis({ range: range.y, title: { text: `component 2 (${part(shares[1])})` } }) },
    `Map of ${k} domains on the first two principal components of their embeddings`);
  }
  charts.drawing(drawMap);
  charts.tableWhenOpen("map-table", () => ["Domain", "Component 1", "Component 2", "Weight"],
    () => names.map((name, i) => [name, charts.digits(x[i]), charts.digits(y[i]), charts.percent(data.weights[i])]));
}
