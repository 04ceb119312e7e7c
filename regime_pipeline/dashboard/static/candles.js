"use strict";
/* Candles and volume of the price chart, from a file that is loaded once the reader asks for them. */
/* Longer candles are made of the file's bars as the period in view grows; only those that have closed are drawn. */
const CANDLE_LENGTHS = [1, 5, 15, 30, 60, 120, 240, 480, 720, 1440, 4320, 10080].map((minutes) => minutes * 60);
const CANDLE_PX = 5, VOLUME_SHARE = 0.2;

function loadCandles(address) {
  return new Promise((done) => {
    const script = document.createElement("script");
    script.src = address;
    script.onload = () => done(readCandles(window.REGIME_CANDLES));
    script.onerror = () => done(null);
    document.head.append(script);
  });
}

/* Every bar that is there, the oldest first; times in seconds. */
function readCandles({ price_scale: scale, volume_ratio: ratio, parts }) {
  const bars = [];
  for (const { start_ms, step_ms, price_step_ticks, close, gap, up, down, volume } of parts) {
    const [gaps, ups, downs] = [gap, up, down].map(counts), volumes = unpack(volume), price = (steps) => (steps * price_step_ticks) / scale;
    let before = null, n = 0;
    unpack(close).forEach((steps, i) => {
      if (steps === null) return;
      const folded = gaps[n], open = (before ?? steps) + (folded % 2 ? -(folded + 1) / 2 : folded / 2);
      const start = (start_ms + i * step_ms) / 1e3;
      bars.push({
        start, end: start + step_ms / 1e3, open: price(open), close: price(steps),
        high: price(Math.max(open, steps) + ups[n]), low: price(Math.min(open, steps) - downs[n]),
        volume: volumes[i] === null ? 0 : ratio ** volumes[i],
      });
      before = steps;
      n += 1;
    });
  }
  return bars;
}

/* Bars of a length in seconds; those that are longer stay, and one that begins before the data is left out. */
function lengthened(bars, length) {
  const made = [];
  for (const bar of bars) {
    if (bar.end - bar.start >= length) { made.push(bar); continue; }
    const start = Math.floor(bar.start / length) * length, last = made.at(-1);
    if (last?.start === start) {
      Object.assign(last, { high: Math.max(last.high, bar.high), low: Math.min(last.low, bar.low), close: bar.close, volume: last.volume + bar.volume });
    } else made.push({ ...bar, start, end: start + length });
  }
  return made.length && made[0].start < bars[0].start ? made.slice(1) : made;
}

/* What the price chart asks: the candles of a view, their extent, the one at a time, and to draw them. */
function makeCandles(model, state, bars) {
  const own = Math.min(...bars.map((bar) => bar.end - bar.start)), levels = new Map();
  let width = 600;
  const length = () => {
    const most = width / CANDLE_PX, span = state.view[1] - state.view[0];
    return CANDLE_LENGTHS.find((each) => each >= own && span / each <= most) ?? Math.max(own, CANDLE_LENGTHS.at(-1));
  };
  function level() {
    const chosen = length();
    if (!levels.has(chosen)) levels.set(chosen, lengthened(bars, chosen));
    return levels.get(chosen);
  }
  const isKnown = (bar) => bar.end <= model.start + model.shown * HOUR;
  const shown = () => level().filter((bar) => bar.end > state.view[0] && bar.start < state.view[1] && isKnown(bar));

  function extent() {
    const found = shown();
    return found.length ? [Math.min(...found.map((bar) => bar.low)), Math.max(...found.map((bar) => bar.high))] : [null, null];
  }
  function draw(u, ctx, box, { color, ratio }) {
    width = box.width / ratio;
    const x = (seconds) => u.valToPos(seconds, "x", true), y = (value) => Math.round(u.valToPos(value, "y", true));
    const found = shown(), most = Math.max(...found.map((bar) => bar.volume)) || 1, thin = Math.max(Math.round(ratio), 1);
    for (const bar of found) {
      const left = x(bar.start), room = x(bar.end) - left, body = Math.max(Math.floor(0.7 * room), thin), isUp = bar.close >= bar.open;
      const from = Math.round(left + (room - body) / 2), middle = Math.round(left + room / 2 - thin / 2);
      const [top, bottom] = [Math.max(bar.open, bar.close), Math.min(bar.open, bar.close)].map(y), tall = Math.max(bottom - top, thin);
      const volume = Math.round((VOLUME_SHARE * box.height * bar.volume) / most);
      ctx.fillStyle = color(isUp ? "up" : "down");
      ctx.globalAlpha = 0.35;
      ctx.fillRect(from, box.top + box.height - volume, body, volume);
      ctx.globalAlpha = 1;
      ctx.fillRect(middle, y(bar.high), thin, Math.max(y(bar.low) - y(bar.high), thin));
      ctx.fillRect(from, top, body, tall);
      if (isUp && body > 4 * thin && tall > 2 * thin) {  // hollow, so that colour is not the only sign
        ctx.fillStyle = color("surface");
        ctx.fillRect(from + thin, top + thin, body - 2 * thin, tall - 2 * thin);
      }
    }
  }
  return { extent, draw, length, at: (seconds) => level().findLast((bar) => bar.start < seconds && bar.end >= seconds && isKnown(bar)) ?? null };
}

const inUnits = (seconds) => (seconds % 86400 === 0 ? `${seconds / 86400} d` : seconds % HOUR === 0 ? `${seconds / HOUR} h` : `${seconds / 60} min`);
/* How long the candles in view are, and of which bars they are made where that differs within the file. */
function candleNote(bars, candles) {
  const newest = bars.at(-1), first = bars.find((bar) => bar.end - bar.start === newest.end - newest.start);
  const [older, own] = [bars[0], newest].map((bar) => inUnits(bar.end - bar.start));
  return `Candles of ${inUnits(candles.length())}${older === own ? "" : `, made of bars of ${own} (of ${older} before ${localMinute(first.start)})`}`;
}
