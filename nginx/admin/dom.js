// Helpers for the document that all modules of the page use.

/** Create an element. Children are elements or text; text is never parsed as HTML. */
export function element(tag, properties = {}, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}

/** Create an SVG element with attributes. */
export function svg(tag, attributes = {}, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

export const byId = (id) => document.getElementById(id);

/** Write text if it differs, so that an unchanged node is not touched. */
export function write(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

const shown = new WeakMap();

/**
 * Show one view for each key, in the order of the keys. A view whose key remains keeps its focus
 * and its open parts. `create(key)` returns a new view, an object with a `node`. Returns key -> view.
 */
export function keyed(parent, keys, create) {
  const old = shown.get(parent) ?? new Map();
  const views = new Map([...keys].map((key) => [key, old.get(key) ?? create(key)]));
  for (const [key, view] of old) if (!views.has(key)) view.node.remove();
  let place = parent.firstChild;
  for (const { node } of views.values()) {
    if (node === place) place = place.nextSibling;
    else parent.insertBefore(node, place);
  }
  shown.set(parent, views);
  return views;
}
