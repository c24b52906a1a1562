// The controls of the samples tab: filters, and the pager from prompt to prompt.

// Between the last letter typed and the search (ms).
const SEARCH_DELAY = 250;

/** Change what the address asks for, and start at the first match. */
function askForSamples(changes, options) {
  app.set({ sample: null, ...changes }, options || { replace: false });
}

/** Return a form of all filters, and a function that brings it in line with a query. */
function sampleControls() {
  const select = (key, label) => {
    const box = el('select', { name: key });
    // Without a reason to start over, the same prompt stays.
    const keeps = key === 'seed' || key === 'draw';
    box.addEventListener('change', () => (
      keeps ? app.set({ [key]: box.value }, { replace: false }) : askForSamples({ [key]: box.value })
    ));
    return { box, field: el('label', { class: `samples-${key}` }, el('span', { text: label }), box) };
  };
  const fields = {
    better: select('better', 'Only where'),
    than: select('than', 'is better than'),
    order: select('order', 'Order of prompts'),
    seed: select('seed', 'Seed'),
    draw: select('draw', 'Response'),
  };
  const search = el('input', { type: 'search', name: 'q', autocomplete: 'off', spellcheck: 'false' });
  const searchField = el('label', {}, el('span', { text: 'Text in prompt or response' }), search);
  let timer = null;
  search.addEventListener('input', () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      timer = null;
      askForSamples({ q: search.value }, { replace: true });
    }, SEARCH_DELAY);
  });
  const marks = el('input', { type: 'checkbox', name: 'marks' });
  marks.addEventListener('change', () => {
    app.set({ marks: marks.checked ? null : 'off' }, { replace: false });
  });
  const marksText = 'Mark words that differ from the SFT policy’s response';
  const marksField = el('label', { class: 'samples-check' }, marks, marksText);
  const form = el('form', { class: 'samples-controls', 'aria-label': 'Samples to show' });
  form.append(searchField, ...Object.values(fields).map(({ field }) => field), marksField);
  form.addEventListener('submit', (event) => event.preventDefault());

  const update = (index, query) => {
    const methods = index.methods.map(({ name, label }) => [name, visible(label)]);
    setOptions(fields.better.box, [['', 'any method'], ...methods], query.better);
    setOptions(fields.than.box, [['', 'any other'], ...methods], query.than);
    setOptions(fields.order.box, Object.entries(sampleOrders(index)), query.order);
    setOptions(fields.seed.box, index.seedNames.map((seed) => [seed, String(seed)]), query.seed);
    const draws = index.drawNames.map((draw) => [draw + 1, `${draw + 1} of ${index.drawNames.length}`]);
    setOptions(fields.draw.box, draws, query.draw + 1);
    fields.seed.field.hidden = index.seedNames.length < 2;
    fields.draw.field.hidden = draws.length < 2;
    // What is being typed is ahead of the address.
    if (timer === null && search.value !== query.words) search.value = query.words;
    marks.checked = query.marks;
    marksField.hidden = !index.methods.some(({ name }) => name === 'sft');
  };
  return { form, update };
}

/** Give a select these options as [value, text], and choose one. */
function setOptions(box, options, value) {
  const same = box.options.length === options.length
    && options.every(([name, text], i) => (
      box.options[i].value === String(name) && box.options[i].textContent === text
    ));
  if (!same) box.replaceChildren(...options.map(([name, text]) => el('option', { value: name, text })));
  box.value = String(value);
}

/** Return the buttons to the previous and next prompt, and a function that updates them. */
function samplePager() {
  const place = el('span', { role: 'status' });
  let goTo = { '-1': undefined, 1: undefined };
  const go = (step) => {
    // In place: the way back must not lead through every prompt that was read.
    if (goTo[step] !== undefined) app.set({ sample: String(goTo[step] + 1) }, { replace: true });
  };
  const button = (step, text) => el('button', { type: 'button', text, onclick: () => go(step) });
  const buttons = { '-1': button(-1, '← Previous'), 1: button(1, 'Next →') };
  const nav = el('nav', { class: 'samples-pager', 'aria-label': 'Prompts' }, buttons[-1], buttons[1], place);
  nav.addEventListener('keydown', (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    go(step);
  });
  const update = (index, matches, current) => {
    const at = matches.indexOf(current);
    goTo = { '-1': matches[at - 1], 1: at < 0 ? undefined : matches[at + 1] };
    // A button that is disabled would lose the focus.
    for (const step of [-1, 1]) buttons[step].setAttribute('aria-disabled', String(goTo[step] === undefined));
    const nothing = allHidden(index) ? 'All methods are hidden.' : `None of ${index.kept} prompts matches.`;
    place.textContent = at < 0 ? nothing : pagerText(index, matches, at);
  };
  return { nav, update };
}

/** Return whether no method of the task is shown. */
function allHidden(index) {
  return index.methods.every(({ name }) => app.hidden().has(name));
}

/** Return where the reader is, such as "Prompt 3 of 96", or "Match 1 of 4: prompt 3 of 96". */
function pagerText(index, matches, at) {
  const prompt = `prompt ${matches[at] + 1} of ${index.kept}`;
  const all = matches.length === index.kept;
  if (all && matches.every((match, i) => match === i)) return prompt[0].toUpperCase() + prompt.slice(1);
  return `${all ? 'Place' : 'Match'} ${at + 1} of ${matches.length}: ${prompt}`;
}
