// Asking in words, typed or spoken, and being answered in words.

function askPane(app) {
  const {parts, id, voice} = app;
  parts.asked = element("input", {id: `${id}-ask`, type: "text", autocomplete: "off",
    placeholder: "Why do you recommend this?"});
  const form = element("form", {class: "ask"}, element("label", {for: `${id}-ask`}, "Ask"),
    parts.asked, button("Answer", () => {}, {type: "submit"}));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    hear(app, parts.asked.value);
  });
  if (voice.hears) form.append(microphone(app));
  if (voice.speaks) form.append(button("Read aloud", () => readAloud(app)), muteSwitch(app));
  parts.reply = element("p", {class: "status", role: "status"});
  parts.nearest = toolbar("Nearest names", {class: "nearest"});
  parts.hints = toolbar("Questions to try", {class: "hints"});
  const note = element("p", {class: "hint"}, advice(app));
  return element("div", {class: "asking"}, form, parts.reply, parts.nearest, parts.hints, note);
}

function advice({voice}) {
  if (voice.hears) return "To understand speech, a browser may send it to its maker.";
  return voice.speaks ? "" : "This browser neither listens nor speaks: type.";
}

// Questions and commands that can be carried out now, as buttons.
function drawHints(app) {
  const {parts, model, state, now} = app;
  if (!parts.hints) return;
  const [add] = shortest(model, (k) => k < model.items && !now.profile.includes(k));
  const hints = add === undefined ? [] : [`add ${model.names[add]}`];
  if (state.chosen.length) hints.push(`remove ${model.names[state.chosen[0]]}`);
  if (now.order.length > 1) {
    const [first, second] = now.order.map(({item}) => model.names[item]);
    const middle = new Set(now.order.slice(20, 400).map(({item}) => item));
    const [low] = shortest(model, (k) => middle.has(k));
    hints.unshift("why?", `why ${first} rather than ${second}?`);
    if (low !== undefined) hints.push(`why not ${model.names[low]}?`);
  }
  refill(parts.hints, hints.map((text) => button(text, () => hear(app, text), {"data-id": text})),
    0, parts.asked);
}

// Features, those with a name of one word first.
function shortest({names}, among) {
  const some = [...names.keys()].filter(among);
  return [...some.filter((k) => /^\p{L}+$/u.test(names[k])), ...some];
}

// ---------------------------------------------------------------------------- ears and voice

function microphone(app) {
  app.parts.mic = button("Speak", () => listen(app), {"aria-pressed": "false"});
  return app.parts.mic;
}

function listen(app) {
  const {parts, voice} = app;
  if (app.ear) return app.ear.stop();
  parts.mic.setAttribute("aria-pressed", "true");
  const heard = (text) => {
    setMuted(app, false);
    hear(app, text);
  };
  const ended = () => {
    app.ear = null;
    parts.mic.setAttribute("aria-pressed", "false");
  };
  app.ear = voice.listen(heard, (trouble) => reply(app, trouble, true), ended);
}

function muteSwitch(app) {
  app.parts.mute = button("Mute", () => setMuted(app, !app.voice.muted),
    {role: "switch", "aria-checked": "true"});
  return app.parts.mute;
}

function setMuted(app, muted) {
  app.voice.mute(muted);
  app.parts.mute?.setAttribute("aria-checked", muted);
}

function readAloud(app) {
  setMuted(app, false);
  app.voice.say(app.now.said);
}

// Show a reply where the reader looks: at the search box, or at the question.
function reply(app, text, asked = false) {
  const {status, reply: beside, nearest} = app.parts;
  status.textContent = asked ? "" : text;
  if (beside) beside.textContent = asked ? text : "";
  nearest?.replaceChildren();
}

// Show a reply, and say it.
function tell(app, text) {
  reply(app, text, true);
  app.voice.say(text);
}

// ------------------------------------------------------------------------------- what to do

// Do what a question or command says, or say why not and offer the nearest names.
function hear(app, text) {
  const {model, now, parts} = app;
  parts.asked.value = "";
  const asked = understand(text);
  const {whole} = asked;
  const one = whole && meant(app, whole.act, whole.name) !== undefined;
  const {act, name, rival} = one ? whole : asked;
  if (act === "clear") return carryOut(app, act);
  if (act === null) return puzzled(app, "why", name, 0.75);
  if (act === "unsaid") return tell(app, "Name what to add or remove.");
  if (!now.shown && (!name || act.startsWith("why"))) return tell(app, now.said);
  const feature = name ? meant(app, act, name) : now.shown.item;
  if (feature === undefined) return puzzled(app, act, name);
  if (!rival) return carryOut(app, act, feature);
  const other = meant(app, act, rival);
  if (other !== undefined) return carryOut(app, act, feature, other);
  return puzzled(app, `why ${model.names[feature]} rather than`, rival);
}

// The feature that is meant by some words; of products, one that is recommended first.
function meant(app, act, words) {
  const found = search(app.index, words, sensible(app, act));
  const offers = app.now.order.slice(0, 6).map(({item}) => item);
  return offers.find((item) => act === "why" && found.includes(item)) ?? found[0];
}

// Which names make sense: products to ask about, what is chosen to remove, anything to add.
function sensible({model, state}, act) {
  if (act === "add") return () => true;
  return act === "remove" ? (k) => state.chosen.includes(k) : (k) => k < model.items;
}

function carryOut(app, act, feature, rival) {
  const {model, state} = app;
  const asked = act.startsWith("why") ? [feature, rival] : [];
  const bought = asked.find((k) => state.chosen.includes(k));
  if (bought !== undefined) {
    const title = model.names[bought];
    return tell(app, `${title} is in the basket: remove it to see whether it would come back.`);
  }
  if (asked.length && feature === rival) return tell(app, "One product twice: name two products.");
  let done = "";
  if (act === "clear") begin(app, []);
  else if (act === "add") done = add(app, feature);
  else if (act === "remove") done = remove(app, feature);
  else ask(app, feature, act, rival);
  reply(app, done, true);
  return app.voice.say(`${done} ${app.now.said}`.trim());
}

const MANUAL = "Ask why a product is recommended, why not, or why one rather than another; "
  + "or add or remove one thing at a time.";

// Nothing fits: offer names that are alike. What is no question has to be very much like a name.
function puzzled(app, act, words, floor) {
  const {index, model, parts} = app;
  const among = sensible(app, act);
  const near = words.length > 2 ? nearest(index, words, {count: 3, among, floor}) : [];
  const names = near.map((k) => model.names[k]);
  const verb = floor ? "understand" : "know";
  const quoted = words.length > 60 ? `${words.slice(0, 60)}\u2026` : words;
  const unknown = words ? `I do not ${verb} \u201c${quoted}\u201d.` : "I heard no question.";
  tell(app, `${unknown} ${near.length ? `Nearest: ${listed(names)}.` : MANUAL}`);
  refill(parts.nearest, names.map((name, n) => button(`${act} ${name}`, () => {
    hear(app, `${act} ${name}`);
    parts.asked.focus();
  }, {"data-id": near[n]})), 0, parts.asked);
}
