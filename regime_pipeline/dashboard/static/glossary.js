"use strict";
/* What a term means, beside it: under the pointer, at the focus, at a tap. The words stand at the end of every page. */
(() => {
  const box = document.createElement("div");
  box.id = "term";
  box.setAttribute("role", "tooltip");
  box.hidden = true;
  document.body.append(box);
  let shown = null, leaving = null;

  const meaning = (name) => document.getElementById(`term-${name}`);
  const termAt = (node) => { const found = node.closest?.("[data-term]"); return found && meaning(found.dataset.term) ? found : null; };
  function show(term) {
    clearTimeout(leaving);
    if (term === shown) return;
    shown = term;
    const said = meaning(term.dataset.term), name = document.createElement("b");
    name.textContent = said.previousElementSibling.textContent;
    box.replaceChildren(name, ` ${said.textContent}`);
    box.hidden = false;
    const at = term.getBoundingClientRect(), own = box.getBoundingClientRect(), wide = document.documentElement.clientWidth;
    const isBelow = at.bottom + own.height + 8 < innerHeight || at.top < own.height + 8;
    box.style.left = `${Math.max(8, Math.min(at.left, wide - own.width - 8)) + scrollX}px`;
    box.style.top = `${(isBelow ? at.bottom + 4 : at.top - own.height - 4) + scrollY}px`;
  }
  function hide() {
    clearTimeout(leaving);
    shown = null;
    box.hidden = true;
  }
  const leave = () => { clearTimeout(leaving); leaving = setTimeout(hide, 150); };

  document.addEventListener("pointerover", (event) => {
    if (event.pointerType === "touch") return;
    const term = termAt(event.target);
    if (term) show(term);
    else if (box.contains(event.target)) clearTimeout(leaving);
    else if (shown && !shown.contains(document.activeElement)) leave();
  });
  document.addEventListener("focusin", (event) => { const term = event.target.matches(":focus-visible") && termAt(event.target); if (term) show(term); else if (shown) hide(); });
  document.addEventListener("focusout", () => { if (shown) leave(); });
  document.addEventListener("click", (event) => {
    const term = termAt(event.target);
    if (term) show(term);
    else if (shown && !box.contains(event.target)) hide();
  });
  document.addEventListener("keydown", (event) => { if (event.key === "Escape" && shown) hide(); });
})();
