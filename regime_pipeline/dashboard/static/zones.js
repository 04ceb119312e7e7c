"use strict";
/* Times in the zone that the reader chose, UTC by default. Rows, addresses and exports stay UTC. */
let zone = "UTC", zoneParts = null;

/* Whether the browser knows the zone; one that it does not know changes nothing. */
function setZone(name) {
  try {
    zoneParts = new Intl.DateTimeFormat("en-GB", {
      timeZone: name, hourCycle: "h23", timeZoneName: "shortOffset",
      year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit",
    });
  } catch { return false; }
  zone = name;
  return true;
}

const isoMinute = (seconds) => new Date(seconds * 1e3).toISOString().slice(0, 16);
const partsAt = (seconds) => Object.fromEntries(zoneParts.formatToParts(seconds * 1e3).map(({ type, value }) => [type, value]));
/* `2026-09-01 14:00` */
function localMinute(seconds) {
  if (zone === "UTC") return isoMinute(seconds).replace("T", " ");
  const { year, month, day, hour, minute } = partsAt(seconds);
  return `${year}-${month}-${day} ${hour}:${minute}`;
}
/* `UTC+2`: what the hour is, even in the night when the clocks are put back. */
const offsetAt = (seconds) => (zone === "UTC" ? "UTC" : partsAt(seconds).timeZoneName.replace("GMT", "UTC").replace(/\+0$/, ""));
const localStamp = (seconds) => `${localMinute(seconds)} ${offsetAt(seconds)}`;

/* A text whose times are UTC, with those of the zone. */
function zoned(text) {
  if (zone === "UTC") return text;
  return text.replace(/(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d)(:\d\d)?( ?UTC|Z)?/g, (whole, day, minute, seconds = "", named = "") => {
    const at = Date.parse(`${day}T${minute}Z`) / 1e3;
    return Number.isNaN(at) ? whole : `${localMinute(at)}${seconds === ":00" ? "" : seconds}${named && ` ${offsetAt(at)}`}`;
  });
}
