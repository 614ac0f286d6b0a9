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
  parts.nearest = toolbar("Nearest names", {class: "nearest"});
  const hint = element("p", {class: "hint"}, advice(app));
  return element("div", {class: "asking"}, form, parts.nearest, hint);
}

function advice({model, voice}) {
  const [a, b, c] = shortNames(model);
  const words = `Try: why? \u00b7 why not ${a}? \u00b7 add ${b} \u00b7 remove ${c}.`;
  if (voice.hears) return `${words} To understand speech, a browser may send it to its maker.`;
  return voice.speaks ? words : `${words} This browser neither listens nor speaks: type.`;
}

// The best-known products with a name of one word, in small letters.
function shortNames(model) {
  const names = model.names.slice(0, model.items);
  const short = names.filter((name) => /^\p{L}+$/u.test(name)).map((name) => name.toLowerCase());
  return [...short, ...names].slice(0, 3);
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
    parts.asked.value = text;
    setMuted(app, false);
    hear(app, text);
  };
  const ended = () => {
    app.ear = null;
    parts.mic.setAttribute("aria-pressed", "false");
  };
  app.ear = voice.listen(heard, (trouble) => reply(app, trouble), ended);
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

function reply(app, text) {
  app.parts.status.textContent = text;
  app.parts.nearest?.replaceChildren();
}

// Show a reply, and say it.
function tell(app, text) {
  reply(app, text);
  app.voice.say(text);
}

// ------------------------------------------------------------------------------- what to do

// Do what a question or command says, or say why not and offer the nearest names.
function hear(app, text) {
  const {act, name: words} = understand(text);
  if (act === "clear") return carryOut(app, act);
  if (act === null) return puzzled(app, "why", words, "Ask why or why not; add or remove.");
  if (!words && !app.now.shown) return tell(app, app.now.said);
  if (!words) return carryOut(app, act, app.now.shown.item);
  const found = search(app.index, words, meant(app, act));
  if (!found.length) return puzzled(app, act, words, `I know no \u201c${words}\u201d here.`);
  const offers = app.now.order.slice(0, 6).map(({item}) => item);
  const offered = offers.find((item) => act === "why" && found.includes(item));
  return carryOut(app, act, offered ?? found[0]);
}

// Which names make sense: products to ask about, what is chosen to remove, anything to add.
function meant({model, state}, act) {
  if (act === "add") return () => true;
  return act === "remove" ? (k) => state.chosen.includes(k) : (k) => k < model.items;
}

function carryOut(app, act, feature) {
  const {model, state} = app;
  const title = model.names[feature];
  if (act.startsWith("why") && state.chosen.includes(feature)) {
    return tell(app, `${title} is in the basket: remove it to see whether it would come back.`);
  }
  let done = "";
  if (act === "clear") begin(app, []);
  else if (act === "add") done = add(app, feature);
  else if (act === "remove") done = remove(app, feature);
  else ask(app, feature, act);
  reply(app, done);
  return app.voice.say(`${done} ${app.now.said}`.trim());
}

function puzzled(app, act, words, text) {
  const near = words ? nearest(app.index, words, 3, meant(app, act)) : [];
  const names = near.map((k) => app.model.names[k]);
  tell(app, near.length ? `${text} Nearest: ${listed(names)}.` : text);
  const choices = near.map((k, n) => button(`${act} ${names[n]}`, () => {
    carryOut(app, act, k);
    app.parts.asked.focus();
  }, {"data-id": k}));
  refill(app.parts.nearest, choices, 0, app.parts.asked);
}
