// What both pages draw with: data of the page, text that never becomes markup, Plotly, tables, choices.
"use strict";

const charts = (() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  // Okabe and Ito's palette, which readers with any colour vision can tell apart.
  const BLUE = "#0072B2", SKY = "#9ecbe8", RED = "#D55E00", ORANGE = "#E69F00", INK = "#1d2430", SOFT = "#566070";
  const LINE = "#d9dee5";
  const HEAT = [[0, "#2166ac"], [0.25, "#92c5de"], [0.5, "#f7f7f7"], [0.75, "#f4a582"], [1, "#b2182b"]];
  const NARROW = window.matchMedia("(max-width: 640px)");
  const drawings = [];

  // Plotly reads a few tags in its texts; a name is text.
  function plain(text) {
    return String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  }

  function short(text, letters) {
    const signs = [...String(text)];
    return signs.length <= letters ? text : signs.slice(0, letters - 1).join("") + "…";
  }

  // Names for an axis: as long as there is room for, told apart by their ends where their beginnings agree.
  function labels(names, letters = NARROW.matches ? 14 : 26) {
    const cut = names.map((name) => short(name, letters));
    return names.map((name, i) => {
      if (cut.indexOf(cut[i]) === cut.lastIndexOf(cut[i])) return plain(cut[i]);
      const signs = [...name], half = Math.floor(letters / 2);
      return plain(signs.slice(0, half).join("") + "…" + signs.slice(-half + 1).join(""));
    });
  }

  function percent(share) {
    const value = 100 * share;
    if (value === 0 || value >= 99.95) return value.toFixed(0) + " %";
    if (value >= 1) return value.toFixed(1) + " %";
    return value >= 0.001 ? Number(value.toPrecision(2)) + " %" : "< 0.001 %";
  }

  function digits(value, n = 4) {
    return String(Number(value.toPrecision(n))).replace("-", "−");
  }

  // Draw now, and again when the page becomes narrow or wide: labels are cut to the room there is.
  function drawing(draw) {
    drawings.push(draw);
    draw();
  }
  NARROW.addEventListener("change", () => drawings.forEach((draw) => draw()));

  function plot(id, traces, layout, said) {
    const place = document.getElementById(id);
    place.style.height = `${layout.height}px`;
    place.setAttribute("role", "img");
    place.setAttribute("aria-label", said);
    const font = { family: "system-ui, sans-serif", size: NARROW.matches ? 11 : 12.5, color: INK };
    const look = { font, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", showlegend: false,
      margin: { l: 10, r: 12, t: 26, b: 40 }, hoverlabel: { align: "left", namelength: -1 }, dragmode: false };
    Plotly.react(place, traces, { ...look, ...layout }, { displayModeBar: false, responsive: true, scrollZoom: false });
  }

  function axis(more) {
    const title = more.title && { standoff: 8, font: { size: 12 }, ...more.title };
    return { gridcolor: LINE, zerolinecolor: "#8b95a3", automargin: true, fixedrange: true, ...more, ...(title && { title }) };
  }

  // A log axis from low to high with ticks at 1, 2 and 5 (at powers of ten alone where there are many).
  function logAxis(low, high, more) {
    const ends = [Math.log10(low), Math.log10(high)], ticks = [];
    for (let power = Math.floor(ends[0]); power <= Math.ceil(ends[1]); power++) {
      for (const digit of ends[1] - ends[0] > 3 ? [1] : [1, 2, 5]) {
        const at = Number(`${digit}e${power}`);
        if (at >= low && at <= high) ticks.push(at);
      }
    }
    return axis({ type: "log", range: ends, tickvals: ticks, ticktext: ticks.map((t) => digits(t)), ...more });
  }

  // An axis of rows from top to bottom, one per name.
  function rowAxis(texts) {
    const n = texts.length;
    return axis({ tickvals: texts.map((_, i) => i), ticktext: texts, range: [n - 0.4, -0.6], showgrid: false,
      zeroline: false, ticks: "", ticklabelstandoff: 6, tickfont: { size: n > 60 ? 10 : NARROW.matches ? 11 : 12.5 } });
  }

  function rowHeight(n) {
    return 76 + n * (n > 60 ? 15 : n > 25 ? 20 : 28);
  }

  // A table made when its element is opened: its numbers may be many. rows: cells, the first a heading.
  function tableWhenOpen(id, head, rows) {
    const details = document.getElementById(id);
    const fill = () => {
      if (!details.open) return;
      const table = document.createElement("table");
      const top = table.createTHead().insertRow();
      head().forEach((text) => cell(top, "th", text).setAttribute("scope", "col"));
      const body = table.createTBody();
      for (const one of rows()) {
        const row = body.insertRow();
        one.forEach((text, i) => {
          const made = cell(row, i ? "td" : "th", text);
          if (!i) made.setAttribute("scope", "row");
        });
      }
      details.querySelector("div").replaceChildren(table);
    };
    details.addEventListener("toggle", fill);
    return fill;
  }

  function cell(row, tag, text) {
    const made = document.createElement(tag);
    made.textContent = text;
    row.appendChild(made);
    return made;
  }

  // Each heading is a button: numbers from the largest down first, names from A to Z; cells without one last.
  function sortable(table) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, at) => head.querySelector("button")?.addEventListener("click", () => {
      const body = table.tBodies[0], named = at === 0;
      const up = head.getAttribute("aria-sort") ? head.getAttribute("aria-sort") === "descending" : named;
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const value = (row) => row.cells[at].dataset.value;
      body.append(...[...body.rows].sort((a, b) => {
        if (named) return (up ? 1 : -1) * a.cells[0].textContent.localeCompare(b.cells[0].textContent);
        const [x, y] = [value(a), value(b)];
        return x === undefined || y === undefined ? (x === undefined) - (y === undefined) : (up ? 1 : -1) * (x - y);
      }));
    }));
  }

  // What is chosen of a group of radio buttons; `then` runs when that changes.
  function choice(name, then) {
    const group = document.querySelector(`[data-choice="${name}"]`);
    if (then) group.addEventListener("change", then);
    return () => group.querySelector("input:checked").value;
  }

  function setChoice(name, value) {
    const wanted = [...document.querySelectorAll(`[data-choice="${name}"] input`)].find((i) => i.value === value);
    if (wanted) wanted.checked = true;
  }

  // Where each point's label stands (above, beside, below), so that labels cover neither each other nor points;
  // one that finds no room is left to the hover text. x, y: in units of the plot's range.
  function place(x, y, texts, width, height, range) {
    const px = x.map((v) => ((v - range.x[0]) / (range.x[1] - range.x[0])) * width);
    const py = y.map((v) => ((range.y[1] - v) / (range.y[1] - range.y[0])) * height);
    const taken = px.map((v, i) => [v - 6, py[i] - 6, v + 6, py[i] + 6]);
    const sides = [["middle right", 9, -7], ["middle left", null, -7], ["top center", 0.5, -23], ["bottom center", 0.5, 9]];
    return texts.map((text, i) => {
      const long = 6.6 * [...text.replace(/&[a-z]+;/g, "x")].length;
      for (const [name, dx, dy] of sides) {
        const left = dx === null ? px[i] - 9 - long : dx === 0.5 ? px[i] - long / 2 : px[i] + dx;
        const box = [left, py[i] + dy, left + long, py[i] + dy + 14];
        const inside = box[0] >= 0 && box[2] <= width && box[1] >= 0 && box[3] <= height;
        const free = taken.every((t) => box[2] < t[0] || box[0] > t[2] || box[3] < t[1] || box[1] > t[3]);
        if (inside && free) {
          taken.push(box);
          return { text, side: name };
        }
      }
      return { text: "", side: "middle right" };
    });
  }

  return { data, plain, short, labels, percent, digits, drawing, plot, axis, logAxis, rowAxis, rowHeight, tableWhenOpen, sortable, choice,
    setChoice, place, NARROW, HEAT, BLUE, SKY, RED, ORANGE, INK, SOFT };
})();
