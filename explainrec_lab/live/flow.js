// The relevance flow (RecoNet, Figure 5) as SVG: features on the left, the item on the right,
// ribbons as thick as their relevance. `plots/flow.py` draws the same for paper.

const pen = document.createElement("canvas").getContext("2d");

// The strongest of each sign, then one flow that gathers the rest of that sign.
function gather(relevances, supporting, opposing, words) {
  const some = (sign, count, verb) => {
    const own = relevances.filter(({z}) => sign * z > 0).sort((a, b) => sign * (b.z - a.z));
    const rest = own.slice(count);
    const z = rest.reduce((sum, flow) => sum + flow.z, 0);
    const others = {rest: true, name: `${rest.length} others ${verb}`, kind: "together", z};
    return [...own.slice(0, count), ...(rest.length ? [others] : [])];
  };
  return [...some(1, supporting, words[0]), ...some(-1, opposing, words[1])];
}

// Where things stand, in pixels. On a phone names wrap and stand over their values.
function frame(width, tall) {
  const narrow = width < 540;
  if (narrow) return {narrow, width, tall, left: width * 0.6, right: width - 9, lines: 2};
  const left = Math.min(Math.max(width * 0.47, 290), 380);
  return {narrow, width, tall, left, right: width - Math.min(width * 0.26, 210), lines: 1};
}

function wrapped(text, room, most, font) {
  pen.font = font;
  const lines = [""];
  for (const word of text.split(" ")) {
    const longer = `${lines.at(-1)} ${word}`.trim();
    if (lines.at(-1) && pen.measureText(longer).width > room) lines.push(word);
    else lines[lines.length - 1] = longer;
  }
  const kept = lines.slice(0, most);
  if (lines.length > most) kept[most - 1] += ` ${lines[most]}`;
  return kept.map((line) => clipped(line, room));
}

function clipped(line, room) {
  if (pen.measureText(line).width <= room) return line;
  let length = line.length;
  while (length > 1 && pen.measureText(`${line.slice(0, length)}\u2026`).width > room) length -= 1;
  return `${line.slice(0, length).trimEnd()}\u2026`;
}

function texts(lines, attributes, x, y, step = 17) {
  return shape("text", attributes, ...lines.map((line, n) =>
    shape("tspan", {x, y: y + n * step}, line)));
}

// Rows down the left, and where each ribbon ends on the bar at the right.
function placed(flows, at, top, font) {
  const named = flows.reduce((sum, flow) => sum + (flow.rest ? 0 : Math.abs(flow.z)), 0) || 1;
  let y = top, end = 0;
  return flows.map((flow) => {
    const thick = flow.rest ? 0 : at.tall * Math.abs(flow.z) / named;
    const lines = wrapped(flow.name, at.left - (at.narrow ? 10 : 70), at.lines, font);
    const tall = Math.max(17 * (lines.length + (at.narrow ? 1 : 0)) + 4, thick);
    const row = {flow, thick, lines, y: y + tall / 2, end: end + thick / 2};
    y += tall + 9;
    end += thick;
    return row;
  });
}

function ribbon({flow, thick, lines, y, end}, at, bar, hatch) {
  const [a, b, half, middle] = [y, bar + end, Math.max(thick, 1) / 2, (at.left + at.right) / 2];
  const curve = (from, to, p, q) => `C${middle},${p} ${middle},${q} ${to},${q}`;
  const path = flow.rest
    ? `M${at.left},${a} ${curve(at.left, at.right, a, b)}`
    : `M${at.left},${a - half} ${curve(at.left, at.right, a - half, b - half)} `
      + `L${at.right},${b + half} ${curve(at.right, at.left, b + half, a + half)} Z`;
  const look = flow.rest ? "rest" : flow.z > 0 ? "supports" : "opposes";
  const first = y - (lines.length + (at.narrow ? 1 : 0) - 1) * 8.5 + 5;
  const value = at.narrow ? [at.left - 8, first + 17 * lines.length] : [at.left - 8, y + 5];
  return shape("g", {role: "img", "data-id": flow.feature ?? flow.name, "aria-label": told(flow)},
    shape("path", {class: look, d: path, ...(look === "opposes" ? {fill: `url(#${hatch})`} : {})}),
    texts(lines, {class: `name ${look}`}, at.left - (at.narrow ? 8 : 62), first),
    shape("text", {class: "value", x: value[0], y: value[1]}, signed(flow.z)));
}

const told = (flow) => `${flow.name}, ${flow.kind}: ${signed(flow.z)}`;

function hatching(id) {
  return shape("pattern", {id, width: 6, height: 6, patternUnits: "userSpaceOnUse",
    patternTransform: "rotate(45)"},
  shape("rect", {width: 6, height: 6, class: "pale"}),
  shape("rect", {width: 3, height: 6, class: "dark"}));
}

// Draw the bar, the title and the sum, and return the ribbons for the group that holds them. The
// group itself stays where it is, so that a ribbon keeps the focus.
function drawFlow(svg, ribbons, {title, total, flows}, {tall, hatch}) {
  const at = frame(svg.parentElement.clientWidth || 600, tall);
  const family = getComputedStyle(svg).fontFamily;
  const room = at.narrow ? at.width : at.width - at.right - 20;
  const head = wrapped(title, room, 6, `650 15px ${family}`);
  const top = at.narrow ? 18 * head.length + 34 : 8;
  const rows = placed(flows, at, top, `14px ${family}`);
  const ends = rows.map((row) => row.y + Math.max(row.thick, at.narrow ? 50 : 22) / 2);
  const bottom = Math.max(...ends, top + tall) + 4;
  const bar = at.narrow ? (top + bottom - tall) / 2 : Math.max((top + bottom - tall) / 2, top);
  const first = at.narrow ? 15 : bar + tall / 2 - 9 * head.length;
  const x = at.narrow ? at.width - 1 : at.right + 20;
  svg.setAttribute("viewBox", `0 0 ${at.width} ${bottom}`);
  svg.setAttribute("class", at.narrow ? "flow narrow" : "flow");
  [...svg.children].filter((child) => child !== ribbons).forEach((child) => child.remove());
  svg.prepend(shape("defs", {}, hatching(hatch)));
  svg.append(
    shape("rect", {class: "bar", x: at.right, y: bar, width: 8, height: tall, rx: 2}),
    texts(head, {class: "target", "aria-hidden": "true"}, x, first, 18),
    texts([total], {class: "sum", "aria-hidden": "true"}, x, first + 18 * head.length + 3));
  return rows.map((row) => ribbon(row, at, bar, hatch));
}
