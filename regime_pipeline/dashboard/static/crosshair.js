"use strict";
/* Price and time beside the pointer's cross, on the price chart, and the candle there or at the hour looked at. */
function crosshair(model, state) {
  let priceTag, timeTag, candleTag;
  function init(u) {
    priceTag = element("span", "tag tag-price");
    timeTag = element("span", "tag tag-time");
    candleTag = element("span", "tag-candle");
    priceTag.hidden = timeTag.hidden = true;
    u.over.append(priceTag, timeTag, candleTag);
  }
  function tellCandle(u) {
    const looked = model.start + (state.at + 1) * HOUR, at = u.cursor.left >= 0 ? u.posToVal(u.cursor.left, "x") : looked;
    const bar = state.candles?.at(at) ?? state.candles?.at(looked - (looked % state.candles.length()));
    candleTag.hidden = !bar;
    if (!bar) return;
    const said = [["O", bar.open], ["H", bar.high], ["L", bar.low], ["C", bar.close]].map(([name, value]) => `${name} ${price(model, value)}`);
    const when = u.over.clientWidth < 400 ? "" : `${localMinute(bar.start)}  `;  // on a telephone there is no room
    candleTag.textContent = `${when}${said.join("  ")}  Vol ${bar.volume.toLocaleString("en-US", { maximumSignificantDigits: 2 })}`;
  }
  function setCursor(u) {
    const { left, top } = u.cursor, isIn = left >= 0 && top >= 0;
    priceTag.hidden = timeTag.hidden = !isIn;
    tellCandle(u);
    if (!isIn) return;
    priceTag.textContent = price(model, u.posToVal(top, "y"));
    priceTag.style.top = `${top}px`;
    timeTag.textContent = localStamp(u.posToVal(left, "x"));
    timeTag.style.left = `${Math.min(Math.max(left, 66), u.over.clientWidth - 66)}px`;
  }
  return { hooks: { init, setCursor, draw: tellCandle } };
}
