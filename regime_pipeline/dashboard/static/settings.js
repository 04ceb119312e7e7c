"use strict";
/* Theme and time zone: the reader's choices, and every time on the page in the chosen zone. */
(() => {
  const theme = document.querySelector("#theme"), choice = document.querySelector("#zone"), note = document.querySelector("#zone-note");
  const texts = [], labels = [];  // what scripts have not made, as it was built
  const HAS_TIME = /\d{4}-\d\d-\d\d[ T]\d\d:\d\d/;
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const { data, parentElement } = walker.currentNode;
    if (HAS_TIME.test(data) && parentElement.tagName !== "SCRIPT") texts.push([walker.currentNode, data]);
  }
  for (const box of document.querySelectorAll("[aria-label]:not(#price)")) if (HAS_TIME.test(box.ariaLabel)) labels.push([box, box.ariaLabel]);

  function show() {
    for (const [node, said] of texts) node.data = zoned(said);
    for (const [box, said] of labels) box.ariaLabel = zoned(said);
    const now = offsetAt(Date.now() / 1e3);
    note.textContent = zone === "UTC" ? note.dataset.utc : `Times are those of ${zone}, now ${now}; files that are saved, and addresses, say UTC.`;
    document.documentElement.classList.toggle("zoned", zone !== "UTC");
  }
  function choose(name) {
    if (!setZone(name)) setZone("UTC");
    choice.value = zone;
    if (choice.value !== zone) choice.add(new Option(zone, zone, true, true));
    show();
    document.dispatchEvent(new Event("zone"));
  }

  const own = Intl.DateTimeFormat().resolvedOptions().timeZone;
  for (const option of choice.options) if (option.value === own && own !== "UTC") option.remove();
  if (own && own !== "UTC") choice.add(new Option(`${own}, this browser's`, own), 1);
  choice.addEventListener("change", () => { keep("zone", choice.value); choose(choice.value); });
  theme.value = KEPT.theme ?? "";
  if (theme.selectedIndex < 0) theme.value = "";
  theme.addEventListener("change", () => {
    keep("theme", theme.value);
    applyTheme();
    document.dispatchEvent(new Event("theme"));
  });
  if (KEPT.zone && KEPT.zone !== "UTC") choose(KEPT.zone);
})();
