"use strict";
/* The way to every other market without a list of all in each page, and what the symbol's other timeframes say now. */
(() => {
  const field = document.querySelector("#goto"), list = document.querySelector("#markets");
  const keep = () => location.hash;
  const go = (key) => { location.href = `${key}.html${keep()}`; };
  let known = {};

  function find(text) {
    const wanted = text.trim().toUpperCase().replace(/[ _](\w+)$/, (_, frame) => `_${frame.toLowerCase()}`);
    const keys = Object.keys(known), here = document.querySelector("main").dataset.market.split("_")[1];
    return [wanted, `${wanted}_${here}`].find((key) => key in known) ?? keys.find((key) => wanted && key.startsWith(wanted)) ?? null;
  }
  function choose() {
    const key = find(field.value);
    field.setCustomValidity(key || !field.value ? "" : "No market of this name.");
    if (key) go(key);
    else field.reportValidity();
  }
  field.addEventListener("focus", async () => {
    known = (await readNewest()) ?? known;
    list.replaceChildren(...Object.keys(known).map((key) => element("option", "", key)));
  });
  field.addEventListener("input", (event) => { field.setCustomValidity(""); if (event.inputType === "insertReplacementText" || !event.inputType) choose(); });
  field.addEventListener("keydown", (event) => { if (event.key === "Enter") choose(); });

  const tabs = [...document.querySelectorAll(".tabs a")].map((tab) => [tab.dataset.market, tab.querySelector(".now"), tab.querySelector(".unseen")]);
  readNewest().then((newest) => {
    for (const [key, sign, name] of tabs) {
      const verdict = newest?.[key]?.[1];
      if (!verdict) continue;
      sign.textContent = SIGNS[verdict];
      sign.className = `now ${verdict}`;
      name.textContent = words(verdict);
    }
  });
})();
