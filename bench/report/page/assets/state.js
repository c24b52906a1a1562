// The state of the page is its address, so that a link shows what its sender saw.

const app = (() => {
  const data = JSON.parse(document.getElementById('data').textContent);
  const renders = [];

  function read() {
    return new URLSearchParams(location.hash.slice(1));
  }

  function get(key, fallback = '') {
    return read().get(key) ?? fallback;
  }

  function set(changes, { replace = false } = {}) {
    const state = read();
    for (const [key, value] of Object.entries(changes)) {
      if (value === '' || value === null || value === undefined) state.delete(key);
      else state.set(key, value);
    }
    const address = `#${state}`;
    if (address === (location.hash || '#')) return;
    // Without a fragment, the browser would scroll; the place on the page stays.
    history[replace ? 'replaceState' : 'pushState'](null, '', address);
    render();
  }

  function render() {
    for (const each of renders) each();
  }

  function subscribe(each) {
    renders.push(each);
    each();
  }

  /** Return the current task's name. */
  function task() {
    const names = data.tasks.map((each) => each.name);
    const name = get('task');
    return names.includes(name) ? name : names[0];
  }

  /** Return the names of the methods that are hidden everywhere. */
  function hidden() {
    const known = new Set(data.methods.map((each) => each.name));
    return new Set(read().getAll('hide').filter((name) => known.has(name)));
  }

  function shown() {
    const out = hidden();
    return data.methods.filter((method) => !out.has(method.name));
  }

  /** Show a method that is hidden, hide one that is shown. */
  function toggle(name) {
    const state = read();
    const names = hidden();
    if (!names.delete(name)) names.add(name);
    state.delete('hide');
    for (const each of names) state.append('hide', each);
    history.pushState(null, '', `#${state}`);
    render();
  }

  window.addEventListener('popstate', render);
  window.addEventListener('hashchange', render);
  return { data, get, set, subscribe, task, hidden, shown, toggle };
})();
