// One-layer RecoNet, compared with the average household and the average item: the lift of item j
// is the mean of P[j][k] over the ticked k, and Z_k = P[j][k] / n are its terms.
const model = JSON.parse(root.querySelector('script[type="application/json"]').textContent);
const ticked = new Set(model.start);
let chosen = null;

const relevances = (j) => [...ticked].map((k) => ({feature: k, z: model.P[j][k] / ticked.size}));
const lift = (j) => relevances(j).reduce((sum, r) => sum + r.z, 0);
const ranked = () => model.items.map((feature, j) => ({feature, j, y: lift(j)}))
  .filter((item) => !ticked.has(item.feature)).sort((a, b) => b.y - a.y);
const signed = (value) => (value < 0 ? "\u2212" : "+") + Math.abs(value).toFixed(2);

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function button(label, pressed, act) {
  const made = element("button", {type: "button", "aria-pressed": pressed}, label);
  made.addEventListener("click", act);
  return made;
}

const chips = element("div", {class: "chips", role: "group", "aria-label": "What is known"});
const offers = element("ol", {"aria-label": "Recommendations"});
const head = element("h4", {"aria-live": "polite"});
const bars = element("div", {class: "bars"});
const note = element("p", {class: "note"});

function drawChips() {
  const focused = [...chips.children].indexOf(document.activeElement);
  chips.replaceChildren(...model.features.map((name, k) => button(name, ticked.has(k), () => {
    ticked.has(k) ? ticked.delete(k) : ticked.add(k);
    draw();
  })));
  if (focused >= 0) chips.children[focused].focus();
}

function drawReasons(item) {
  const reasons = relevances(item.j).sort((a, b) => b.z - a.z);
  const widest = Math.max(...reasons.map((r) => Math.abs(r.z)), 1e-9);
  bars.replaceChildren(...reasons.flatMap(({feature, z}) => {
    const fill = element("i", {class: z < 0 ? "against" : "for"});
    fill.style.cssText = `left:0;width:${(100 * Math.abs(z)) / widest}%`;
    return [element("span", {}, model.features[feature]),
      element("div", {class: "bar", "aria-hidden": "true"}, fill), element("span", {}, signed(z))];
  }));
  head.textContent = `Why ${model.features[item.feature]}?`;
  note.textContent = `Together ${signed(item.y)}: that is how far it rises above what the average household would get.`;
}

function draw() {
  drawChips();
  const top = ticked.size ? ranked().slice(0, 4) : [];
  const item = top.find((candidate) => candidate.feature === chosen) ?? top[0];
  const inside = offers.contains(document.activeElement);
  offers.replaceChildren(...top.map((candidate) => element("li", {},
    button(model.features[candidate.feature], candidate === item, () => {
      chosen = candidate.feature;
      draw();
    }))));
  if (inside) offers.querySelector('[aria-pressed="true"]')?.focus();
  if (item) return drawReasons(item);
  bars.replaceChildren();
  head.textContent = ticked.size ? "Nothing left" : "Nothing to go by";
  note.textContent = ticked.size ? "Everything is ticked: nothing is left to recommend." : "Tick something that the household bought.";
}

root.append(element("div", {class: "panes"},
  element("div", {}, element("h4", {}, "A household bought \u2026"), chips),
  element("div", {}, element("h4", {}, "\u2026 so these rise most above average"), offers, head, bars, note)));
root.reconet = {model, ticked, ranked, relevances, draw};
draw();
