"use strict";
/* Search, filters and order of the overview. The address keeps them, so that a view can be passed on and outlives a reload. */
(() => {
  const form = document.querySelector(".filters");
  if (!form) return;
  const body = document.querySelector(".markets tbody"), rows = [...body.rows];
  const cells = new Map([...document.querySelectorAll(".heat a")].map((cell) => [cell.dataset.key, cell]));
  const NAMES = ["q", "verdict", "timeframe", "only", "sort"], field = (name) => form.elements[name].value;
  const number = (row, name, none) => (row.dataset[name] === "" ? none : Number(row.dataset[name]));
  const best = (row) => ["RANGE_WEAK", "RANGE_OK"].indexOf(row.dataset.verdict);
  const ORDERS = {
    symbol: (one, other) => one.dataset.key.localeCompare(other.dataset.key, "en", { numeric: true }),
    quality: (one, other) => best(other) - best(one) || number(other, "quality", -1) - number(one, "quality", -1),
    confidence: (one, other) => number(other, "confidence", -1) - number(one, "confidence", -1),
    edge: (one, other) => number(one, "edge", 1e9) - number(other, "edge", 1e9),
    hold: (one, other) => number(one, "hold", 2) - number(other, "hold", 2),
    move: (one, other) => number(other, "move", -1) - number(one, "move", -1),
  };

  function isShown(row) {
    const { key, verdict, timeframe, only } = row.dataset, wanted = field("only");
    return key.toLowerCase().includes(field("q").trim().toLowerCase())
      && [["verdict", verdict], ["timeframe", timeframe]].every(([name, value]) => !field(name) || field(name) === value)
      && (!wanted || only.split(" ").includes(wanted) || (wanted === "stale" && row.querySelector(".age.stale") !== null));
  }
  function apply() {
    const order = ORDERS[field("sort")];
    body.append(...(order ? [...rows].sort(order) : rows));
    let count = 0;
    for (const row of rows) {
      row.hidden = !isShown(row);
      cells.get(row.dataset.key).classList.toggle("dim", row.hidden);
      count += !row.hidden;
    }
    form.elements.count.value = `${count} of ${rows.length}`;
    document.querySelector("#no-match").hidden = count > 0;
  }
  function changed() {
    apply();
    const chosen = NAMES.filter(field).map((name) => [name, field(name)]);
    history.replaceState(null, "", chosen.length ? `#${new URLSearchParams(chosen)}` : location.pathname);
  }
  function recall() {
    const given = new URLSearchParams(location.hash.slice(1));
    for (const name of NAMES) form.elements[name].value = given.get(name) ?? "";
    for (const list of form.querySelectorAll("select")) if (list.selectedIndex < 0) list.value = "";
    apply();
  }

  form.addEventListener("input", changed);
  form.addEventListener("reset", () => setTimeout(changed));
  form.addEventListener("submit", (event) => event.preventDefault());
  addEventListener("hashchange", recall);
  recall();
  requestAnimationFrame(() => { performance.mark("overview-ready"); });
})();
