// The few things that every part of the page does with the document.

/** Make an element; children are elements or text, which is never taken for HTML. */
export function element(tag, properties = {}, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}

/** Make an SVG element with these attributes. */
export function svg(tag, attributes = {}, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

export const byId = (id) => document.getElementById(id);

/** Write text, unless it stands there: what does not change is left in peace. */
export function write(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

const shown = new WeakMap();

/**
 * Show one view for each key, in this order; a view that stays keeps its place, its focus and
 * what is open in it. `create(key)` makes one, an object with a `node`. Returns key -> view.
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
