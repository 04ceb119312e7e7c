"use strict";
/* Wheel, dragging with Shift, double click and keys: ways to move the period in view beside the buttons. */
const ZOOM = 1.25;

function gestures(charts, state, { setView, reset, pin, last }) {
  const span = () => state.view[1] - state.view[0];
  const pan = (seconds) => setView(state.view[0] + seconds, state.view[1] + seconds);
  function zoom(by, at) {
    const [from, to] = state.view;
    setView(at - (at - from) * by, at + (to - at) * by);
  }

  for (const chart of charts) {
    const perPixel = () => span() / chart.over.clientWidth;
    /* The wheel zooms the price alone, so that the page can still be scrolled over the other charts; sideways it moves all. */
    chart.over.addEventListener("wheel", (event) => {
      const isSideways = Math.abs(event.deltaX) > Math.abs(event.deltaY);
      if (!isSideways && chart !== charts[0]) return;
      event.preventDefault();
      if (isSideways) pan(event.deltaX * perPixel());
      else zoom(event.deltaY > 0 ? ZOOM : 1 / ZOOM, chart.posToVal(event.clientX - chart.over.getBoundingClientRect().left, "x"));
    }, { passive: false });
    chart.over.addEventListener("dblclick", reset);
    chart.root.addEventListener("mousedown", (event) => {
      if (!event.shiftKey) return;
      event.stopPropagation();  // without Shift a span is drawn
      event.preventDefault();
      let before = event.clientX;
      const move = (moved) => { pan((before - moved.clientX) * perPixel()); before = moved.clientX; };
      document.addEventListener("mousemove", move);
      document.addEventListener("mouseup", () => document.removeEventListener("mousemove", move), { once: true });
    }, true);
  }

  const box = charts[0].root.parentElement, middle = () => (state.view[0] + state.view[1]) / 2;
  const step = (event, by) => (event.shiftKey ? pan((by * span()) / 4) : pin(Math.min(Math.max(state.at + by, 0), last)));
  const KEYS = {
    ArrowLeft: (event) => step(event, -1), ArrowRight: (event) => step(event, 1),
    "+": () => zoom(1 / ZOOM, middle()), "-": () => zoom(ZOOM, middle()),
    Home: () => pin(0), End: () => pin(last), 0: reset,
  };
  box.tabIndex = 0;
  box.addEventListener("keydown", (event) => {
    const act = event.ctrlKey || event.metaKey || event.altKey ? null : KEYS[event.key];
    if (!act) return;
    event.preventDefault();
    act(event);
  });
}
