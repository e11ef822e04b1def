// What all parts of the page share

const data = JSON.parse(document.getElementById("data").textContent);
const pooled = (place) => data.pool[place];
const SIDES = ["client", "server"];
const PAGE = 50;
const BINS = 60;

// Text reaches the page by text nodes and attributes only: it may come from the capture.
function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  return fill(element, attributes, children);
}

function drawn(name, attributes = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
}

function fill(element, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(key, value);
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== ""));
  return element;
}

const number = (value) => value.toLocaleString("en-US");

function seconds(micros) {
  const value = micros / 1e6;
  if (value < 0.0995) return `${(value * 1000).toPrecision(2) * 1} ms`;
  if (value < 600) return `${value < 10 ? value.toFixed(2) : value.toFixed(1)} s`;
  return `${Math.round(value / 60)} min`;
}

// The bits that say why a segment matters
const SYN = 0x01, FIN = 0x02, RST = 0x04, ICMP = 0x08, RESENT = 0x10, PROBE = 0x80, ZERO_WINDOW = 0x100, COPY = 0x800;

const packetsOf = new WeakMap();

// The packets of a flow with names; of flows without a picture no more is known than what their labels say.
function packets(flow) {
  if (!packetsOf.has(flow)) {
    packetsOf.set(flow, flow.l.map(([frame, at, side, label, decides, reporter, kinds, seq, ack, length, window, states, skipped, file]) => ({
      frame, at, side, label: pooled(label), decides: Boolean(decides), reporter: reporter || "",
      kinds: kinds === undefined ? told(pooled(label), reporter) : kinds,
      seq, ack, length, window, states: states === undefined ? ["", ""] : pooled(states), skipped: skipped || 0,
      file: file === undefined ? "" : pooled(file),
    })));
  }
  return packetsOf.get(flow);
}

function told(label, reporter) {
  if (reporter) return ICMP;
  return (/RST/.test(label) ? RST : 0) | (/again/.test(label) ? RESENT : 0) | (/probe/.test(label) ? PROBE : 0) | (/FIN/.test(label) ? FIN : 0) | (/SYN/.test(label) ? SYN : 0);
}

function kindOf({ kinds }) {
  if (kinds & ICMP) return "icmp";
  if (kinds & RST) return "reset";
  if (kinds & COPY) return "copy";
  return kinds & (RESENT | PROBE) ? "again" : "";
}
