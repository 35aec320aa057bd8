"use strict";
// Text from the run reaches the page as text only: textContent and values of options, never markup.
const content = (id) => JSON.parse(document.getElementById(id).textContent);
const make = (name, parent, text) => {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  return parent.appendChild(made);
};

function showTrials({ columns, rows }, colors) {
  const PAGE = 25;
  const table = document.getElementById("trials");
  const search = document.getElementById("search");
  const count = document.getElementById("count");
  const [before, after] = ["before", "after"].map((id) => document.getElementById(id));
  // What is searched is what is shown.
  const text = (cells) => cells.map((value, column) => shown(value, columns[column].kind)).join("\n").toLowerCase();
  const all = rows.map((cells, place) => ({ cells, place, text: text(cells) }));
  const order = { column: null, sign: 1 };
  let chosen = all, first = 0;

  const heads = columns.map(({ label, kind }, column) => {
    const head = make("th", table.tHead.rows[0]);
    head.scope = "col";
    head.className = kind;
    head.setAttribute("aria-sort", "none");
    const button = make("button", head);
    make("bdi", button, label);
    button.type = "button";
    button.addEventListener("click", () => {
      order.sign = order.column === column ? -order.sign : 1;
      order.column = column;
      heads.forEach((one, other) =>
        one.setAttribute("aria-sort", other !== column ? "none" : order.sign > 0 ? "ascending" : "descending"));
      update();
    });
    return head;
  });

  const choices = columns.flatMap(({ label, kind }, column) => {
    if (kind !== "choose") return [];
    const holder = make("label", document.getElementById("choices"));
    make("bdi", holder, label);
    const select = make("select", holder);
    make("option", select, "all").value = "";
    const counts = new Map();
    rows.forEach((cells) => counts.set(cells[column], (counts.get(cells[column]) || 0) + 1));
    [...counts.keys()].sort().forEach((value) => {
      make("option", select, `\u2068${value}\u2069 (${counts.get(value)})`).value = value;
    });
    select.addEventListener("change", update);
    return [{ column, select }];
  });

  function compare(one, other) {
    const [a, b] = [one.cells[order.column], other.cells[order.column]];
    // What is not known stays at the end, and numbers come before text.
    if (a === null || b === null) return (a === null) - (b === null) || one.place - other.place;
    if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
    const found = typeof a === "number" ? a - b : a.localeCompare(b, undefined, { numeric: true });
    return order.sign * found || one.place - other.place;
  }

  function update() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const wanted = choices.filter(({ select }) => select.value !== "");
    chosen = all.filter(({ cells, text }) =>
      words.every((word) => text.includes(word)) &&
      wanted.every(({ column, select }) => cells[column] === select.value));
    if (order.column !== null) chosen.sort(compare);
    first = 0;
    show();
  }

  function shown(value, kind) {
    if (value === null) return "";
    return kind === "number" && typeof value === "number" ? String(Number(value.toPrecision(4))) : String(value);
  }

  function show() {
    const body = document.createElement("tbody");
    chosen.slice(first, first + PAGE).forEach(({ cells }) => {
      const row = make("tr", body);
      cells.forEach((value, column) => {
        const { kind } = columns[column];
        const cell = make("td", row);
        cell.className = kind;
        if (Object.hasOwn(colors, value) && columns[column].label === "Verdict") {
          make("span", cell).className = "swatch";
          cell.firstChild.style.background = colors[value];
        }
        make("bdi", cell, shown(value, kind));
        if (kind !== "number") cell.title = shown(value, kind);
      });
    });
    table.tBodies[0].replaceWith(body);
    const last = Math.min(first + PAGE, chosen.length);
    const range = chosen.length ? `${first + 1} to ${last} of ${chosen.length}` : "none";
    count.textContent = `${range}${chosen.length < all.length ? `, chosen from ${all.length}` : ""}`;
    before.disabled = first === 0;
    after.disabled = last === chosen.length;
  }

  search.addEventListener("input", update);
  before.addEventListener("click", () => { first -= PAGE; show(); });
  after.addEventListener("click", () => { first += PAGE; show(); });
  show();
}

// A figure is drawn when it comes near the window, so that the page is there at once.
function showFigures() {
  const draw = (plot) => {
    if (plot.dataset.drawn) return;
    plot.dataset.drawn = "yes";
    const { data, layout } = content(`${plot.id}-figure`);
    Plotly.newPlot(plot, data, layout, { responsive: true, displaylogo: false })
      .then(() => performance.mark(`${plot.id}-drawn`));
  };
  const plots = [...document.querySelectorAll(".plot")];
  const watch = new IntersectionObserver(
    (entries) => entries.filter((entry) => entry.isIntersecting).forEach(({ target }) => {
      watch.unobserve(target);
      draw(target);
    }),
    { rootMargin: "400px" });
  plots.forEach((plot) => watch.observe(plot));
  window.addEventListener("beforeprint", () => plots.forEach(draw));
}

// The table needs no library; Plotly, which takes longest to read, comes after this script.
showTrials(content("trials-data"), content("colors-data"));
performance.mark("trials-shown");
document.addEventListener("DOMContentLoaded", showFigures);
