// The time-sequence plot: what one end sent, and what the other end had acknowledged and had room for

const PLOT = { width: 1000, height: 340, left: 84, right: 986, top: 12, bottom: 300 };
const NEAR = 40;

function plotBox(flow) {
  const lines = packets(flow);
  const sent = [0, 1].map((side) => lines.reduce((sum, line) => sum + (line.side === side && !line.reporter ? line.length || 0 : 0), 0));
  let side = sent[1] > sent[0] ? 1 : 0;
  const chosen = (which) => make("button", { type: "button", click: () => { side = which; redraw(); } }, `Data of the ${SIDES[which]}`);
  const tabs = [chosen(0), chosen(1)];
  const place = make("div");
  const redraw = () => {
    tabs.forEach((tab, which) => tab.setAttribute("aria-pressed", String(which === side)));
    place.replaceChildren(plot(flow, lines, side));
  };
  redraw();
  return make("div", { class: "plots" }, make("h3", {}, "Time and sequence"), make("div", { class: "tools" }, tabs), place);
}

// What is to be seen of one direction: points have seconds, sequence number, and the packet behind them.
function direction(lines, side) {
  const marks = { data: [], again: [], copy: [], zero: [], probe: [], reset: [], ends: [], icmp: [] };
  const acked = [], edge = [];
  let top = 0, known = null;
  for (const line of lines) {
    const at = line.at / 1e6;
    if (line.reporter) marks.icmp.push([at, known ?? 0, line]);
    else if (line.side === side) {
      const begin = line.seq ?? known ?? 0, end = begin + (line.length || 0);
      if (line.kinds & RST) marks.reset.push([at, known ?? begin, line]);
      else if (line.kinds & PROBE) marks.probe.push([at, begin, line]);
      else if (line.length) marks[line.kinds & COPY ? "copy" : line.kinds & RESENT ? "again" : "data"].push([at, begin, line, end]);
      if (line.kinds & (SYN | FIN) && !(line.kinds & COPY)) marks.ends.push([at, end, line]);
      if (line.seq !== null && !(line.kinds & RST)) known = Math.max(known ?? 0, end);
      top = Math.max(top, end);
    } else {
      if (line.kinds & RST) marks.reset.push([at, known ?? 0, line]);
      if (line.ack === null || line.kinds & (RST | COPY)) continue;
      acked.push([at, line.ack, line]);
      if (line.window !== null) edge.push([at, line.ack + line.window, line]);
      if (line.window === 0) marks.zero.push([at, line.ack, line]);
      top = Math.max(top, line.ack);
    }
  }
  const end = lines[lines.length - 1];
  for (const steps of [acked, edge]) if (steps.length) steps.push([end.at / 1e6, steps[steps.length - 1][1], end]);
  return { marks, acked, edge, top };
}

function plot(flow, lines, side) {
  const found = direction(lines, side);
  const end = lines[lines.length - 1].at / 1e6;
  const ceiling = found.edge.reduce((most, point) => Math.max(most, point[1]), found.top);
  const home = { x0: -0.02 * (end || 1), x1: 1.02 * (end || 1), y0: -0.03 * (found.top || 1), y1: 1.08 * (found.top || 1) };
  let view = { ...home };
  const area = drawn("svg", {
    class: "plot", viewBox: `0 0 ${PLOT.width} ${PLOT.height}`, tabindex: "0", role: "application",
    "aria-label": `Time-sequence plot of what the ${SIDES[side]} sent. Left and right: packet by packet; plus and minus: zoom; 0: everything.`,
  });
  const told = make("output", { class: "mono", "aria-live": "polite" }, "Hover, or use the arrow keys; drag to zoom.");
  const points = [...Object.values(found.marks), found.acked.slice(0, -1)].flat().sort((a, b) => a[0] - b[0] || a[2].frame - b[2].frame);
  let current = -1;
  const x = (value) => PLOT.left + ((value - view.x0) / (view.x1 - view.x0)) * (PLOT.right - PLOT.left);
  const y = (value) => PLOT.bottom - ((value - view.y0) / (view.y1 - view.y0)) * (PLOT.bottom - PLOT.top);
  const draw = () => area.replaceChildren(...inside(found, view, x, y, current < 0 ? null : points[current]));
  const look = (next) => {
    view = next;
    draw();
  };
  const zoom = (factor) => {
    const middle = current >= 0 ? points[current][0] : (view.x0 + view.x1) / 2;
    const half = ((view.x1 - view.x0) / 2) * factor;
    look({ ...view, x0: middle - half, x1: middle + half });
  };
  const tell = (index) => {
    current = index;
    const line = points[index][2];
    told.textContent = `${line.frame}  ${(line.at / 1e6).toFixed(6)} s  ${line.reporter || SIDES[line.side]}: ${line.label}${line.window === null || line.window === undefined ? "" : `, window ${number(line.window)}`}`;
    draw();
  };
  area.addEventListener("keydown", (event) => {
    const steps = { ArrowRight: 1, ArrowLeft: -1 };
    if (event.key in steps && points.length) tell(Math.max(0, Math.min(points.length - 1, current + steps[event.key])));
    else if (event.key === "+" || event.key === "=") zoom(0.5);
    else if (event.key === "-") zoom(2);
    else if (event.key === "0") look({ ...home });
    else return;
    event.preventDefault();
  });
  pointing(area, () => view, look, (px, py) => {
    let best = -1, least = NEAR * NEAR;
    points.forEach((point, index) => {
      const distance = (x(point[0]) - px) ** 2 + (y(Math.max(point[1], Math.min(point[3] ?? point[1], view.y0 + ((PLOT.bottom - py) / (PLOT.bottom - PLOT.top)) * (view.y1 - view.y0)))) - py) ** 2;
      if (distance < least) [best, least] = [index, distance];
    });
    if (best >= 0 && best !== current) tell(best);
  });
  draw();
  const button = (text, action) => make("button", { type: "button", click: action }, text);
  const tools = make(
    "div", { class: "tools" }, button("Zoom in", () => zoom(0.5)), button("Zoom out", () => zoom(2)), button("Everything", () => look({ ...home })),
    ceiling > home.y1 ? button("Up to the window's edge", () => look({ ...home, y1: 1.08 * ceiling })) : null,
  );
  return make("div", {}, make("div", { class: "scroll" }, area), told, tools, key(found));
}

// Drag chooses a part to zoom into, a move without a button asks what is near.
function pointing(area, view, look, ask) {
  let begun = null, box = null;
  const place = (event) => {
    const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(area.getScreenCTM().inverse());
    return [Math.max(PLOT.left, Math.min(PLOT.right, point.x)), Math.max(PLOT.top, Math.min(PLOT.bottom, point.y))];
  };
  area.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    begun = place(event);
    area.setPointerCapture(event.pointerId);
  });
  area.addEventListener("pointermove", (event) => {
    const [px, py] = place(event);
    if (!begun) {
      ask(px, py);
      return;
    }
    if (!box) area.append((box = drawn("rect", { class: "chosen" })));
    fill(box, { x: Math.min(px, begun[0]), y: Math.min(py, begun[1]), width: Math.abs(px - begun[0]), height: Math.abs(py - begun[1]) }, []);
  });
  const finish = (event) => {
    const [from, upto] = [begun, place(event)];
    begun = box = null;
    if (!from || Math.abs(from[0] - upto[0]) < 6 || Math.abs(from[1] - upto[1]) < 6) return;
    const { x0, x1, y0, y1 } = view();
    const sx = (x1 - x0) / (PLOT.right - PLOT.left), sy = (y1 - y0) / (PLOT.bottom - PLOT.top);
    const [left, right] = [from[0], upto[0]].sort((a, b) => a - b), [high, low] = [from[1], upto[1]].sort((a, b) => a - b);
    look({ x0: x0 + (left - PLOT.left) * sx, x1: x0 + (right - PLOT.left) * sx, y0: y0 + (PLOT.bottom - low) * sy, y1: y0 + (PLOT.bottom - high) * sy });
  };
  area.addEventListener("pointerup", finish);
  area.addEventListener("pointercancel", () => { begun = box = null; });
}

function inside({ marks, acked, edge }, view, x, y, point) {
  const bars = (list) => list.map(([at, begin, , end]) => `M${x(at).toFixed(1)} ${y(begin).toFixed(1)}V${Math.min(y(end), y(begin) - 2).toFixed(1)}`).join("");
  const stairs = (list) => list.map(([at, value], index) => `${index ? "H" : "M"}${x(at).toFixed(1)}${index ? "V" : " "}${y(value).toFixed(1)}`).join("");
  const shapes = (list, shape) => list.map(([at, value]) => `M${x(at).toFixed(1)} ${y(value).toFixed(1)}${shape}`).join("");
  const path = (kind, d) => (d ? drawn("path", { class: kind, d }) : null);
  const drawing = [
    path("edge", stairs(edge)), path("acked", stairs(acked)),
    path("sent", bars(marks.data)), path("copy", bars(marks.copy)), path("again", bars(marks.again)),
    ...Object.entries(SHAPES).map(([name, { kind, d }]) => path(kind, shapes(marks[name], d))),
    point ? drawn("circle", { class: "here", cx: x(point[0]), cy: y(point[1]), r: 8 }) : null,
  ].filter(Boolean);
  const width = PLOT.right - PLOT.left, height = PLOT.bottom - PLOT.top;
  const clipped = drawn("svg", { x: PLOT.left, y: PLOT.top, width, height, viewBox: `${PLOT.left} ${PLOT.top} ${width} ${height}` }, drawing);
  return [...axes(view, x, y), clipped];
}

const SHAPES = {
  ends: { kind: "ends", d: "m-4 -4h8v8h-8z", text: "SYN or FIN" },
  zero: { kind: "zero", d: "m-6 -8h12l-6 9z", text: "window 0" },
  probe: { kind: "probe", d: "m0 -6l6 6l-6 6l-6 -6z", text: "probe, keepalive" },
  reset: { kind: "reset", d: "m-6 -6l12 12m0 -12l-12 12", text: "RST" },
  icmp: { kind: "icmp", d: "m0 -7l7 12h-14z", text: "ICMP" },
};

function axes(view, x, y) {
  const lines = [];
  for (const value of ticks(view.x0, view.x1, 8)) {
    if (value < view.x0) continue;
    lines.push(drawn("line", { class: "grid", x1: x(value), x2: x(value), y1: PLOT.top, y2: PLOT.bottom }));
    lines.push(drawn("text", { x: x(value), y: PLOT.bottom + 18, "text-anchor": "middle" }, `${short(value, view.x1 - view.x0)} s`));
  }
  for (const value of ticks(view.y0, view.y1, 6, 1)) {
    lines.push(drawn("line", { class: "grid", x1: PLOT.left, x2: PLOT.right, y1: y(value), y2: y(value) }));
    lines.push(drawn("text", { x: PLOT.left - 6, y: y(value) + 4, "text-anchor": "end" }, number(Math.round(value) || 0)));
  }
  return lines;
}

function ticks(low, high, count, least = 0) {
  const rough = (high - low) / count, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= Math.max(rough, least)) || least;
  const found = [];
  for (let value = Math.ceil(low / step) * step; value <= high; value += step) found.push(value);
  return found;
}

const short = (value, span) => (Math.round(value * 1e6) / 1e6).toFixed(Math.max(0, Math.min(6, 1 - Math.floor(Math.log10(span / 8)))));

function key({ marks, edge, acked }) {
  const entry = (kind, d, text) => make("span", {}, drawn("svg", { class: "plot key", viewBox: "0 0 22 16", "aria-hidden": "true" }, drawn("path", { class: kind, d })), ` ${text}`);
  return make(
    "p", { class: "quiet keys" },
    marks.data.length ? entry("sent", "M11 2V14", "sent") : null,
    marks.again.length ? entry("again", "M11 2V14", "sent again") : null,
    marks.copy.length ? entry("copy", "M11 2V14", "copy") : null,
    acked.length ? entry("acked", "M1 12H11V4H21", "acknowledged") : null,
    edge.length ? entry("edge", "M1 12H11V4H21", "edge of the window") : null,
    ...Object.entries(SHAPES).map(([name, { kind, d, text }]) => (marks[name].length ? entry(kind, `M11 8${d}`, text) : null)),
  );
}
