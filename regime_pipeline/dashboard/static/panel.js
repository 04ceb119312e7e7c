"use strict";
/* A panel of charts with its buttons and legend: the period in view, and what is hidden. Who shows an hour stands elsewhere. */
function makePanel(root, model, { hover, pin, changed }) {
  const last = model.hours - 1, DAY = 24 * HOUR;
  const newestWeek = () => [Math.max(model.start, model.end - 7 * DAY), model.end];
  const state = { view: newestWeek(), at: last, isVeiled: false, candles: null, hidden: new Set() };
  const least = Math.min(Math.max((24 * model.bars.at(-1).step_ms) / 1e3, 2 * HOUR), 6 * HOUR);
  const hourAt = (seconds) => Math.min(Math.max(Math.floor((seconds - model.start) / HOUR), 0), last);
  const drawn = makeCharts(model, state, root, {
    hover: (seconds) => hover(seconds === null ? null : hourAt(seconds)),
    view: (from, to) => setView(from, to),
    pin: (seconds) => pin(hourAt(seconds)),
  });

  function setView(from, to) {
    const width = Math.min(Math.max(to - from, least), model.end - model.start);
    const start = Math.min(Math.max(from, model.start), model.end - width);
    state.view = [start, start + width];
    drawn.show();
    for (const button of root.querySelectorAll("[data-days]")) {
      const days = Number(button.dataset.days);
      button.setAttribute("aria-pressed", String(Math.abs(width - Math.min(days ? days * DAY : Infinity, model.end - model.start)) < 1));
    }
    changed();
  }
  function setHidden(names) {
    state.hidden = new Set(names);
    for (const check of root.querySelectorAll("[data-label]")) check.checked = !state.hidden.has(`${check.dataset.column}.${check.dataset.label}`);
  }

  for (const button of root.querySelectorAll("[data-days]")) {
    button.addEventListener("click", () => { const to = state.view[1]; setView(to - (Number(button.dataset.days) * DAY || Infinity), to); });
  }
  for (const button of root.querySelectorAll("[data-pan]")) {
    button.addEventListener("click", () => { const by = (Number(button.dataset.pan) * (state.view[1] - state.view[0])) / 2; setView(state.view[0] + by, state.view[1] + by); });
  }
  for (const check of root.querySelectorAll("[data-label]")) {
    check.addEventListener("change", () => {
      state.hidden[check.checked ? "delete" : "add"](`${check.dataset.column}.${check.dataset.label}`);
      drawn.redraw();
      changed();
    });
  }
  gestures(drawn.charts, state, { setView, pin, last, reset: () => setView(...newestWeek()) });
  return { state, drawn, last, hourAt, setView, setHidden };
}
