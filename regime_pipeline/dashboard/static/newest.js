"use strict";
/* Through when every market goes, from a small file read every minute: a page left open takes up new hours. */
/* It is a script, because browsers refuse fetch in pages that were opened from a folder. */
const POLL_MS = 60e3;

function readNewest() {
  return new Promise((done) => {
    const script = document.createElement("script");
    script.src = `data/newest.js?at=${Date.now()}`;
    script.onload = () => { script.remove(); done(window.REGIME_NEWEST); };
    script.onerror = () => { script.remove(); done(null); };  // the folder is being replaced: the next time will do
    document.head.append(script);
  });
}

(() => {
  const shown = document.querySelector("main").dataset.market, ages = [...document.querySelectorAll(".age")];
  const through = Math.max(...ages.map((box) => Number(box.dataset.ms)));
  /* A page in use, by an address with a choice in it or by playback, is not taken away from its reader. */
  const isFree = () => !shown || (!location.hash && !document.documentElement.classList.contains("veiled"));

  async function look() {
    const newest = await readNewest();
    if (!newest) return;
    const found = shown ? newest[shown]?.[0] : Math.max(...Object.values(newest).map(([ms]) => ms));
    if (!(found > through)) return;
    if (isFree()) { location.reload(); return; }
    const note = document.querySelector("#news") ?? document.createElement("button");
    note.id = "news";
    note.type = "button";
    note.textContent = "New hours are there: show them";
    note.onclick = () => { location.hash = ""; location.reload(); };
    document.querySelector("main").prepend(note);
  }
  setInterval(look, POLL_MS);
})();
