"use strict";
/* Hides all that is later than an hour: from charts and exports, which read the model, and from the page, which tells of the end. */
function makeVeil(model) {
  const whole = { ...model }, title = document.title, price = document.querySelector("#price"), said = price.ariaLabel;
  const parts = [...document.querySelectorAll("[data-later]")].map((node) => ({ node, inside: [...node.childNodes] }));

  function cut(hours) {
    const end = whole.start + hours * HOUR, ends = whole.times.findIndex((time) => time > end);
    const known = ends < 0 ? whole.times.length : ends;
    const columns = Object.entries(whole.columns).map(([name, column]) =>
      [name, { ...column, values: column.values.map((value, hour) => (hour < hours ? value : null)) }]);
    return {
      shown: hours,
      columns: Object.fromEntries(columns),
      times: whole.times.slice(0, known),
      close: whole.close.slice(0, known),
      events: whole.events.filter(({ ms }) => ms <= end * 1e3),
      grids: whole.grids.filter(({ from_ms: from }) => from < end * 1e3).map((grid) => ({ ...grid, to_ms: Math.min(grid.to_ms, end * 1e3) })),
    };
  }
  /* What the chart says of itself names the last price. */
  function tellPrice(isOn) {
    price.ariaLabel = zoned(isOn ? said.replace(/, last [^;]*/, "") : said);
  }
  document.addEventListener("zone", () => tellPrice(document.documentElement.classList.contains("veiled")));
  tellPrice(false);
  /* The last hour to show; null hides nothing. */
  return (last) => {
    const isOn = last !== null && last < whole.hours - 1;
    Object.assign(model, isOn ? cut(last + 1) : { ...whole });
    if (isOn === document.documentElement.classList.contains("veiled")) return;
    document.documentElement.classList.toggle("veiled", isOn);
    document.title = isOn ? model.market : title;
    tellPrice(isOn);
    for (const { node, inside } of parts) node.replaceChildren(...(isOn ? [node.dataset.later].filter(Boolean) : inside));
  };
}
