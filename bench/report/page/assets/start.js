// Tabs, the choice of task and methods, and help; then every view in its place.

/** Show one tab; the state remembers which. */
function tabsView() {
  const links = [...document.querySelectorAll('nav.tabs a')];
  const tabs = [...document.querySelectorAll('main > .tab')];
  let shown = '';
  for (const link of links) {
    link.addEventListener('click', (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      app.set({ tab: link === links[0] ? '' : link.dataset.tab });
      scrollTo(0, 0);
    });
  }
  app.subscribe(() => {
    const wanted = app.get('tab');
    const current = links.find((link) => link.dataset.tab === wanted) ?? links[0];
    for (const link of links) {
      if (link === current) link.setAttribute('aria-current', 'page');
      else link.removeAttribute('aria-current');
    }
    for (const tab of tabs) tab.hidden = tab.dataset.tab !== current.dataset.tab;
    if (shown && shown !== current.dataset.tab) scrollTo(0, 0);
    shown = current.dataset.tab;
  });
}

/** Show the parts of one task. */
function tasksView(root) {
  const { tasks } = app.data;
  const parts = [...document.querySelectorAll('[data-task]')];
  const cards = parts.filter((part) => part.classList.contains('answer'));
  for (const card of cards) {
    const heading = card.querySelector('h3');
    const button = el('button', { type: 'button', text: heading.textContent,
      onclick: () => app.set({ task: card.dataset.task }) });
    if (tasks.length > 1) heading.replaceChildren(button);
  }
  app.subscribe(() => {
    const current = app.task();
    const options = tasks.map(({ name, title }) => ({ value: name, text: title }));
    const focused = root.contains(document.activeElement);
    root.replaceChildren(...(tasks.length > 1
      ? [choice('Task', options, current, (value) => app.set({ task: value === tasks[0].name ? '' : value }))]
      : []));
    if (focused) root.querySelector('[aria-pressed="true"]')?.focus();
    for (const part of parts) {
      if (cards.includes(part)) part.classList.toggle('current', tasks.length > 1 && part.dataset.task === current);
      else part.hidden = part.dataset.task !== current;
    }
  });
}

/** Return a method's mark as a picture. */
function methodMark(method) {
  const space = 'http://www.w3.org/2000/svg';
  const svg = document.createElementNS(space, 'svg');
  svg.setAttribute('viewBox', '-1.1 -1.1 2.2 2.2');
  svg.setAttribute('aria-hidden', 'true');
  const path = document.createElementNS(space, 'path');
  path.setAttribute('d', method.shape);
  path.setAttribute('fill', methodColor(method));
  svg.append(path);
  return svg;
}

/** Show the legend: each entry shows or hides its method everywhere. */
function legendView(root) {
  const render = () => {
    const hidden = app.hidden();
    const focused = root.contains(document.activeElement) ? document.activeElement.dataset.method : '';
    root.replaceChildren(el('span', { class: 'choice-label', text: 'Methods' }), ...app.data.methods.map((method) =>
      el('button', {
        type: 'button', 'data-method': method.name, 'aria-pressed': String(!hidden.has(method.name)),
        title: hidden.has(method.name) ? 'Show everywhere' : 'Hide everywhere',
        onclick: () => app.toggle(method.name),
      }, methodMark(method), method.label)));
    if (focused) root.querySelector(`[data-method="${CSS.escape(focused)}"]`)?.focus();
  };
  app.subscribe(render);
  dark.addEventListener('change', render);
}

/** Put an explanation next to the mark that opens it. */
function helpView() {
  for (const box of document.querySelectorAll('[popover]')) {
    box.addEventListener('toggle', (event) => {
      if (event.newState !== 'open') return;
      const mark = document.activeElement?.getAttribute('popovertarget') === box.id
        ? document.activeElement : document.querySelector(`[popovertarget="${box.id}"]`);
      const { left, bottom } = mark.getBoundingClientRect();
      box.style.left = `${Math.max(8, Math.min(left, innerWidth - box.offsetWidth - 8))}px`;
      box.style.top = `${Math.max(8, Math.min(bottom + 4, innerHeight - box.offsetHeight - 8))}px`;
    });
  }
}

document.documentElement.classList.add('js');
tabsView();
tasksView(document.getElementById('tasks'));
legendView(document.getElementById('legend'));
helpView();
document.querySelectorAll('table[id]').forEach(tableView);
document.querySelectorAll('[data-plot]').forEach(plotView);
for (const [id, view] of Object.entries({ samples: samplesView, 'head-to-head': headToHeadView })) {
  const root = document.querySelector(`[data-view="${id}"]`);
  if (root) view(root);
}
document.documentElement.dataset.ready = 'yes';
