// Writing to the page: text is only ever text, and what has not changed is not touched.

export function text(node, value) {
  if (node.textContent !== value) node.textContent = value;
}

export function title(node, value) {
  if (node.title !== value) node.title = value;
}

export function classes(node, value) {
  if (node.className !== value) node.className = value;
}

/** How much of a meter is filled, 0 to 1. */
export function part(node, value) {
  const scale = `scaleX(${value.toFixed(3)})`;
  if (node.style.transform !== scale) node.style.transform = scale;
}

export function copy(id) {
  return document.getElementById(id).content.firstElementChild.cloneNode(true);
}

/** Make these the children of a list, in this order, and move no more of them than need be. */
export function arrange(list, nodes) {
  const focused = document.activeElement;
  let at = list.firstElementChild;
  for (const node of nodes) {
    if (at && at !== node && at.nextElementSibling === node) {
      const passed = at;
      at = node;
      passed.remove(); // it comes later, or not at all
    }
    if (node === at) at = at.nextElementSibling;
    else list.insertBefore(node, at);
  }
  while (at) {
    const next = at.nextElementSibling;
    at.remove();
    at = next;
  }
  if (focused !== document.activeElement && focused?.isConnected) {
    focused.focus({ preventScroll: true });
  }
}

/** Call a function once before the next picture, however often it is asked for. */
export function beforePaint(work) {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    const run = () => {
      asked = false;
      work();
    };
    // A page in the background paints nothing, and would keep all that comes.
    if (document.hidden) setTimeout(run, 500);
    else requestAnimationFrame(run);
  };
}
