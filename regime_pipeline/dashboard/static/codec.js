"use strict";
/* A payload back into columns of numbers; packing.py writes what is read here. */
const HOUR = 3600;

/* Numbers that are not negative, each in one to a few characters; null where one is missing. */
function counts(text) {
  const digits = new Int8Array(128);
  let count = 0;
  for (let code = 0x23; code < 0x7f; code++) if (code !== 0x3c && code !== 0x5c) digits[code] = count++;
  const values = new Array(text.length), more = count - 60;
  let n = 0, value = 0, unit = 1;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i), digit = digits[code];
    if (code === 0x21) values[n++] = null;
    else if (digit >= 60) { value += (digit - 60) * unit; unit *= more; }
    else { values[n++] = value + digit * unit; value = 0; unit = 1; }
  }
  values.length = n;
  return values;
}

function unpack(text, scale = 1) {
  const [low, high] = text.split(" ").map(counts);
  let value = 0, at = 0;
  return low.map((rest) => {
    if (rest === null) return null;
    const folded = high ? rest + 60 * high[at++] : rest;
    value += folded % 2 ? -(folded + 1) / 2 : folded / 2;
    return value / scale;
  });
}

/* Everything the charts read, times in seconds. */
function readPayload(raw) {
  const columns = {}, times = [], close = [], start = raw.start_ms / 1e3;
  const hourStarts = Array.from({ length: raw.hours }, (_, i) => start + i * HOUR);
  for (const { start_ms, step_ms, price_step_ticks, data } of raw.bars) {
    unpack(data, raw.price_scale / price_step_ticks).forEach((value, i) => { times.push((start_ms + (i + 1) * step_ms) / 1e3); close.push(value); });
  }
  for (const [name, column] of Object.entries(raw.columns)) {
    columns[name] = { ...column, values: column.of ? derived(column) : unpack(column.data, column.scale) };
  }
  /* What another column, or the bars, say already is not sent twice. */
  function derived({ of, codes, data, scale }) {
    if (codes) return columns[of].values.map((code) => (code === null ? null : codes[code]));
    const at = new Map(times.map((time, i) => [time, close[i]])), lacking = unpack(data ?? "");
    return hourStarts.map((time, i) => { const drawn = at.get(time + HOUR) ?? null; return drawn === null ? null : (Math.round(drawn * scale) + (lacking[i] ?? 0)) / scale; });
  }
  const factors = raw.factors.map((rule) => readRule(rule, raw, columns));
  return {
    ...raw, columns, factors, start,
    end: start + raw.hours * HOUR,
    shown: raw.hours,
    decimals: Math.max(Math.ceil(Math.log10(raw.price_scale)), 0),
    times, close, hourStarts,
  };
}

/* One rule's outcome and sentence at any hour: numbers that no column has follow the order of hours. */
function readRule(rule, raw, columns) {
  const template = unpack(rule.template);
  const kept = rule.numbers.map((all) => all.map(({ text, data, decimals }) =>
    (text ? text.split(" ") : unpack(data, 10 ** decimals).map((value) => value.toFixed(decimals)))));
  const used = rule.templates.map(() => 0);
  const place = template.map((at) => (at === null ? null : used[at]++));
  return (hour) => {
    const at = template[hour];
    if (at === null) return null;
    let hole = 0;
    const sentence = rule.templates[at].replace(/\{(\w*)\}/g, (_, name) =>
      name ? columns[name].values[hour].toFixed(1) : kept[at][hole++][place[hour]]);
    return { outcome: raw.outcomes[rule.outcomes[at]], sentence };
  };
}

function label(model, name, hour) {
  const column = model.columns[name], code = column && column.values[hour];
  return code === null || code === undefined ? null : column.labels[code];
}

const words = (code) => code[0].toUpperCase() + code.slice(1).toLowerCase().replaceAll("_", " ");
const price = (model, value) =>
  value === null ? "–" : value.toLocaleString("en-US", { minimumFractionDigits: model.decimals, maximumFractionDigits: model.decimals });
