// Attributes as the flow and a condition take them: 1 for present, -1 for absent, 0 for unknown.

const SIGNS = { "+": 1, "-": -1, 0: 0 };

// Returns the signs of the training images that match the wishes best, with the wishes set, and how
// many images each stands for. The wishes are true or false by name. Like `Flow._matching`.
export function matching({ names, exclusive, rows, counts }, wishes) {
  const wanted = Object.entries(wishes).map(([name, has]) => [names.indexOf(name), has]);
  const hits = rows.map((row) => wanted.filter(([j, has]) => row[j] === (has ? "+" : "-")).length);
  const most = hits.reduce((a, b) => Math.max(a, b), 0);
  const kept = rows.map((_, i) => i).filter((i) => hits[i] === most);
  const isExclusive = names.map((name) => exclusive.includes(name));
  const last = [...wanted].sort(([, a], [, b]) => a - b); // true last
  const signs = kept.map((i) => {
    const row = [...rows[i]].map((sign) => SIGNS[sign]);
    for (const [j, has] of last) set(row, j, has, isExclusive);
    return row;
  });
  return { signs, counts: kept.map((i) => counts[i]) };
}

function set(row, j, has, isExclusive) {
  // On: the other classes become absent. Off, if it was on: the others become unknown.
  if (isExclusive[j] && (has || row[j] > 0)) {
    isExclusive.forEach((is, i) => is && (row[i] = has ? -1 : 0));
  }
  row[j] = has ? 1 : -1;
}

// Returns the condition of wishes, in which all others are unknown. Like `Condition.of`.
export function condition({ names, exclusive }, wishes) {
  const row = names.map((name) => (name in wishes ? (wishes[name] ? 1 : -1) : 0));
  const chosen = exclusive.find((name) => wishes[name]);
  return chosen === undefined ? row : names.map((name) => (name === chosen ? 1 : -1));
}
