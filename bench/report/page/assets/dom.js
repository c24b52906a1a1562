'use strict';
// Elements are made of data that models wrote: only ever as text nodes and attributes.

/** Return an element; `text` and children become text nodes, `onclick` a listener. */
function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === 'class') element.className = value;
    else if (name === 'text') element.textContent = value;
    else if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

/** Return a set of buttons of which one is pressed. */
function choice(label, options, current, choose) {
  const buttons = options.map(({ value, text, title }) =>
    el('button', {
      type: 'button',
      text,
      title,
      'aria-pressed': String(value === current),
      onclick: () => choose(value),
    }));
  return el('div', { class: 'choice', role: 'group', 'aria-label': label },
    el('span', { class: 'choice-label', text: label }), buttons);
}

/** Return the number with two decimals, or a dash. */
function shortNumber(value) {
  if (typeof value !== 'number' || !Number.isFinite(value)) return '—';
  const text = value.toFixed(2);
  return text === '-0.00' ? '0.00' : text;
}
