"use strict";
/* Charts on one time axis, those that the page has a place for. They draw a model in a view (seconds); panel.js changes it. */
const SHAPES = {  // top and bottom of each state's block in its row, so that colour is never the only sign
  RANGE_OK: [0.55, 1], RANGE_WEAK: [0.4, 1], TREND: [0.2, 1], TRANSITION: [0, 1], INSUFFICIENT_DATA: [0.75, 1],
  RANGE: [0.3, 0.75], TREND_UP: [0, 0.5], TREND_DOWN: [0.5, 1], CHOPPY: [0, 1], NEUTRAL: [0.42, 0.62], UNDEFINED: [0.48, 0.56],
  NONE: [0.9, 1], GATE_1: [0.5, 1], GATE_2: [0.35, 1], GATE_3: [0.2, 1], PASSED: [0.1, 1], PERMITTED: [0, 1],
};
const SCORES = [["trend_score", "Trend", "bad"], ["vol_change_score", "Vol change", "bad"], ["mean_rev_score", "Mean rev", "good"],
  ["range_quality_score", "Range quality", "good"], ["grid_capacity_score", "Capacity", "good"]];
const RIBBONS = [["verdict", "Verdict"], ["candle_regime", "3D regime"], ["gate_state", "Gates"], ["truth", "True label"], ["hindsight", "Hindsight"]];
const AXIS = 84;

function makeCharts(model, state, root, on) {
  const ink = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  let inks = {};
  const color = (name) => (inks[name] ??= ink(name));
  const ratio = () => uPlot.pxRatio;
  const x = (u, seconds) => u.valToPos(seconds, "x", true);
  const y = (u, value) => u.valToPos(value, "y", true);
  const nothing = model.hourStarts.map(() => null), known = (name) => model.columns[name]?.values ?? nothing;
  const hours = () => [Math.max(Math.floor((state.view[0] - model.start) / HOUR), 0),
    Math.min(Math.ceil((state.view[1] - model.start) / HOUR), model.shown)];

  /* Calls draw(value, first hour, one past the last) for every run of equal values in view. */
  function runs(values, draw) {
    const [from, to] = hours();
    for (let i = from, j; i < to; i = j) {
      for (j = i + 1; j < to && values[j] === values[i];) j++;
      draw(values[i], model.start + i * HOUR, model.start + j * HOUR);
    }
  }
  function clipped(u, draw) {
    const { ctx, bbox } = u;
    ctx.save();
    ctx.lineJoin = "miter";  // whatever was drawn before
    ctx.lineCap = "butt";
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    draw(ctx, bbox);
    ctx.restore();
  }
  function hatch(ctx, left, top, width, height) {
    ctx.save();
    ctx.beginPath();
    ctx.rect(left, top, width, height);
    ctx.clip();
    ctx.strokeStyle = color("hole");
    ctx.lineWidth = ratio();
    ctx.beginPath();
    for (let at = left - height; at < left + width; at += 6 * ratio()) { ctx.moveTo(at, top + height); ctx.lineTo(at + height, top); }
    ctx.stroke();
    ctx.restore();
  }
  /* The hour looked at. */
  function overlay(u) {
    clipped(u, (ctx, box) => {
      const left = x(u, model.start + state.at * HOUR), right = x(u, model.start + (state.at + 1) * HOUR);
      ctx.fillStyle = color("hour");
      ctx.fillRect(left, box.top, Math.max(right - left, 2 * ratio()), box.height);
    });
  }

  function underPrice(u) {
    clipped(u, (ctx, box) => {
      const whole = model.columns.hour_status?.labels.indexOf("complete");
      runs(known(whole >= 0 ? "hour_status" : "verdict"), (code, from, to) => { if (whole >= 0 ? code !== whole : code === null) hatch(ctx, x(u, from), box.top, x(u, to) - x(u, from), box.height); });
      drawRange(u, ctx);
      for (const grid of model.grids) drawGrid(u, ctx, grid);
    });
  }
  function drawRange(u, ctx) {
    const low = known("range_low"), high = known("range_high"), [from, to] = hours();
    ctx.lineWidth = 1.25 * ratio();
    for (let i = from, j; i < to; i = j) {
      j = i + 1;
      if (low[i] === null) continue;
      while (j < to && low[j] !== null) j++;
      const edge = (values, order) => order.forEach((k) => { ctx.lineTo(x(u, model.hourStarts[k]), y(u, values[k])); ctx.lineTo(x(u, model.hourStarts[k] + HOUR), y(u, values[k])); });
      const order = Array.from({ length: j - i }, (_, k) => i + k);
      const stroke = (values) => { ctx.beginPath(); edge(values, order); ctx.stroke(); };
      ctx.beginPath();
      edge(low, order);
      for (const k of order.reverse()) { ctx.lineTo(x(u, model.hourStarts[k] + HOUR), y(u, high[k])); ctx.lineTo(x(u, model.hourStarts[k]), y(u, high[k])); }
      ctx.fillStyle = color("range-fill");
      ctx.fill();
      order.reverse();
      ctx.strokeStyle = color("range-edge");
      stroke(low);
      stroke(high);
    }
  }
  function drawGrid(u, ctx, grid) {
    ctx.strokeStyle = color("grid-line");
    const left = x(u, grid.from_ms / 1e3), right = x(u, grid.to_ms / 1e3);
    grid.lines.forEach((line, i) => {
      const isEdge = i === 0 || i === grid.lines.length - 1;
      ctx.lineWidth = (isEdge ? 1.5 : 0.75) * ratio();
      ctx.setLineDash(grid.enabled ? [] : [4 * ratio(), 4 * ratio()]);
      ctx.globalAlpha = isEdge ? 1 : 0.45;
      ctx.beginPath();
      ctx.moveTo(left, y(u, line));
      ctx.lineTo(right, y(u, line));
      ctx.stroke();
    });
    ctx.setLineDash([]);
    ctx.globalAlpha = 1;
  }
  function overPrice(u) {
    clipped(u, (ctx, box) => {
      state.candles?.draw(u, ctx, box, { color, ratio: ratio() });
      ctx.font = `bold ${11 * ratio()}px system-ui`;
      ctx.textAlign = "center";
      ctx.textBaseline = "alphabetic";
      ctx.fillStyle = ctx.strokeStyle = color("event");
      ctx.lineWidth = ratio();
      const marks = [];  // events beside each other share a mark
      for (const event of model.events) {
        if (event.kind === "Gate") continue;  // the ribbon shows them
        const at = x(u, event.ms / 1e3);
        ctx.globalAlpha = 0.5;
        ctx.beginPath();
        ctx.moveTo(at, box.top + 14 * ratio());
        ctx.lineTo(at, box.top + box.height);
        ctx.stroke();
        const letter = event.kind[0], near = marks.at(-1);
        if (!near || at - near.at > 24 * ratio()) marks.push({ at, text: letter });
        else if (!near.text.includes(letter)) near.text += letter;
      }
      ctx.globalAlpha = 1;
      for (const { at, text } of marks) ctx.fillText(text, at, box.top + 11 * ratio());
    });
    overlay(u);
  }
  /* The price decides the height; edges of ranges and grids count as far as they do not flatten it. Volume stands below. */
  function priceScale(u, lowest, highest) {
    const [least, most] = state.candles ? state.candles.extent() : [lowest, highest];
    if (least === null) return [0, 1];
    const room = Math.max(most - least, 1 / model.price_scale), [from, to] = hours();
    let low = least, high = most;
    const take = (value) => { if (value !== null && value > least - room && value < most + room) { low = Math.min(low, value); high = Math.max(high, value); } };
    for (let i = from; i < to; i++) { take(known("range_low")[i]); take(known("range_high")[i]); }
    for (const grid of model.grids) if (grid.to_ms / 1e3 > state.view[0] && grid.from_ms / 1e3 < state.view[1]) { take(grid.lines[0]); take(grid.lines.at(-1)); }
    return [low - (state.candles ? 0.3 : 0.06) * (high - low), high + (state.candles ? 0.26 : 0.1) * (high - low)];
  }

  const ribbons = RIBBONS.filter(([name]) => known(name) !== nothing);
  function drawRibbons(u) {
    clipped(u, (ctx, box) => {
      const height = box.height / ribbons.length;
      ctx.font = `${11 * ratio()}px system-ui`;
      ctx.textBaseline = "alphabetic";
      ctx.textAlign = "left";
      ribbons.forEach(([name], row) => runs(known(name), (code, from, to) => {
        const left = x(u, from), width = Math.max(x(u, to) - left, ratio()), top = box.top + row * height;
        if (code === null) return hatch(ctx, left, top + 2, width, height - 4);
        const { labels, inks } = model.columns[name], text = labels[code], kind = inks?.[code] ?? text, [first, last] = SHAPES[kind];
        if (state.hidden.has(`${name}.${text}`)) return undefined;
        const inner = height - 6 * ratio(), y0 = top + 3 * ratio() + first * inner, y1 = top + 3 * ratio() + last * inner;
        ctx.fillStyle = color(kind);
        ctx.fillRect(left, y0, width, y1 - y0);
        const said = words(text), room = ctx.measureText(said).width + 8 * ratio();
        if (y1 - y0 < 12 * ratio() || width < room) return undefined;
        ctx.fillStyle = color(name === "candle_regime" ? "on-regime" : "on-verdict");
        return ctx.fillText(said, Math.max(left, box.left) + 4 * ratio(), y1 - 4 * ratio());
      }));
    });
    overlay(u);
  }
  function drawScores(u) {
    clipped(u, (ctx, box) => {
      const height = box.height / SCORES.length;
      SCORES.forEach(([name, , kind], row) => runs(known(name), (score, from, to) => {
        const left = x(u, from), width = x(u, to) - left + 0.5, top = box.top + row * height + 1;
        if (score === null) return hatch(ctx, left, top, width, height - 2);
        ctx.globalAlpha = 0.06 + 0.94 * (score / 100) ** 1.5;
        ctx.fillStyle = color(kind);
        ctx.fillRect(left, top, width, height - 2);
        ctx.globalAlpha = 1;
        return undefined;
      }));
    });
    overlay(u);
  }

  function stamp(u, splits, _axis, _space, step) {
    return splits.map((at) => { const text = localMinute(at); return step >= 86400 || text.endsWith("00:00") ? text.slice(5, 10) : text.slice(11); });
  }
  function make(name, height, { data, series, scale, rows, drawUnder, drawOver, hasTime, values }) {
    const box = root.querySelector(`[data-chart="${name}"]`);
    if (!box) return null;
    const axis = { stroke: () => color("muted"), grid: { stroke: () => color("line"), width: 1 }, ticks: { show: false }, font: "11px system-ui" };
    const side = rows
      ? { ...axis, size: AXIS, grid: { show: false }, splits: () => rows.map((_, i) => rows.length - i - 0.5), values: () => rows }
      : { ...axis, size: AXIS, values };
    const chart = new uPlot({
      width: box.clientWidth, height, padding: [6, 22, hasTime ? 0 : 6, 0], legend: { show: false },
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1e3), zone === "UTC" ? "Etc/UTC" : zone),
      plugins: name === "price" ? [crosshair(model, state)] : [],
      cursor: { y: name === "price", points: { show: false }, sync: { key: model.market }, drag: { x: true, y: false, setScale: false }, bind: { dblclick: () => null } },
      scales: { x: { time: true, range: () => state.view }, y: { range: rows ? () => [0, rows.length] : scale } },
      axes: [hasTime ? { ...axis, values: stamp, space: 64, size: 26 } : { ...axis, show: false }, side],
      series: [{}, { spanGaps: false, stroke: () => color("price"), width: 1.25, ...series }],
      hooks: {
        drawClear: [drawUnder ?? (() => {})], draw: [drawOver],
        setCursor: [(u) => on.hover(u.cursor.left >= 0 ? u.posToVal(u.cursor.left, "x") : null)],
        setSelect: [(u) => { if (u.select.width > 4) { on.view(u.posToVal(u.select.left, "x"), u.posToVal(u.select.left + u.select.width, "x")); u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false); } }],
      },
    }, data(), box);
    /* Not by setData alone: it would fit the scale to all of the data, not to the view. */
    chart.refresh = () => { chart.setData(data(), false); chart.setScale("x", { min: state.view[0], max: state.view[1] }); };
    chart.over.addEventListener("click", () => on.pin(chart.posToVal(chart.cursor.left, "x")));
    return chart;
  }

  /* Each hour's confidence as a level from its start to its end; none where there was too little data. */
  const level = () => known("confidence").flatMap((value, i) => { const found = label(model, "verdict", i) === "INSUFFICIENT_DATA" ? null : value; return [found, found]; });
  const ends = model.hourStarts.flatMap((start) => [start, start + HOUR]);
  const blank = [model.hourStarts, nothing];
  const isNarrow = document.documentElement.clientWidth < 640;
  const charts = [
    make("price", isNarrow ? 260 : 340, { data: () => [model.times, model.close], scale: priceScale, drawUnder: underPrice, drawOver: overPrice, hasTime: true, values: (_, at) => at.map((value) => price(model, value)) }),
    make("ribbons", 34 * ribbons.length + 12, { data: () => blank, rows: ribbons.map(([, text]) => text), drawOver: drawRibbons }),
    make("scores", 22 * SCORES.length + 12, { data: () => blank, rows: SCORES.map(([, text]) => text), drawOver: drawScores }),
    make("confidence", 130, { data: () => [ends, level()], scale: () => [0, 1.02], series: { fill: () => color("area") }, drawOver: overlay, hasTime: true, values: (_, at) => at.map((value) => value.toFixed(1)) }),
  ].filter(Boolean);
  new ResizeObserver(() => charts.forEach((chart) => {
    const width = chart.root.parentElement.clientWidth;
    if (width !== chart.width) chart.setSize({ width, height: chart.height });
  })).observe(charts[0].root.parentElement);
  const repaint = () => { inks = {}; charts.forEach((chart) => chart.redraw(true, true)); };
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);
  for (const choice of ["theme", "zone"]) document.addEventListener(choice, repaint);
  return {
    charts, color,
    show: () => charts.forEach((chart) => chart.setScale("x", { min: state.view[0], max: state.view[1] })),
    refresh: () => charts.forEach((chart) => chart.refresh()),
    redraw: () => charts.forEach((chart) => chart.redraw(false)),
    repaint,
    asCandles: (candles) => { state.candles = candles; charts[0].setSeries(1, { show: candles === null }); charts[0].refresh(); },
  };
}
