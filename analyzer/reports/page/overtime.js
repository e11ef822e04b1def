// How many failed when: a bar is a sixtieth of the time; chosen bars, or a range of them, are a filter

const STAMPS = [[10, 11, 23], [86400, 11, 19], [Infinity, 5, 16]];

// Time of day, with milliseconds where all is short, with the date where it is long.
function stamp(time, span) {
  const [, from, upto] = STAMPS.find(([most]) => span < most);
  return new Date(time * 1000).toISOString().slice(from, upto).replace("T", " ");
}

// `chosen` is a set of bars, changed here; `changed` is called then.
function overTime(first, last, chosen, changed) {
  const step = (last - first) / BINS;
  const middles = Array.from({ length: BINS }, (_, at) => first + (at + 0.5) * step);
  let counts = middles.map(() => 0), current = 0, anchor = 0;
  const host = make("div", {
    class: "chart", tabindex: "0", role: "application",
    "aria-label": "Failures over time. Left and right: bar by bar; with shift: choose a range; enter: choose this bar or no longer; escape: any time.",
  });
  const told = make("output", { class: "quiet mono", "aria-live": "polite" }, "Drag to choose a range, click to choose a bar.");
  const choose = (from, upto) => {
    chosen.clear();
    for (let at = Math.min(from, upto); at <= Math.max(from, upto); at++) chosen.add(at);
    changed();
  };
  const toggle = (at) => {
    if (!chosen.delete(at)) chosen.add(at);
    changed();
  };
  const under = (left) => Math.max(0, Math.min(BINS - 1, Math.floor((left / drawing.over.clientWidth) * BINS)));
  const drawing = chart(host, 120, {
    padding: [null, 48, null, null], // half of a label: the last one may stand at the very end
    tzDate: (time) => uPlot.tzDate(new Date(time * 1000), "Etc/UTC"),
    scales: { x: { time: true, ...fixed(first, last) }, y: fixed(0, 1) },
    axes: [
      axis({ size: 26, space: 110, grid: { show: false }, values: (_, ticks) => ticks.map((time) => stamp(time, last - first)) }),
      axis({ size: 64, space: 24, incrs: WHOLE, values: (_, ticks) => ticks.map(number) }),
    ],
    series: [{}, { paths: uPlot.paths.bars({ size: [1, Infinity], gap: 2 }), points: { show: false }, fill: colour("--accent"), width: 0 }],
    cursor: { y: false, points: { show: false }, drag: { x: true, y: false, dist: 4, setScale: false }, bind: { dblclick: () => () => {} } },
    hooks: {
      drawClear: [(u) => chosen.forEach((at) => highlight(u, first + at * step, first + (at + 1) * step))],
      setCursor: [(u) => {
        if (u.cursor.left < 0) return;
        current = under(u.cursor.left);
        told.textContent = `${stamp(first + current * step, last - first)} to ${stamp(first + (current + 1) * step, last - first)}: ${number(counts[current])}`;
      }],
      setSelect: [({ select }) => {
        if (!select.width) return;
        choose(under(select.left), under(select.left + select.width));
        drawing.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
      }],
    },
  }, [middles, counts]);
  let pressed = 0;
  drawing.over.addEventListener("mousedown", (event) => { pressed = event.clientX; });
  drawing.over.addEventListener("click", (event) => { if (Math.abs(event.clientX - pressed) < 4) toggle(under(event.offsetX)); });
  host.addEventListener("keydown", (event) => {
    const way = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (way) {
      const next = Math.max(0, Math.min(BINS - 1, current + way));
      drawing.setCursor({ left: drawing.valToPos(middles[next], "x"), top: 1 });
      if (event.shiftKey) choose(anchor, next);
      else anchor = next;
    } else if (event.key === "Enter" || event.key === " ") toggle(current);
    else if (event.key === "Escape") {
      chosen.clear();
      changed();
    } else return;
    event.preventDefault();
  });
  const update = (tally) => {
    counts = middles.map((_, at) => tally.get(at) || 0);
    const most = Math.max(1, ...counts);
    drawing.batch(() => {
      drawing.setData([middles, counts.map((count) => (count ? Math.max(count, most / 25) : null))], false);
      drawing.setScale("x", { min: first, max: last });
      drawing.setScale("y", { min: 0, max: most });
    });
  };
  return { element: make("div", {}, host, told), update };
}

function highlight(u, from, upto) {
  const left = u.valToPos(from, "x", true), width = u.valToPos(upto, "x", true) - left, line = 3 * uPlot.pxRatio;
  u.ctx.fillStyle = colour("--mark")();
  u.ctx.fillRect(left, u.bbox.top, width, u.bbox.height);
  u.ctx.fillStyle = colour("--ink")();
  u.ctx.fillRect(left, u.bbox.top + u.bbox.height, width, line);
}
