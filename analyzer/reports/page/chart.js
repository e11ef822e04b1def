// Charts by uPlot: their colours are the page's, their width is that of what they stand in

const charts = new Set();
const FONT = "12px ui-monospace, 'DejaVu Sans Mono', Consolas, Menlo, monospace";
const WHOLE = [1, 2, 5].flatMap((factor) => Array.from({ length: 14 }, (_, power) => factor * 10 ** power)).sort((a, b) => a - b);

const colour = (name) => () => getComputedStyle(document.documentElement).getPropertyValue(name);
const fixed = (min, max) => ({ auto: false, range: (_, from, upto) => [from, upto], min, max });
const axis = (options) => ({ font: FONT, stroke: colour("--dim"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false }, ...options });

// A chart in an element; it goes when the element does.
function chart(host, height, options, values) {
  const begun = new uPlot({ width: 1000, height, legend: { show: false }, ...options }, values, host);
  charts.add(begun);
  const watch = new ResizeObserver(() => {
    if (host.isConnected) {
      if (host.clientWidth) begun.setSize({ width: host.clientWidth, height });
      return;
    }
    watch.disconnect();
    charts.delete(begun);
    begun.destroy();
  });
  watch.observe(host);
  return begun;
}

const repaint = () => charts.forEach((begun) => begun.redraw(false));
for (const query of ["print", "(prefers-color-scheme: dark)"]) matchMedia(query).addEventListener("change", repaint);
