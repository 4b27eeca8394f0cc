// What a view has changed and Python does not know yet, without anything of the page.
//
// One edit is on its way at a time; what changes meanwhile waits and goes as one. An edit names
// the version it was drawn on, so that Python can refuse it when somebody else was quicker, and
// carries everything, so that one which never arrived is made good by the next.

export function boxQueue(view, send) {
  let version = -1;
  let serial = 0;
  let settled = 0; // the last edit that Python has spoken of
  let flying = null; // the places that are on their way
  let isSilent = false; // for so long that they may have been lost
  let waiting = null;
  const steps = [];

  function next() {
    while ((!flying || isSilent) && (waiting || steps.length)) {
      if (!waiting) {
        send(steps.shift(), {});
        continue;
      }
      flying = waiting;
      waiting = null;
      isSilent = false;
      serial += 1;
      const mine = serial;
      Promise.resolve(send("edit", { ...flying, version, view, serial })).then((answer) => {
        if (answer === null && flying && mine === serial) isSilent = true;
      });
    }
  }

  return {
    change(places) {
      waiting = places;
      next();
    },
    step(kind) {
      steps.push(kind);
      next();
    },
    // Take a state: `adopt` says whether to draw it in place of what the view has, `mustYield`
    // whether even a drag under way has to end for it, `lost` whether something gave way that
    // nobody was told of.
    take(state) {
      const { edit } = state;
      const isMine = edit.view === view && edit.serial > settled && state.version <= version + 1;
      const mustYield = isMine ? !edit.accepted : state.version !== version;
      let lost = false;
      if (edit.view === view) settled = Math.max(settled, edit.serial);
      if (isMine && settled === serial) flying = null;
      if (mustYield) {
        // The edit on its way will be refused, and Python says so; of the rest we must.
        lost = !isMine && (waiting !== null || isSilent);
        waiting = null;
        if (isSilent) flying = null;
      } else if (isSilent && flying) waiting ??= flying;
      const adopt = mustYield || (!waiting && !flying);
      version = state.version;
      next();
      return { adopt, mustYield, lost };
    },
  };
}
