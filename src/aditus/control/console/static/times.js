// Keeps "3 minutes ago" true, and shows the exact time of the reader's own clock on hover.

const EVERY_MILLISECONDS = 15000;
const STEPS = [
  [60, 1, "second"],
  [3600, 60, "minute"],
  [86400, 3600, "hour"],
  [61 * 86400, 86400, "day"],
  [365.25 * 86400, 30.44 * 86400, "month"],
  [Infinity, 365.25 * 86400, "year"],
];

/** As the server says it. */
export function relative(at, now) {
  const ago = now - at;
  const size = Math.abs(ago);
  if (size < 5) return "just now";
  const [, unit, name] = STEPS.find(([below]) => size < below);
  const number = Math.floor(size / unit);
  const text = `${number} ${name}${number === 1 ? "" : "s"}`;
  return ago > 0 ? `${text} ago` : `in ${text}`;
}

function refresh() {
  for (const time of document.querySelectorAll("time[datetime]")) {
    const text = relative(Date.parse(time.dateTime) / 1000, Date.now() / 1000);
    if (time.textContent !== text) time.textContent = text;
    if (!time.dataset.utc) {
      time.dataset.utc = time.title;
      time.title = `${new Date(time.dateTime).toLocaleString()} (${time.dataset.utc})`;
    }
  }
}

refresh();
setInterval(refresh, EVERY_MILLISECONDS);
