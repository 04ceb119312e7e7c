"use strict";
/* Price and time beside the pointer's cross, on the price chart. */
function crosshair(model) {
  let priceTag, timeTag;
  function init(u) {
    priceTag = element("span", "tag tag-price");
    timeTag = element("span", "tag tag-time");
    u.over.append(priceTag, timeTag);
  }
  function setCursor(u) {
    const { left, top } = u.cursor, isIn = left >= 0 && top >= 0;
    priceTag.hidden = timeTag.hidden = !isIn;
    if (!isIn) return;
    priceTag.textContent = price(model, u.posToVal(top, "y"));
    priceTag.style.top = `${top}px`;
    timeTag.textContent = `${isoMinute(u.posToVal(left, "x")).replace("T", " ")} UTC`;
    timeTag.style.left = `${Math.min(Math.max(left, 66), u.over.clientWidth - 66)}px`;
  }
  return { hooks: { init, setCursor } };
}
