// The ladder: both ends as lines, an arrow a segment, their TCP states beside the lines

const LEFT = 330, RIGHT = 890, WIDTH = 1000, MIDDLE = (LEFT + RIGHT) / 2, STEP = 30, TOP = 56, OWN = 150;
const LADDER_KEEP = 4, LADDER_FULL = 24, MARKED = 12, UNFOLD = 200;

function ladderBox(flow) {
  const lines = packets(flow);
  const open = new Set();
  const box = make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Ladder" });
  const all = make("button", { type: "button", class: "more" });
  let whole = lines.length <= LADDER_FULL;
  const draw = () => {
    all.textContent = whole ? "Fold what is everyday" : `Show all ${number(lines.length)} segments`;
    box.replaceChildren(ladder(flow, whole ? null : kept(lines, open), unfold));
  };
  const unfold = (from, upto) => {
    for (let at = from; at < Math.min(upto, from + UNFOLD); at++) open.add(at);
    draw();
    const next = box.querySelector(".fold");
    (next || box).focus({ preventScroll: true });
  };
  all.addEventListener("click", () => {
    whole = !whole;
    open.clear();
    draw();
  });
  draw();
  const legend = flow.full
    ? "Marked segments decide. Numbers count from each end's first. At both sides the TCP state after the segment, where it changes. Sloped by the round trip of the handshake."
    : "Marked segments decide. Numbers count from each end's first; segments that matter to nothing are left out. Sloped by the round trip of the handshake.";
  return make("div", {}, make("h3", {}, "Ladder"), box, lines.length > LADDER_FULL ? all : null, make("p", { class: "quiet" }, legend));
}

// Which lines stay when the others are folded: begin, end, what decides, and what is not everyday.
function kept(lines, open) {
  const keep = new Set(open);
  const near = (places) => {
    const chosen = places.length > MARKED ? [...places.slice(0, MARKED / 2), ...places.slice(-MARKED / 2)] : places;
    for (const at of chosen) [at - 1, at, at + 1].forEach((next) => keep.add(next));
  };
  const where = (test) => lines.map((line, at) => (test(line, at) ? at : -1)).filter((at) => at >= 0);
  for (let at = 0; at < LADDER_KEEP; at++) keep.add(at).add(lines.length - 1 - at);
  near(where((line) => line.decides));
  near(where((line) => line.kinds & (RST | FIN | ICMP | ZERO_WINDOW) && !(line.kinds & COPY)));
  near(where((line) => line.kinds & (RESENT | PROBE) && !(line.kinds & COPY)));
  near(where((line, at) => at && line.states.some((state, side) => state !== lines[at - 1].states[side])));
  for (let at = 1; at < lines.length - 1; at++) if (!keep.has(at) && keep.has(at - 1) && keep.has(at + 1)) keep.add(at);
  return keep;
}

function ladder(flow, keep, unfold) {
  const lines = packets(flow);
  const slope = flow.rtt ? Math.max(3, Math.min(14, 3 + 3 * Math.log10(flow.rtt / 100))) : 4;
  const total = lines[lines.length - 1].at - lines[0].at;
  const calls = nextCalls(flow);
  const bands = [], body = [];
  let y = TOP, folded = 0, before = null, states = ["", ""];
  const flush = (at) => {
    if (folded) {
      const from = at - folded;
      body.push(fold(folded, y, () => unfold(from, at)));
      y += STEP - 4;
      folded = 0;
    }
  };
  lines.forEach((line, at) => {
    if (keep && !keep.has(at)) {
      folded++;
      before = line;
      return;
    }
    flush(at);
    if (line.skipped) {
      body.push(note(y, `${number(line.skipped)} packets are not in this page`));
      y += STEP - 6;
    }
    const pause = before ? line.at - before.at : 0;
    if (pause >= 1e6 || (pause > 0.3 * total && pause >= 5e4)) {
      body.push(note(y, `\u2504 ${seconds(pause)} later \u2504`));
      y += STEP - 4;
    }
    if (line.decides) bands.push(drawn("rect", { class: "band", x: 0, y: y - 17, width: WIDTH, height: STEP - 1, rx: 4 }));
    body.push(arrow(line, origin(flow, line), y, slope, before));
    line.states.forEach((state, side) => {
      if (state && state !== states[side]) body.push(stateOf(side, state, y + (line.side === side ? 0 : slope)));
    });
    states = line.states;
    y += STEP;
    for (const [side, text] of calls.get(at) || []) {
      body.push(nextCall(side, text, y));
      y += STEP + 4;
    }
    before = line;
  });
  flush(lines.length);
  const third = lines.some((line) => line.reporter && origin(flow, line) === MIDDLE);
  const life = (x, kind) => drawn("line", { class: kind, x1: x, x2: x, y1: 34, y2: y });
  const head = (x, anchor, text, kind) => drawn("text", { x, y: 22, "text-anchor": anchor, class: kind }, text);
  const ends = [
    life(LEFT, "life"), life(RIGHT, "life"), third ? life(MIDDLE, "third") : null,
    head(0, "start", "frame", "dim"), head(128, "end", "s", "dim"), head(214, "end", "gap", "dim"),
    head(LEFT - 80, "start", `client ${flow.c}`, "end"), head(RIGHT + 80, "end", `server ${flow.s}`, "end"),
    third ? head(MIDDLE, "middle", "between", "dim") : null,
  ].filter(Boolean);
  const about = `Ladder of ${lines.length} segments between client ${flow.c} and server ${flow.s}; the same stands in the table of frames.`;
  return drawn("svg", { class: "ladder", viewBox: `0 0 ${WIDTH} ${y + 8}`, role: "group", "aria-label": about }, bands, ends, body);
}

function label(x, y, text, anchor) {
  return drawn("text", { x, y, "text-anchor": anchor, class: "label" }, text);
}

const note = (y, text) => drawn("text", { x: MIDDLE, y: y - 1, "text-anchor": "middle", class: "dim" }, text);

function fold(count, y, action) {
  const text = `\u22EE ${number(count)} more`;
  const key = (event) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    action();
  };
  return drawn(
    "g", { class: "fold", role: "button", tabindex: "0", "aria-label": `Show ${count} more segments`, click: action, keydown: key },
    drawn("rect", { class: "area", x: LEFT + 20, y: y - 15, width: RIGHT - LEFT - 40, height: 21, rx: 5 }), label(MIDDLE, y, text, "middle"),
  );
}

function gap(micros) {
  if (micros < 1e3) return `+${Math.max(0, micros)} µs`;
  return micros < 1e6 ? `+${(micros / 1e3).toPrecision(3) * 1} ms` : `+${(micros / 1e6).toFixed(2)} s`;
}

// Where a segment comes from: an end, or a device between. A host may also tell itself, which no wire carries.
function origin(flow, { reporter, side }) {
  const hosts = [flow.c, flow.s].map((end) => end.replace(/(:\d+)( in .*)?$/, "").replace(/^\[|\]$/g, ""));
  const other = side ? 0 : 1;
  if (!reporter || reporter === hosts[side]) return side ? RIGHT : LEFT;
  if (reporter === hosts[other]) return other ? RIGHT - OWN : LEFT + OWN;
  return MIDDLE;
}

function arrow(line, from, y, slope, before) {
  const to = line.side ? LEFT : RIGHT;
  const sign = line.side ? -1 : 1;
  const below = y + slope;
  const own = Math.abs(to - from) === OWN;
  const text = !line.reporter ? line.label : own ? `${line.label} to itself` : `${line.label} from ${line.reporter}`;
  const parts = [
    drawn("text", { x: 0, y: y + 4 }, `${line.decides ? "\u2217" : "\u00A0"}${line.frame}`),
    drawn("text", { x: 128, y: y + 4, "text-anchor": "end" }, (line.at / 1e6).toFixed(3)),
    before ? drawn("text", { x: 214, y: y + 4, "text-anchor": "end", class: "dim" }, gap(line.at - before.at)) : null,
    drawn("line", { class: "arrow", x1: from, y1: y, x2: to - sign * 9, y2: below }),
    drawn("path", { class: "head", d: `M ${to} ${below} l ${-sign * 11} -5 l 0 10 z` }),
    label((from + to) / 2, y + slope / 2 - 5, text, "middle"),
  ];
  return drawn("g", { class: `${kindOf(line)} ${line.decides ? "decides" : ""}`.trim() }, parts);
}

function stateOf(side, state, y) {
  const x = side ? RIGHT + 9 : LEFT - 9;
  const dot = drawn("circle", { class: "dot", cx: side ? RIGHT : LEFT, cy: y, r: 3.5 });
  return drawn("g", { class: "state" }, dot, drawn("text", { x, y: y + 4, "text-anchor": side ? "start" : "end" }, state));
}

function nextCalls(flow) {
  const lines = packets(flow);
  const found = new Map();
  for (const verdict of flow.v) {
    const frames = new Set(verdict[3]);
    let at = lines.findLastIndex((line) => line.decides && frames.has(line.frame));
    if (at < 0) at = lines.length - 1;
    found.set(at, [...(found.get(at) || []), [verdict[0], `${SIDES[verdict[0]]}'s ${pooled(verdict[8])}`]]);
  }
  return found;
}

function nextCall(side, text, y) {
  const width = 24 + text.length * 7.6;
  const x = side ? RIGHT - width + 10 : LEFT - 10;
  return drawn("g", {}, drawn("rect", { class: "next", x, y: y - 15, width, height: 23, rx: 5 }), drawn("text", { x: x + width / 2, y: y + 1, "text-anchor": "middle" }, text));
}
