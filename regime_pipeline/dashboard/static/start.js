"use strict";
/* Before anything is painted: what the reader chose on this site before. */
/* Where the browser refuses storage, a choice lasts as long as the page. */
const KEPT = (() => { try { return Object(JSON.parse(localStorage.getItem("regime"))); } catch { return {}; } })();
function keep(name, value) {
  KEPT[name] = value;
  try { localStorage.setItem("regime", JSON.stringify(KEPT)); } catch { return; }
}
/* The dark colours are a style sheet of their own, which the system's setting turns on unless the reader decides. */
function applyTheme() {
  const { theme } = KEPT, isChosen = theme === "light" || theme === "dark";
  document.getElementById("dark").media = isChosen ? (theme === "dark" ? "all" : "not all") : "(prefers-color-scheme: dark)";
  document.documentElement.style.colorScheme = isChosen ? theme : "";
}
document.documentElement.className = KEPT.price === "candles" ? "js candles" : "js";
applyTheme();
