"use strict";
/* A report's charts over time: one panel a market, made when it comes into view or is printed. */
(() => {
  const roots = document.querySelectorAll("[data-payload]"), made = new Set();
  function start(root) {
    if (made.has(root)) return;
    made.add(root);
    const model = readPayload(JSON.parse(document.getElementById(root.dataset.payload).textContent));
    const slider = root.querySelector("input[type=range]");
    let panel = null;
    const setHour = (hour) => {
      panel.state.at = hour;
      slider.value = hour;
      showHour(root, model, hour);
      const [time, verdict] = ["time", "verdict"].map((name) => root.querySelector(`[data-r="${name}"]`).textContent);
      slider.setAttribute("aria-valuetext", `${time} ${offsetAt(model.start + (hour + 1) * HOUR)}, ${verdict}`);
      panel.drawn.redraw();
    };
    panel = makePanel(root, model, { hover: (hour) => panel && showHour(root, model, hour ?? panel.state.at), pin: setHour, changed: () => null });
    panel.setView(model.start, model.end);
    setHour(panel.last);
    slider.addEventListener("input", () => setHour(Number(slider.value)));
    document.addEventListener("zone", () => setHour(panel.state.at));
    root.dataset.ready = "true";
  }
  const seen = new IntersectionObserver((found) => found.forEach((entry) => { if (entry.isIntersecting) start(entry.target); }), { rootMargin: "400px" });
  roots.forEach((root) => seen.observe(root));
  addEventListener("beforeprint", () => roots.forEach(start));
})();
