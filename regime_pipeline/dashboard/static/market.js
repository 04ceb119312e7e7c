"use strict";
/* The state of a market's page: hour, playback, address. Everything is a function of it. */
(() => {
  const model = readPayload(window.REGIME), box = (id) => document.getElementById(id);
  const veil = makeVeil(model);
  let panel = null, timer = null, hovered = null, address = null, isUsed = false;
  panel = makePanel(document, model, { hover: show, pin: setHour, changed: () => { tellCandles(); remember(); } });
  const { state, drawn, last, hourAt, setView } = panel;

  function show(hour) {
    if (!panel || (hour === hovered && hour !== null)) return;
    hovered = hour;
    showHour(document, model, hour === null || (state.isVeiled && hour > state.at) ? state.at : hour);
  }
  function setVeil(isOn) {
    if (isOn || state.isVeiled) { veil(isOn ? state.at : null); drawn.refresh(); }
    box("veil").checked = state.isVeiled = isOn;
  }
  function setHour(hour) {
    state.at = hour;
    hovered = null;
    setVeil(state.isVeiled);
    const slider = box("hour"), close = model.start + (hour + 1) * HOUR, verdict = label(model, "verdict", hour);
    slider.value = hour;
    slider.setAttribute("aria-valuetext", `${localStamp(close)}, ${verdict ? words(verdict) : "no row"}`);
    const [from, to] = state.view;
    if (close > to) setView(close - 0.75 * (to - from), close + 0.25 * (to - from));
    else if (close <= from) setView(close - 0.25 * (to - from), close + 0.75 * (to - from));
    else drawn.redraw();
    showHour(document, model, hour);
    remember();
  }
  function play(isOn) {
    clearInterval(timer);
    timer = null;
    if (isOn) {
      if (state.at === last) setHour(hourAt(state.view[0]));
      setVeil(true);
      timer = setInterval(() => (state.at < last ? setHour(state.at + 1) : play(false)), 1000 / Number(box("speed").value));
    }
    box("play").textContent = isOn ? "Pause" : "Play";
    box("play").setAttribute("aria-pressed", String(isOn));
  }

  /* Candles come from a file of their own, once they are asked for; a page that cannot have them goes on with the line. */
  let bars = null;
  async function setPrice(kind) {
    const isCandles = kind === "candles";
    document.documentElement.classList.toggle("candles", isCandles);
    for (const button of document.querySelectorAll("[data-price]")) button.setAttribute("aria-pressed", String(button.dataset.price === kind));
    if (isCandles) bars ??= await loadCandles(box("candles").href);
    if (isCandles !== document.documentElement.classList.contains("candles")) return;  // chosen otherwise meanwhile
    if (isCandles && !bars?.length) { setPrice("line"); box("candle-note").textContent = "There are no candles"; return; }
    drawn.asCandles(isCandles ? makeCandles(model, state, bars) : null);
    tellCandles();
    document.documentElement.dataset.shown = kind;
  }
  function tellCandles() {
    if (panel?.state.candles) box("candle-note").textContent = candleNote(bars, panel.state.candles);
  }

  /* The address holds period, hour and hidden states once they were chosen, so that it can be passed on; changed at rest. */
  function remember() {
    clearTimeout(address);
    if (!isUsed) return;
    address = setTimeout(() => {
      const [from, to, at] = [...state.view, model.start + state.at * HOUR].map(isoMinute);
      history.replaceState(null, "", `#from=${from}&to=${to}&at=${at}${state.hidden.size ? `&hide=${[...state.hidden]}` : ""}`);  // no hashchange: that one is the reader's
      keepLinks();
    }, 250);
  }
  function keepLinks() {
    for (const link of document.querySelectorAll("a.keep")) link.hash = location.hash;
  }
  function recall() {
    const given = new URLSearchParams(location.hash.slice(1));
    const [from, to, at] = ["from", "to", "at"].map((name) => Date.parse(`${given.get(name)}Z`) / 1e3);
    panel.setHidden((given.get("hide") ?? "").split(",").filter(Boolean));
    setHour(at >= 0 ? hourAt(at) : state.at);
    setView(...(to > from ? [from, to] : state.view));
    keepLinks();
  }

  box("hour").addEventListener("input", (event) => setHour(Number(event.target.value)));
  box("veil").addEventListener("change", (event) => setVeil(event.target.checked));
  box("play").addEventListener("click", () => play(timer === null));
  box("speed").addEventListener("change", () => { if (timer !== null) play(true); });
  box("csv").addEventListener("click", () => save(new Blob([csvOf(model, state.view)], { type: "text/csv" }), `${viewName(model, state.view)}.csv`));
  box("png").addEventListener("click", async () => save(await pngOf(model, state.view, drawn), `${viewName(model, state.view)}.png`));
  for (const button of document.querySelectorAll("[data-price]")) {
    button.addEventListener("click", () => { keep("price", button.dataset.price); setPrice(button.dataset.price); });
  }
  document.addEventListener("zone", () => { setHour(state.at); tellCandles(); });
  addEventListener("hashchange", () => { isUsed = false; recall(); isUsed = true; });
  recall();
  isUsed = true;
  if (KEPT.price === "candles") setPrice("candles");
  requestAnimationFrame(() => {
    performance.mark("charts-ready");
    document.documentElement.dataset.ready = "true";
  });
})();
