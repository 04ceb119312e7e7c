"use strict";
/* The state of a market's page: period, hour, playback, filters, address. Everything is a function of it. */
(() => {
  const model = readPayload(window.REGIME), box = (id) => document.getElementById(id);
  const last = model.hours - 1, DAY = 24 * HOUR;
  const state = { view: [Math.max(model.start, model.end - 7 * DAY), model.end], at: last, isVeiled: false, hidden: new Set() };
  let timer = null, hovered = null, address = null, isUsed = false;

  const hourAt = (seconds) => Math.min(Math.max(Math.floor((seconds - model.start) / HOUR), 0), last);
  const drawn = makeCharts(model, state, {
    hover: (seconds) => show(seconds === null ? null : hourAt(seconds)),
    view: (from, to) => setView(from, to),
    pin: (seconds) => setHour(hourAt(seconds)),
  });

  function show(hour) {
    if (hour === hovered && hour !== null) return;
    hovered = hour;
    showHour(model, hour === null || (state.isVeiled && hour > state.at) ? state.at : hour);
  }
  function setView(from, to) {
    const width = Math.min(Math.max(to - from, 6 * HOUR), model.end - model.start);
    const start = Math.min(Math.max(from, model.start), model.end - width);
    state.view = [start, start + width];
    drawn.show();
    for (const button of document.querySelectorAll("[data-days]")) {
      const days = Number(button.dataset.days);
      button.setAttribute("aria-pressed", String(Math.abs(width - Math.min(days ? days * DAY : Infinity, model.end - model.start)) < 1));
    }
    remember();
  }
  function setHour(hour) {
    state.at = hour;
    hovered = null;
    const slider = box("hour"), close = model.start + (hour + 1) * HOUR, verdict = label(model, "verdict", hour);
    slider.value = hour;
    slider.setAttribute("aria-valuetext", `${isoMinute(close).replace("T", " ")} UTC, ${verdict ? words(verdict) : "no row"}`);
    const [from, to] = state.view;
    if (close > to) setView(close - 0.75 * (to - from), close + 0.25 * (to - from));
    else if (close <= from) setView(close - 0.25 * (to - from), close + 0.75 * (to - from));
    else drawn.redraw();
    showHour(model, hour);
    remember();
  }
  function play(isOn) {
    clearInterval(timer);
    timer = null;
    if (isOn) {
      if (state.at === last) setHour(hourAt(state.view[0]));
      box("veil").checked = state.isVeiled = true;
      timer = setInterval(() => (state.at < last ? setHour(state.at + 1) : play(false)), 1000 / Number(box("speed").value));
    }
    box("play").textContent = isOn ? "Pause" : "Play";
    box("play").setAttribute("aria-pressed", String(isOn));
  }

  /* The address holds period, hour and hidden states once they were chosen, so that it can be passed on; changed at rest. */
  function remember() {
    clearTimeout(address);
    if (!isUsed) return;
    address = setTimeout(() => {
      const [from, to, at] = [...state.view, model.start + state.at * HOUR].map(isoMinute);
      location.replace(`#from=${from}&to=${to}&at=${at}${state.hidden.size ? `&hide=${[...state.hidden]}` : ""}`);
      keepLinks();
    }, 250);
  }
  function keepLinks() {
    for (const link of document.querySelectorAll("a.keep")) link.hash = location.hash;
  }
  function recall() {
    const given = new URLSearchParams(location.hash.slice(1));
    const [from, to, at] = ["from", "to", "at"].map((name) => Date.parse(`${given.get(name)}Z`) / 1e3);
    state.hidden = new Set((given.get("hide") ?? "").split(","));
    state.hidden.delete("");
    for (const check of document.querySelectorAll("[data-label]")) check.checked = !state.hidden.has(`${check.dataset.column}.${check.dataset.label}`);
    setHour(at >= 0 ? hourAt(at) : state.at);
    setView(...(to > from ? [from, to] : state.view));
    keepLinks();
  }

  for (const button of document.querySelectorAll("[data-days]")) {
    button.addEventListener("click", () => { const to = state.view[1]; setView(to - (Number(button.dataset.days) * DAY || Infinity), to); });
  }
  for (const button of document.querySelectorAll("[data-pan]")) {
    button.addEventListener("click", () => { const by = (Number(button.dataset.pan) * (state.view[1] - state.view[0])) / 2; setView(state.view[0] + by, state.view[1] + by); });
  }
  for (const check of document.querySelectorAll("[data-label]")) {
    check.addEventListener("change", () => {
      state.hidden[check.checked ? "delete" : "add"](`${check.dataset.column}.${check.dataset.label}`);
      drawn.redraw();
      remember();
    });
  }
  box("hour").addEventListener("input", (event) => setHour(Number(event.target.value)));
  box("veil").addEventListener("change", (event) => { state.isVeiled = event.target.checked; drawn.redraw(); });
  box("play").addEventListener("click", () => play(timer === null));
  box("speed").addEventListener("change", () => { if (timer !== null) play(true); });
  box("csv").addEventListener("click", () => save(new Blob([csvOf(model, state.view)], { type: "text/csv" }), `${viewName(model, state.view)}.csv`));
  box("png").addEventListener("click", async () => save(await pngOf(model, state.view, drawn), `${viewName(model, state.view)}.png`));
  addEventListener("hashchange", () => { isUsed = false; recall(); isUsed = true; });
  recall();
  isUsed = true;
  requestAnimationFrame(() => {
    performance.mark("charts-ready");
    document.documentElement.dataset.ready = "true";
  });
})();
