"use strict";
/* What one hour says, in words: the panel beside the charts. */
const SIGNS = { RANGE_OK: "●", RANGE_WEAK: "◐", TREND: "▲", TRANSITION: "◆", INSUFFICIENT_DATA: "○" };

function element(tag, className, ...inside) {
  const made = document.createElement(tag);
  made.className = className;
  made.append(...inside);
  return made;
}

/* Label and text of everything known of an hour but its factors. */
function factsOf(model, hour) {
  const value = (name) => model.columns[name].values[hour];
  const low = value("range_low"), full = label(model, "candle_regime_full", hour);
  const facts = [
    ["Close", price(model, value("close"))],
    ["Range", low === null ? "none agreed on" : `${price(model, low)} – ${price(model, value("range_high"))}`],
    ["Confidence", value("confidence").toFixed(2)],
    ["Direction", label(model, "direction", hour)],
    ["Risk", words(label(model, "dominant_risk", hour))],
    ["3D regime", full.replaceAll("_", " ").toLowerCase()],
    ["Candles", words(label(model, "hour_status", hour))],
    ...SCORES.map(([name, text]) => [text, value(name) === null ? "–" : value(name).toFixed(1)]),
  ];
  const gate = label(model, "gate_state", hour), action = label(model, "action", hour);
  return [...facts, ...(action ? [["Advice", action === "NONE" ? "Nothing to do" : words(action)]] : []), ...(gate ? [["Gate", gate === "NONE" ? "No stop" : words(gate)]] : [])];
}

function factorsOf(model, hour) {
  return model.factors.map((read) => read(hour)).filter((factor) => factor !== null);
}

function showHour(model, hour) {
  const box = (id) => document.getElementById(id), verdict = label(model, "verdict", hour);
  box("r-time").textContent = isoMinute(model.start + (hour + 1) * HOUR).replace("T", " ");
  if (verdict === null) {
    box("r-verdict").replaceChildren(element("span", "hole", "No row: this hour is not materialized."));
    for (const id of ["r-facts", "r-competing", "r-factors"]) box(id).replaceChildren();
    return;
  }
  box("r-verdict").replaceChildren(element("span", `chip ${verdict}`, `${SIGNS[verdict]} ${words(verdict)}`));
  box("r-facts").replaceChildren(...factsOf(model, hour).map(([name, text]) =>
    element("div", "", element("dt", "", name), element("dd", "", text))));
  const rivals = ["RANGE_OK", "RANGE_WEAK", "TREND", "TRANSITION"]
    .map((name) => [name, model.columns[`weight_${name.toLowerCase()}`].values[hour]])
    .filter(([, weight]) => weight !== null).sort((one, other) => other[1] - one[1]);
  box("r-competing").replaceChildren(...rivals.map(([name, weight]) => {
    const bar = element("i", "");
    bar.style.width = `${weight * 100}%`;
    return element("li", "", element("span", "", words(name)), " ", element("span", "meter", bar), ` ${Math.round(weight * 100)} %`);
  }));
  box("r-factors").replaceChildren(...factorsOf(model, hour).map(({ outcome, sentence }) =>
    element("li", outcome.replace(" ", "-"), element("b", "", outcome), ` ${sentence}`)));
}
