(() => {
  "use strict";
  const run = document.querySelector(".run");
  const end = Number(run.dataset.end) || 1;
  const plots = [...document.querySelectorAll("svg.plot")];
  const table = document.getElementById("values");
  const names = [...table.tHead.rows[0].cells].map((cell) => cell.textContent);
  const rows = [...table.tBodies[0].rows];
  const times = rows.map((row) => Number(row.dataset.t));
  const moments = [...document.querySelectorAll(".moments tr[data-t]")];
  let pinned = null;

  // The last point that is not after the time.
  const at = (time) => {
    let low = 0, high = times.length - 1;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (times[middle] <= time + 0.0005) low = middle; else high = middle - 1;
    }
    return rows[low];
  };

  // Marks a time, and reads out what was seen then.
  const mark = (time, seen = time) => {
    const row = time === null ? undefined : at(seen);
    for (const plot of plots) {
      const line = plot.querySelector(".mark");
      line.classList.toggle("on", time !== null);
      const readout = plot.parentElement.querySelector(".readout");
      if (time !== null) {
        const where = (Math.min(1, Math.max(0, time / end)) * 100).toFixed(2) + "%";
        line.setAttribute("x1", where);
        line.setAttribute("x2", where);
      }
      if (!readout) continue;
      const columns = plot.dataset.columns.split(" ").filter(Boolean).map(Number);
      const value = (column) => names[column] + " " + row.cells[column].textContent;
      readout.textContent = row ? [row.cells[0].textContent, ...columns.map(value)].join(" · ") : "";
    }
  };

  const show = (row) => {
    for (const moment of moments) moment.classList.toggle("on", moment === row);
    if (row) mark(Number(row.dataset.t), Number(row.dataset.seen)); else mark(null);
  };

  for (const row of moments) {
    row.addEventListener("pointerenter", () => show(row));
    row.addEventListener("pointerleave", () => show(pinned));
    row.addEventListener("focusin", () => show(row));
    row.addEventListener("focusout", () => show(pinned));
    row.addEventListener("click", () => {
      pinned = pinned === row ? null : row;
      show(pinned);
    });
  }
  for (const plot of plots) {
    const point = (event) => {
      const box = plot.getBoundingClientRect();
      mark(Math.min(1, Math.max(0, (event.clientX - box.left) / box.width)) * end);
    };
    plot.addEventListener("pointermove", point);
    plot.addEventListener("pointerdown", point);
    // A finger that is taken off leaves what it pointed at to be read.
    plot.addEventListener("pointerleave", (event) => { if (event.pointerType !== "touch") show(pinned); });
  }
})();
