// Elements, buttons, and groups of them with one tab stop. Text never becomes markup.

const SVG = "http://www.w3.org/2000/svg";

function element(tag, attributes = {}, ...children) {
  return furnished(document.createElement(tag), attributes, children);
}

function shape(tag, attributes = {}, ...children) {
  return furnished(document.createElementNS(SVG, tag), attributes, children);
}

function furnished(made, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function button(label, act, attributes = {}) {
  const made = element("button", {type: "button", ...attributes}, element("span", {}, label));
  made.addEventListener("click", act);
  return made;
}

function toolbar(label, attributes) {
  const bar = element("div", {role: "toolbar", "aria-label": label, ...attributes});
  arrows(bar);
  return bar;
}

// One tab stop for a group; the arrow keys walk inside it.
function arrows(bar) {
  bar.addEventListener("keydown", (event) => {
    const stops = [...bar.children];
    const here = stops.indexOf(event.target);
    const [next, before] = [here + 1, here - 1];
    const to = {ArrowRight: next, ArrowDown: next, ArrowLeft: before, ArrowUp: before, Home: 0,
      End: -1}[event.key];
    if (to === undefined || here < 0) return;
    event.preventDefault();
    const stop = stops.at(to % stops.length);
    oneTabStop(stops, stop);
    stop.focus();
  });
}

function oneTabStop(stops, one) {
  stops.forEach((stop) => stop.setAttribute("tabindex", stop === one ? 0 : -1));
}

// New stops for a group; the focus stays on the same thing, else on the same place.
function refill(bar, stops, current, fallback) {
  const here = [...bar.children].indexOf(document.activeElement);
  const id = document.activeElement?.dataset.id;
  const same = stops.find((stop) => stop.dataset.id === id)
    ?? stops[Math.min(here, stops.length - 1)];
  bar.replaceChildren(...stops);
  oneTabStop(stops, (here >= 0 ? same : stops[current]) ?? stops[0]);
  if (here >= 0) (same ?? fallback).focus({preventScroll: true});
}
