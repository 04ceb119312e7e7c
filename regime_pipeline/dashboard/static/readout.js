"use strict";
/* What one hour says, in words: the panel beside the charts. It tells what the model knows and the page has a place for. */
const SIGNS = { RANGE_OK: "●", RANGE_WEAK: "◐", TREND: "▲", TRANSITION: "◆", INSUFFICIENT_DATA: "○" };

function element(tag, className, ...inside) {
  const made = document.createElement(tag);
  made.className = className;
  made.append(...inside);
  return made;
}

/* Label and text of everything known of an hour but its factors. */
function factsOf(model, hour) {
  const has = (name) => name in model.columns, value = (name) => model.columns[name].values[hour];
  const said = (name, none = "") => { const text = label(model, name, hour); return text === "NONE" && none ? none : text && words(text); };
  return [
    ["Close", price(model, value("close"))],
    ["Range", has("range_low") && (value("range_low") === null ? "none agreed on" : `${price(model, value("range_low"))} – ${price(model, value("range_high"))}`)],
    ["Confidence", value("confidence").toFixed(2)],
    ["Direction", label(model, "direction", hour)],
    ["Risk", said("dominant_risk")],
    ["3D regime", said("candle_regime_full")?.toLowerCase()],
    ["Candles", said("hour_status")],
    ...SCORES.map(([name, text]) => [text, has(name) && (value(name)?.toFixed(1) ?? "–")]),
    ["Advice", said("action", "Nothing to do")],
    ["Gate", said("gate_state", "No stop")],
    ["True label", said("truth")],
    ["Hindsight", said("hindsight")],
  ].filter(([, text]) => text);
}

function chipOf(verdict) {
  const chip = element("span", `chip ${verdict}`, `${SIGNS[verdict]} ${words(verdict)}`);
  chip.dataset.term = verdict;
  return chip;
}

/* A label, which tells what it means where the page has words for it. */
function termOf(name) {
  const key = name.toLowerCase().replaceAll(" ", "_");
  if (!document.getElementById(`term-${key}`)) return name;
  const term = element("button", "term", name);
  term.type = "button";
  term.dataset.term = key;
  term.setAttribute("aria-describedby", `term-${key}`);
  return term;
}

function factorsOf(model, hour) {
  return model.factors.map((read) => read(hour)).filter((factor) => factor !== null);
}

function showHour(root, model, hour) {
  const box = (name) => root.querySelector(`[data-r="${name}"]`), verdict = label(model, "verdict", hour);
  box("time").textContent = localMinute(model.start + (hour + 1) * HOUR);
  box("verdict").replaceChildren(verdict === null ? element("span", "hole", box("verdict").dataset.none)
    : chipOf(verdict));
  box("facts").replaceChildren(...(verdict === null ? [] : factsOf(model, hour)).map(([name, text]) =>
    element("div", "", element("dt", "", termOf(name)), element("dd", "", text))));
  const known = ["RANGE_OK", "RANGE_WEAK", "TREND"]
    .map((name) => [name, model.columns[`weight_${name.toLowerCase()}`]?.values[hour] ?? null]);
  const rest = Math.max(0, Math.round(100 * known.reduce((left, [, weight]) => left - weight, 1))) / 100;
  const weights = known.some(([, weight]) => weight === null) ? []
    : [...known, ["TRANSITION", rest]].sort((one, other) => other[1] - one[1]);
  const part = (tag, name, weight, ...inside) => { const made = element(tag, name, ...inside); made.style.flexGrow = weight; return made; };
  box("stack")?.replaceChildren(...weights.map(([name, weight]) => part("i", `swatch ${name}`, Math.round(100 * weight))));
  box("weights")?.replaceChildren(...weights.map(([name, weight]) =>
    element("li", "", element("i", `swatch ${name}`), element("span", "", words(name)), ` ${Math.round(weight * 100)} %`)));
  box("factors")?.replaceChildren(...factorsOf(model, hour).map(({ outcome, sentence }) =>
    element("li", outcome.replace(" ", "-"), element("b", "", outcome), ` ${sentence}`)));
}
