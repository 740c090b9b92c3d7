/** Elements, made and changed without markup: whatever text there is stays text. */

const SVG = "http://www.w3.org/2000/svg";

/** Return an element. Attributes that are null or false are left out; functions listen to the event of their name. */
export function el(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

export function svg(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (isSome(value)) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter(isSome));
  return element;
}

const isSome = (value) => value !== null && value !== undefined && value !== false;

/** Set an element's text, if it is another one: what does not change costs no layout. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Set an attribute, if it is another one; null takes it away. */
export function mark(element, name, value) {
  if (value === null || value === undefined) element.removeAttribute(name);
  else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value);
}

/**
 * Let a parent have a child for each item, in order. One that is there by its key stays the same element, so that
 * focus and selection stay; `update` is told of each.
 */
export function each(parent, items, { key, make, update }) {
  const known = (parent.childrenByKey ??= new Map());
  const wanted = new Map(items.map((item) => [key(item), item]));
  for (const [name, child] of known) {
    if (!wanted.has(name)) {
      child.remove();
      known.delete(name);
    }
  }
  let place = parent.firstChild;
  for (const [name, item] of wanted) {
    let child = known.get(name);
    if (!child) known.set(name, (child = make(item)));
    update?.(child, item);
    if (child === place) place = place.nextSibling;
    else parent.insertBefore(child, place);
  }
}
