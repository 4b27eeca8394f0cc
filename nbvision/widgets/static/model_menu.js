// The menu of models, in groups, as model_menu.py lists them.

import { h } from "./channel.js";

// Fill a select with choices of {id, label, group} and choose one. A menu that offers the same
// already is left alone: it may stand open.
export function fillModels(select, groups, chosen) {
  const offered = JSON.stringify(groups);
  if (select.dataset.offered !== offered) {
    select.dataset.offered = offered;
    const parts = [];
    let last = null;
    for (const { id, label, group } of groups) {
      if (group !== last) {
        parts.push(h("optgroup", { label: group }));
        last = group;
      }
      parts.at(-1).append(h("option", { value: id }, label));
    }
    select.replaceChildren(...parts);
  }
  select.value = chosen;
}
