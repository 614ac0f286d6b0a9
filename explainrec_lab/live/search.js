// The search box: a combobox over all names, with the nearest ones where nothing fits.

function searchBox(app) {
  const {parts, id, compact} = app;
  const label = "Add a product or an attribute";
  parts.search = element("input", {id: `${id}-search`, type: "text", role: "combobox",
    autocomplete: "off", "aria-expanded": "false", "aria-controls": `${id}-list`,
    "aria-autocomplete": "list", placeholder: compact ? `${label} \u2026` : ""});
  parts.list = element("ul", {id: `${id}-list`, role: "listbox", "aria-label": "Suggestions"});
  parts.list.hidden = true;
  parts.search.addEventListener("input", () => suggest(app));
  parts.search.addEventListener("blur", () => closeList(app));
  parts.search.addEventListener("keydown", (event) => pressed(app, event));
  return element("div", {class: "search"},
    element("label", {for: `${id}-search`, class: compact ? "hidden" : ""}, label),
    parts.search, parts.list);
}

function suggest(app) {
  const {parts, state, index} = app;
  const fresh = (k) => !state.chosen.includes(k);
  const query = parts.search.value;
  const fits = search(index, query, fresh);
  const alike = () => nearest(index, query, {count: 4, among: fresh, floor: 0.3});
  app.suggested = fits.length ? fits.slice(0, 8) : alike();
  parts.list.replaceChildren(...app.suggested.map((k, n) => suggestion(app, k, n)));
  parts.list.hidden = !app.suggested.length;
  parts.search.setAttribute("aria-expanded", !parts.list.hidden);
  parts.status.textContent = app.suggested.length ? "" : nothingFits(app, query);
  mark(app, 0);
}

function nothingFits({state, index, model}, query) {
  const [there] = search(index, query, (k) => state.chosen.includes(k));
  return there === undefined ? `Nothing has a name like \u201c${query.slice(0, 60)}\u201d.`
    : `${model.names[there]} is there already.`;
}

function suggestion(app, k, n) {
  const made = element("li", {id: `${app.id}-option-${n}`, role: "option"},
    element("span", {}, app.model.names[k]), " ", element("small", {}, kind(app.model, k)));
  made.addEventListener("mousedown", (event) => {
    event.preventDefault(); // the focus stays in the box
    choose(app, n);
  });
  return made;
}

function mark(app, current) {
  app.current = current;
  [...app.parts.list.children].forEach((option, n) =>
    option.setAttribute("aria-selected", n === current));
  app.parts.search.setAttribute("aria-activedescendant", `${app.id}-option-${current}`);
}

function choose(app, n) {
  const done = add(app, app.suggested[n]);
  app.parts.search.value = "";
  closeList(app);
  reply(app, done);
}

function closeList(app) {
  app.parts.list.hidden = true;
  app.parts.search.setAttribute("aria-expanded", "false");
  app.parts.search.removeAttribute("aria-activedescendant");
}

function pressed(app, event) {
  const open = !app.parts.list.hidden;
  const step = {ArrowDown: 1, ArrowUp: -1}[event.key];
  if (step && !open) suggest(app);
  else if (step) mark(app, (app.current + step + app.suggested.length) % app.suggested.length);
  else if (event.key === "Enter" && open) choose(app, app.current);
  else if (event.key === "Escape" && open) closeList(app);
  else return;
  event.preventDefault();
}
