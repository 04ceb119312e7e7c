"use strict";
/* How old the data is by the reader's clock: a build knows no time, so that it is the same whenever it runs. */
(() => {
  const STALE_MS = 2 * 3600e3;
  const span = (ms) => {
    const minutes = Math.floor(ms / 60e3), hours = Math.floor(minutes / 60);
    if (hours >= 240) return `${Math.floor(hours / 24)} d`;
    if (hours >= 48) return `${Math.floor(hours / 24)} d ${hours % 24} h`;
    return hours ? `${hours} h ${minutes % 60} min` : `${minutes} min`;
  };
  const tell = () => {
    for (const box of document.querySelectorAll(".age:not([data-ended])")) {
      const age = Math.max(Date.now() - Number(box.dataset.ms), 0), isStale = age > STALE_MS;
      box.classList.toggle("stale", isStale);
      box.querySelector(".age-text").textContent = `${isStale ? "Stale: " : ""}${span(age)} old`;
    }
  };
  tell();
  setInterval(tell, 60e3);
})();
