"use strict";
/* What is shown, as files: the hours in view as CSV, the charts as one PNG. */
function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

function viewName(model, [from, to]) {
  const short = (seconds) => isoMinute(seconds).slice(0, 13).replaceAll("-", "");
  return `${model.market}_${short(from)}_${short(to)}`;
}

function csvOf(model, [from, to]) {
  const names = Object.keys(model.columns), quoted = (text) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const cell = (name, hour) => {
    const { values, labels, scale } = model.columns[name], value = values[hour];
    if (value === null) return "";
    return labels ? labels[value] : value.toFixed(Math.max(Math.ceil(Math.log10(scale)), 0));
  };
  const lines = [["hour_start", "known_at", ...names, "reason"].join(",")];
  for (let hour = 0; hour < model.hours; hour++) {
    const start = model.start + hour * HOUR;
    if (start < from || start >= to || label(model, "verdict", hour) === null) continue;
    const reason = factorsOf(model, hour).find((factor) => factor.outcome === "decided");
    const cells = [...[start, start + HOUR].map((at) => `${isoMinute(at)}Z`), ...names.map((name) => cell(name, hour)), reason ? reason.sentence : ""];
    lines.push(cells.map(quoted).join(","));
  }
  return `${lines.join("\n")}\n`;
}

/* In UTC whatever the page shows; drawn and back again within one frame, so that nobody sees it. */
async function pngOf(model, view, drawn) {
  const chosen = zone;
  setZone("UTC");
  drawn.repaint();
  await null;  // uPlot draws once the script that asked has ended
  const done = sheetOf(model, view, drawn);
  setZone(chosen);
  drawn.repaint();
  return done;
}

function sheetOf(model, view, { charts, color }) {
  const parts = charts.map((chart) => chart.ctx.canvas), title = 28 * uPlot.pxRatio;
  const sheet = document.createElement("canvas"), ctx = sheet.getContext("2d");
  sheet.width = Math.max(...parts.map((part) => part.width));
  sheet.height = parts.reduce((sum, part) => sum + part.height, title);
  ctx.fillStyle = color("surface");
  ctx.fillRect(0, 0, sheet.width, sheet.height);
  ctx.fillStyle = color("text");
  ctx.font = `bold ${13 * uPlot.pxRatio}px system-ui`;
  ctx.fillText(`${model.market}  ${view.map((at) => isoMinute(at).replace("T", " ")).join(" to ")} UTC`, 8, 0.7 * title);
  let top = title;
  for (const part of parts) { ctx.drawImage(part, 0, top); top += part.height; }
  return new Promise((done) => { sheet.toBlob(done, "image/png"); });
}
