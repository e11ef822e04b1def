// The time-sequence plot: what one end sent, and what the other end had acknowledged and had room for

const NEAR = 40;
const DRAWN = {
  edge: { text: "edge of the window", steps: true, stroke: "--dim", width: 1.5, dash: [5, 4] },
  acked: { text: "acknowledged", steps: true, stroke: "--good", width: 1.5 },
  data: { text: "sent", stroke: "--accent", width: 4 },
  copy: { text: "copy", stroke: "--dim", width: 2 },
  again: { text: "sent again", stroke: "--warn", width: 4 },
  ends: { text: "SYN or FIN", d: "M-4 -4h8v8h-8z", fill: "--accent" },
  zero: { text: "window 0", d: "M-6 -8h12l-6 9z", fill: "--warn" },
  probe: { text: "probe, keepalive", d: "M0 -6l6 6l-6 6l-6 -6z", stroke: "--warn", width: 1.5, fill: "--bg" },
  reset: { text: "RST", d: "M-6 -6l12 12m0 -12l-12 12", stroke: "--bad", width: 3 },
  icmp: { text: "ICMP", d: "M0 -7l7 12h-14z", fill: "--icmp" },
};

function plotBox(flow) {
  const lines = [...packets(flow)].sort((a, b) => a.at - b.at);
  const sent = [0, 1].map((side) => lines.reduce((sum, line) => sum + (line.side === side && !line.reporter ? line.length || 0 : 0), 0));
  let side = sent[1] > sent[0] ? 1 : 0;
  const chosen = (which) => make("button", { type: "button", click: () => { side = which; redraw(); } }, `Data of the ${SIDES[which]}`);
  const tabs = [chosen(0), chosen(1)];
  const place = make("div");
  const redraw = () => {
    tabs.forEach((tab, which) => tab.setAttribute("aria-pressed", String(which === side)));
    place.replaceChildren(plot(lines, side));
  };
  redraw();
  return make("div", { class: "plots" }, make("h3", {}, "Time and sequence"), make("div", { class: "tools" }, tabs), place);
}

// What is to be seen of one direction: for each kind a value or null a packet, and from where to where each packet reaches.
function direction(lines, side) {
  const columns = Object.fromEntries(Object.keys(DRAWN).map((kind) => [kind, lines.map(() => null)]));
  const spans = lines.map(() => null);
  let top = 0, known = null;
  const mark = (kind, at, value, begin = value) => {
    columns[kind][at] = value;
    spans[at] = [Math.min(begin, ...(spans[at] || [])), Math.max(value, ...(spans[at] || []))];
  };
  lines.forEach((line, at) => {
    if (line.reporter) mark("icmp", at, known ?? 0);
    else if (line.side === side) {
      const begin = line.seq ?? known ?? 0, end = begin + (line.length || 0);
      if (line.kinds & RST) mark("reset", at, known ?? begin);
      else if (line.kinds & PROBE) mark("probe", at, begin);
      else if (line.length) mark(line.kinds & COPY ? "copy" : line.kinds & RESENT ? "again" : "data", at, end, begin);
      if (line.kinds & (SYN | FIN) && !(line.kinds & COPY)) mark("ends", at, end);
      if (line.seq !== null && !(line.kinds & RST)) known = Math.max(known ?? 0, end);
      top = Math.max(top, end);
    } else {
      if (line.kinds & RST) mark("reset", at, known ?? 0);
      if (line.ack === null || line.kinds & (RST | COPY)) return;
      mark("acked", at, line.ack);
      if (line.window !== null) columns.edge[at] = line.ack + line.window;
      if (line.window === 0) mark("zero", at, line.ack);
      top = Math.max(top, line.ack);
    }
  });
  const seen = Object.keys(DRAWN).map((kind) => [kind, columns[kind].filter((value) => value !== null).length]).filter(([, count]) => count);
  for (const kind of ["acked", "edge"]) columns[kind][lines.length - 1] ??= columns[kind].findLast((value) => value !== null) ?? null;
  return { columns, spans, seen, top };
}

function plot(lines, side) {
  const { columns, spans, seen, top } = direction(lines, side);
  const times = lines.map((line) => line.at / 1e6);
  const end = times[times.length - 1];
  const ceiling = columns.edge.reduce((most, value) => Math.max(most, value ?? 0), top);
  const home = { x: { min: -0.02 * (end || 1), max: 1.02 * (end || 1) }, y: { min: -0.03 * (top || 1), max: 1.08 * (top || 1) } };
  const counted = seen.filter(([kind]) => !DRAWN[kind].steps).map(([kind, count]) => `${DRAWN[kind].text} ${number(count)}`).join(", ");
  const host = make("div", {
    class: "plot", tabindex: "0", role: "application",
    "aria-label": `Time-sequence plot of what the ${SIDES[side]} sent: ${counted || "nothing"}. Left and right: packet by packet; plus and minus: zoom; 0: everything. The frames are in the table below as well.`,
  });
  const told = make("output", { class: "mono", "aria-live": "polite" }, "Hover, or use the arrow keys; drag to zoom.");
  const range = make("span", { class: "quiet range" });
  let current = -1;
  const look = ({ x, y }) => drawing.batch(() => {
    drawing.setScale("x", { ...x });
    drawing.setScale("y", { ...y });
  });
  const zoom = (factor) => {
    const { min, max } = drawing.scales.x;
    const middle = current >= 0 ? times[current] : (min + max) / 2, half = ((max - min) / 2) * factor;
    drawing.setScale("x", { min: middle - half, max: middle + half });
  };
  const tell = (index) => {
    current = index;
    told.textContent = sentence(lines[index]);
    drawing.redraw(false);
  };
  const drawing = chart(host, 340, {
    padding: [null, 36, null, null], // half of a label: the last one may stand at the very end
    scales: { x: { time: false, ...fixed(home.x.min, home.x.max) }, y: fixed(home.y.min, home.y.max) },
    axes: [
      axis({ size: 30, values: (_, ticks) => ticks.map((value) => `${short(value, ticks)} s`) }),
      axis({ size: 84, incrs: WHOLE, values: (_, ticks) => ticks.map(number) }),
    ],
    series: [{}, ...seen.map(([kind]) => series(DRAWN[kind], spans))],
    cursor: {
      points: { show: false }, drag: { x: true, y: true, uni: 30, dist: 6 },
      bind: { dblclick: () => () => look(home) },
    },
    hooks: {
      setScale: [(u) => { range.textContent = `${u.scales.x.min.toFixed(3)} s to ${u.scales.x.max.toFixed(3)} s`; }],
      setCursor: [(u) => {
        const near = nearest(u, times, spans);
        if (near >= 0 && near !== current) tell(near);
      }],
      draw: [(u) => current >= 0 && circle(u, times[current], spans[current][0])],
    },
  }, [times, ...seen.map(([kind]) => columns[kind])]);
  host.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step) {
      let next = current + step;
      while (next >= 0 && next < spans.length && !spans[next]) next += step;
      if (next >= 0 && next < spans.length) tell(next);
    } else if (event.key === "+" || event.key === "=") zoom(0.5);
    else if (event.key === "-") zoom(2);
    else if (event.key === "0") look(home);
    else return;
    event.preventDefault();
  });
  const button = (text, action) => make("button", { type: "button", click: action }, text);
  const tools = make(
    "div", { class: "tools" }, button("Zoom in", () => zoom(0.5)), button("Zoom out", () => zoom(2)), button("Everything", () => look(home)),
    ceiling > home.y.max ? button("Up to the window's edge", () => look({ x: home.x, y: { min: home.y.min, max: 1.08 * ceiling } })) : null,
    range,
  );
  return make("div", {}, make("div", { class: "scroll" }, host), told, tools, make("p", { class: "quiet keys" }, seen.map(([kind]) => entry(DRAWN[kind]))));
}

function sentence(line) {
  const known = line.window === null || line.window === undefined ? "" : `, window ${number(line.window)}`;
  return `${line.frame}  ${(line.at / 1e6).toFixed(6)} s  ${line.reporter || SIDES[line.side]}: ${line.label}${known}`;
}

function series({ steps, d, stroke, fill, width, dash }, spans) {
  const paths = steps ? uPlot.paths.stepped({ align: 1 }) : d ? signs(d) : bars(spans);
  return { paths, spanGaps: true, points: { show: false }, stroke: stroke && colour(stroke), fill: fill && colour(fill), width: width || 0, dash };
}

// A stroke from first to last byte of each segment, of two pixels at least.
const bars = (spans) => (u, index, from, upto) => {
  const stroke = new Path2D();
  for (let at = from; at <= upto; at++) {
    if (u.data[index][at] === null) continue;
    const x = u.valToPos(u.data[0][at], "x", true), [begin, end] = spans[at].map((value) => u.valToPos(value, "y", true));
    stroke.moveTo(x, begin);
    stroke.lineTo(x, Math.min(end, begin - 2 * uPlot.pxRatio));
  }
  return { stroke };
};

const signs = (d) => (u, index, from, upto) => {
  const all = new Path2D(), sign = new Path2D(d), size = uPlot.pxRatio;
  for (let at = from; at <= upto; at++) {
    const value = u.data[index][at];
    if (value !== null) all.addPath(sign, new DOMMatrix([size, 0, 0, size, u.valToPos(u.data[0][at], "x", true), u.valToPos(value, "y", true)]));
  }
  return { stroke: all, fill: all };
};

// The packet that the pointer is near to, or -1.
function nearest(u, times, spans) {
  const { left, top } = u.cursor;
  let best = -1, least = left < 0 ? 0 : NEAR * NEAR;
  spans.forEach((span, at) => {
    if (!span) return;
    const [low, high] = span.map((value) => u.valToPos(value, "y"));
    const distance = (u.valToPos(times[at], "x") - left) ** 2 + (Math.max(high, Math.min(low, top)) - top) ** 2;
    if (distance < least) [best, least] = [at, distance];
  });
  return best;
}

function circle(u, time, value) {
  const x = u.valToPos(time, "x", true), y = u.valToPos(value, "y", true), { left, top, width, height } = u.bbox;
  if (x < left || x > left + width || y < top || y > top + height) return;
  u.ctx.beginPath();
  u.ctx.arc(x, y, 8 * uPlot.pxRatio, 0, 2 * Math.PI);
  u.ctx.lineWidth = 2 * uPlot.pxRatio;
  u.ctx.strokeStyle = colour("--ink")();
  u.ctx.stroke();
}

// As many decimals as tell one tick from the next.
const short = (value, ticks) => value.toFixed(Math.max(0, Math.min(6, Math.ceil(-Math.log10((ticks[1] - ticks[0]) || 1)))));

function entry({ text, steps, d, stroke, fill, width, dash }) {
  const path = drawn("path", { d: steps ? "M1 12H11V4H21" : d ? `M11 8${d.replace("M", "m")}` : "M11 2V14", "stroke-width": width, "stroke-dasharray": dash && dash.join(" ") });
  path.style.stroke = stroke ? `var(${stroke})` : "none";
  path.style.fill = fill ? `var(${fill})` : "none";
  return make("span", {}, drawn("svg", { viewBox: "0 0 22 16", "aria-hidden": "true" }, path), ` ${text}`);
}
