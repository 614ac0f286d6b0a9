// What the reader does, what the page remembers, and what it shows. State is one small object;
// every action changes it and calls `redraw`.

let started = 0;

function start(root) {
  const shipped = root.querySelector('script[type="application/json"]').textContent;
  const model = unpack(JSON.parse(shipped));
  const app = {root, model, parts: {}, voice: speech(), index: indexed(model.names)};
  app.compact = root.classList.contains("compact");
  app.id = `live-${started += 1}`;
  app.state = {chosen: [], picked: null, rival: null, compared: true, question: "why"};
  root.dataset.started = "";
  root.querySelector(":scope > p").remove();
  root.append(element("div", {class: "panes"}, knownPane(app), offersPane(app)), whyPane(app));
  root.live = app;
  begin(app, model.households[0]?.features ?? []);
  new ResizeObserver(() => drawReasons(app)).observe(app.parts.svg.parentElement);
}

// ------------------------------------------------------------------------------------- actions

function begin(app, features) {
  app.state.chosen = [...features];
  Object.assign(app.state, {picked: null, rival: null, question: "why"});
  redraw(app);
}

function add(app, feature) {
  if (!app.state.chosen.includes(feature)) app.state.chosen.push(feature);
  if (app.state.picked === feature) app.state.picked = null;
  if (app.state.rival === feature) app.state.rival = null;
  redraw(app);
  const brought = (app.model.brings[feature] ?? []).map((k) => app.model.names[k]);
  const name = app.model.names[feature];
  return brought.length ? `Added ${name}; it brings ${listed(brought)}.` : `Added ${name}.`;
}

function remove(app, feature) {
  app.state.chosen = app.state.chosen.filter((k) => k !== feature);
  redraw(app);
  return `Removed ${app.model.names[feature]}.`;
}

function ask(app, item, question = "why", rival = null) {
  Object.assign(app.state, {picked: item, question, rival});
  redraw(app);
}

function compare(app, compared) {
  app.state.compared = compared;
  redraw(app);
}

// --------------------------------------------------------------------------------- what follows

// All that is shown follows from the state: the profile, the ranking, one item and its reasons.
function consequences(app) {
  const {model, state} = app;
  const profile = profileOf(model, state.chosen);
  const order = profile.length ? ranked(model, profile, state.compared) : [];
  const place = Math.max(order.findIndex(({item}) => item === state.picked), 0);
  const at = (n) => order[n] && {...order[n], rank: n + 1, title: model.names[order[n].item]};
  const shown = at(place) ?? null;
  const other = at(order.findIndex(({item}) => item === state.rival));
  const rival = other?.item === shown?.item ? undefined : other;
  const asked = {j: shown?.item, rival: rival?.item, compared: state.compared};
  return {profile, order, shown, rival, relevances: shown ? relevance(model, profile, asked) : []};
}

function flowsOf(app) {
  const {model, now, compact} = app;
  const named = now.relevances.map((found) => ({
    ...found,
    name: found.word + model.names[found.feature],
    kind: kind(model, found.feature),
  }));
  const [most, fewer] = compact ? [4, 1] : now.rival ? [5, 4] : [6, 3];
  return gather(named, most, fewer, sides(now.shown?.title, now.rival));
}

function redraw(app) {
  app.now = consequences(app);
  app.now.flows = flowsOf(app);
  app.now.said = answer(app);
  drawChips(app);
  drawBrought(app);
  drawOffers(app);
  drawRivals(app);
  drawReasons(app);
  drawHints(app);
  reply(app, "");
}

function answer(app) {
  const {now, state} = app;
  if (!now.profile.length) return "Nothing is known yet: choose a product, or a household.";
  if (!now.shown) return "Everything is in the basket: nothing is left to recommend.";
  const {order, flows, rival} = now;
  return sentence({...now.shown, count: order.length, compared: state.compared, flows, rival});
}

// --------------------------------------------------------------------------------------- panes

function knownPane(app) {
  const {parts, model, id} = app;
  parts.chips = toolbar("Chosen: press to remove", {class: "chips"});
  parts.brought = element("dl", {class: "brought"});
  parts.status = element("p", {class: "status", role: "status"});
  const starts = model.households.map(({name, features}) =>
    button(name, () => { begin(app, features); reply(app, `Started from ${name}.`); }));
  const clear = button("clear", () => { begin(app, []); parts.search.focus(); }, {class: "quiet"});
  return element("div", {class: "known"},
    element("p", {class: "head", id: `${id}-known`}, "What is known of a household"),
    element("div", {class: "starts", role: "group", "aria-label": "Start from"}, ...starts, clear),
    searchBox(app), parts.chips, parts.brought, parts.status);
}

function offersPane(app) {
  const {parts, model} = app;
  parts.offersHead = element("p", {class: "head"});
  parts.offers = toolbar("Recommendations: press to ask why",
    {class: "offers", "aria-orientation": "vertical"});
  const first = shortest(model, (k) => k < model.items).slice(0, 3).map((k) =>
    button(`add ${model.names[k]}`, () => { reply(app, add(app, k)); parts.search.focus(); }));
  parts.empty = element("div", {class: "empty"},
    element("p", {}, "As long as nothing is known, every product scores alike. Start from a "
      + "household, type a product into the box, or take one of these:"), ...first);
  return element("div", {class: "gets"}, parts.offersHead, parts.empty, parts.offers);
}

function whyPane(app) {
  const {parts, id} = app;
  parts.question = element("p", {class: "head question"});
  parts.svg = shape("svg", {role: "group", "aria-label": "Relevance flow"});
  parts.ribbons = shape("g", {class: "ribbons"});
  parts.svg.append(parts.ribbons);
  arrows(parts.ribbons);
  parts.named = element("p", {class: "named", "aria-hidden": "true"});
  parts.said = element("p", {class: "said", id: `${id}-said`, "aria-live": "polite"});
  const top = element("div", {class: "top"}, parts.question);
  if (!app.compact) top.append(rivals(app), comparison(app));
  const drawing = element("div", {class: "drawing"}, parts.svg);
  // Listened to here: a group of SVG that listens to the focus becomes a tab stop of its own.
  for (const event of ["pointerover", "focusin"]) {
    drawing.addEventListener(event, ({target}) => name(app, target.closest("[data-id]")));
  }
  const asking = app.compact ? [] : [askPane(app)];
  return element("div", {class: "why"}, ...asking, top, parts.said, drawing, parts.named);
}

// "Why X" becomes "why X rather than Y": a list of what else is recommended.
function rivals(app) {
  const {parts} = app;
  parts.rival = element("select", {});
  parts.rival.addEventListener("change", () => {
    const {value} = parts.rival;
    ask(app, app.now.shown.item, "why", value === "" ? null : Number(value));
  });
  return element("label", {class: "rival"}, "rather than ", parts.rival);
}

function drawRivals({parts, model, now}) {
  if (!parts.rival) return;
  const best = now.order.slice(0, 10).map(({item}) => item);
  const others = new Set([...best, now.rival?.item ?? best[0]]);
  others.delete(now.shown?.item);
  parts.rival.replaceChildren(element("option", {value: ""}, "any other"),
    ...[...others].map((item) => element("option", {value: item}, model.names[item] ?? "")));
  parts.rival.value = now.rival?.item ?? "";
}

function name(app, ribbon) {
  app.parts.named.textContent = ribbon ? ribbon.getAttribute("aria-label") : HINT;
}

const HINT = "Point at a ribbon, tap it, or reach it with the keyboard: it is named here. "
  + "Dotted: the rest, not to scale.";

function comparison(app) {
  const choice = (compared, label) => {
    const input = element("input", {type: "radio", name: `${app.id}-compared`});
    input.checked = app.state.compared === compared;
    input.addEventListener("change", () => compare(app, compared));
    return element("label", {}, input, element("span", {}, label));
  };
  return element("fieldset", {class: "switch"},
    element("legend", {class: "hidden"}, "Which relevance"),
    choice(false, "plain relevance"), choice(true, "compared with the average household and item"));
}

// -------------------------------------------------------------------------------------- drawing

function drawChips(app) {
  const {parts, state, model} = app;
  refill(parts.chips, state.chosen.map((feature) => {
    const text = model.names[feature];
    const look = feature < model.items ? "chip" : "chip told";
    const chip = button(text, () => reply(app, remove(app, feature)),
      {class: look, "data-id": feature, "aria-label": `${text}: remove`, title: text});
    chip.append(element("span", {"aria-hidden": "true"}, "\u00d7"));
    return chip;
  }), 0, parts.search);
}

// The attributes that the chosen items bring, under the word before their colon.
function drawBrought(app) {
  const {parts, model, state, now} = app;
  const groups = new Map();
  for (const k of now.profile.filter((k) => k >= model.items && !state.chosen.includes(k))) {
    const [word, ...rest] = model.names[k].split(": ");
    groups.set(word, [...(groups.get(word) ?? []), rest.join(": ") || word]);
  }
  parts.brought.replaceChildren(...[...groups].flatMap(([word, values]) =>
    [element("dt", {}, `brings ${word}`), element("dd", {}, values.join(" \u00b7 "))]));
}

function drawOffers(app) {
  const {parts, model, state, now, compact} = app;
  const head = state.compared ? "What rises most above the average" : "What RecoNet recommends";
  parts.offersHead.textContent = now.order.length ? head : "Nothing to recommend";
  parts.empty.hidden = now.profile.length > 0;
  const best = now.order.slice(0, compact ? 5 : 6).map((offer, n) => ({...offer, rank: n + 1}));
  if (now.shown && now.shown.rank > best.length) best.push(now.shown);
  refill(parts.offers, best.map(({item, score, rank}) => {
    const text = element("span", {class: "title"}, model.names[item]);
    const offer = button(`${rank}`, () => carryOut(app, "why", item),
      {"data-id": item, "aria-pressed": item === now.shown.item, title: model.names[item]});
    offer.append(" ", text, " ", element("span", {class: "score"}, signed(score)));
    return offer;
  }), best.findIndex(({item}) => item === now.shown?.item), parts.search);
}

function drawReasons(app) {
  const {parts, state, now, compact} = app;
  const title = [now.shown?.title, now.rival?.title].filter(Boolean).join(" rather than ");
  const asked = state.question === "why" ? "Why" : "Why not";
  parts.question.textContent = now.shown ? `${asked} ${title}?` : "";
  app.root.classList.toggle("nothing", !now.shown);
  parts.svg.setAttribute("aria-label", `Relevance flow into ${title}`);
  const score = (now.shown?.score ?? 0) - (now.rival?.score ?? 0);
  const word = now.rival ? "difference" : state.compared ? "above average" : "y";
  const total = `${word} = ${signed(score)}`;
  const looks = {tall: compact ? 100 : 150, hatch: `${app.id}-against`};
  const ribbons = now.shown
    ? drawFlow(parts.svg, parts.ribbons, {title, total, flows: now.flows}, looks) : [];
  refill(parts.ribbons, ribbons, 0, parts.search);
  name(app, ribbons.find((ribbon) => ribbon === document.activeElement));
  if (parts.said.textContent !== now.said) parts.said.textContent = now.said;
}
