"use strict";
(() => {
  const PAGE = 25;
  // The places in a run's row, as dashboard.py writes it.
  const [ISSUE, TITLE, STATUS, STAGE, ATTEMPT, AGE, AT, REASON, ID, BRANCH, DETAILS] =
    Array.from({ length: 11 }, (_, place) => place);
  const find = (id) => document.getElementById(id);
  const first = JSON.parse(find("first").textContent);
  const boxes = [...document.querySelectorAll("input[name=status]")];
  let everything = null;
  let timer = 0;

  // Older runs are only read when somebody searches, filters or pages: the first page is quick.
  function all() {
    if (!everything) {
      const rest = JSON.parse(find("rest").textContent);
      everything = first.runs.concat(rest).map((row) => ({
        row,
        text: [`#${row[ISSUE]}`, row[TITLE], row[STATUS], row[STATUS].replaceAll("_", " "),
          row[REASON], row[BRANCH], row[ID]].join("\n").toLowerCase(),
      }));
    }
    return everything;
  }

  // What somebody chose lives in the address, and so outlives every reload.
  function chosen() {
    const said = new URLSearchParams(location.hash.slice(1));
    const refresh = said.has("refresh") ? Number(said.get("refresh")) : first.refresh;
    return {
      search: said.get("search") || "",
      statuses: (said.get("status") || "").split(",").filter((word) => word in first.colours),
      refresh: Number.isFinite(refresh) && refresh >= 0 ? refresh : 0,
      page: Math.max(1, Math.floor(Number(said.get("page"))) || 1),
    };
  }

  function choose(change) {
    const now = { ...chosen(), page: 1, ...change };
    const said = new URLSearchParams();
    if (now.search) said.set("search", now.search);
    if (now.statuses.length) said.set("status", now.statuses.join(","));
    if (now.refresh !== first.refresh) said.set("refresh", String(now.refresh));
    if (now.page > 1) said.set("page", String(now.page));
    history.replaceState(null, "", `#${said}`);
    show();
  }

  function element(name, text, className) {
    const made = document.createElement(name);
    if (text !== undefined) made.textContent = text;
    if (className) made.className = className;
    return made;
  }

  function span(seconds) {
    if (seconds < 60) return `${Math.round(seconds)} s`;
    return seconds < 3600 ? `${Math.round(seconds / 60)} m` : `${(seconds / 3600).toFixed(1)} h`;
  }

  function stages(list, details) {
    for (const [name, round, seconds] of details.stages) {
      const item = element("li", `${name}${round > 1 ? ` ${round}` : ""}`);
      item.append(element("span", span(seconds)));
      item.style.flexGrow = String(Math.max(seconds, 0.01));
      list.append(item);
    }
  }

  function listing(title, rows) {
    if (!rows.length) return [];
    const list = element("ul");
    list.append(...rows.map((row) => element("li", row)));
    return [element("h4", title), list];
  }

  function files(row, details) {
    if (!details.files.length || first.artifacts === null) return [];
    const list = element("ul", undefined, "files");
    const folder = `${first.artifacts}/issue-${row[ISSUE]}/${encodeURIComponent(row[ID])}`;
    for (const name of details.files) {
      const link = element("a", name);
      link.href = `${folder}/${encodeURIComponent(name)}`;
      const item = element("li");
      item.append(link);
      list.append(item);
    }
    return [element("h4", "Files"), list];
  }

  function inside(row, details) {
    const effects = details.effects.map(([name, state, flag, told]) =>
      `${name}: ${state}${flag ? ` by ${flag}` : ""}${told ? ` (${told})` : ""}`);
    const findings = details.findings.map(([severity, who, text]) => `${severity}, ${who}: ${text}`);
    return [
      ...listing("Effects", effects), ...listing("Findings", findings),
      ...listing("Decision", details.reasons), ...files(row, details),
    ];
  }

  function card(row) {
    const made = find("card").content.cloneNode(true);
    const part = (selector) => made.querySelector(selector);
    const details = row[DETAILS];
    part("h3").textContent = `#${row[ISSUE]} ${row[TITLE]}`;
    part(".chip").textContent = row[STATUS].replaceAll("_", " ");
    if (first.colours[row[STATUS]]) part(".chip").classList.add(first.colours[row[STATUS]]);
    part(".age").textContent = `${row[AGE]} ago`;
    part(".age").title = row[AT];
    part(".headline").textContent = details ? details.headline : row[REASON];
    const facts = [`attempt ${row[ATTEMPT]}`];
    if (row[STAGE]) facts.unshift(`at ${row[STAGE].replaceAll("_", " ")}`);
    if (details) facts.push(`round ${details.round}`, details.cost);
    if (row[BRANCH]) facts.push(row[BRANCH]);
    part(".facts").textContent = [...facts, row[ID]].join(" · ");
    if (details) {
      stages(part(".stages"), details);
      part(".inside").append(...inside(row, details));
      if (details.next) part(".headline").after(element("p", `Next: ${details.next}`, "next"));
    }
    if (!details || !details.stages.length) part(".stages").remove();
    if (!part(".inside").childElementCount) part("details").remove();
    return made;
  }

  function show() {
    const { search, statuses, page } = chosen();
    const wanted = search.trim().toLowerCase();
    const whole = !wanted && !statuses.length && page === 1;
    const found = whole
      ? first.runs
      : all().filter(({ row, text }) =>
        (!statuses.length || statuses.includes(row[STATUS])) && text.includes(wanted),
      ).map(({ row }) => row);
    const count = whole ? Math.max(first.total, found.length) : found.length;
    const pages = Math.max(1, Math.ceil(count / PAGE));
    const here = Math.min(page, pages);
    find("cards").replaceChildren(...found.slice((here - 1) * PAGE, here * PAGE).map(card));
    find("count").textContent = count === 1 ? "1 run" : `${count} runs`;
    find("page").textContent = `page ${here} of ${pages}`;
    find("previous").disabled = here <= 1;
    find("next").disabled = here >= pages;
    find("pages").hidden = pages === 1;
  }

  function reflect() {
    const { search, statuses, refresh } = chosen();
    if (find("search").value !== search) find("search").value = search;
    for (const box of boxes) box.checked = statuses.includes(box.value);
    if ([...find("refresh").options].some((one) => Number(one.value) === refresh)) {
      find("refresh").value = String(refresh);
    }
    show();
    arm(refresh);
  }

  function arm(seconds) {
    clearTimeout(timer);
    if (seconds > 0) timer = setTimeout(renew, seconds * 1000);
  }

  // Somebody who types is not interrupted.
  function renew() {
    if (document.activeElement === find("search")) timer = setTimeout(renew, 1000);
    else location.reload();
  }

  find("search").addEventListener("input", (event) => choose({ search: event.target.value }));
  document.querySelector("form.filters").addEventListener("submit", (event) => event.preventDefault());
  for (const box of boxes) {
    box.addEventListener("change", () => choose({
      statuses: boxes.filter((one) => one.checked).map((one) => one.value),
    }));
  }
  find("refresh").addEventListener("change", (event) => {
    choose({ refresh: Number(event.target.value), page: chosen().page });
    arm(chosen().refresh);
  });
  for (const [id, step] of [["previous", -1], ["next", 1]]) {
    find(id).addEventListener("click", () => {
      choose({ page: chosen().page + step });
      find("runs").scrollIntoView();
    });
  }
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, select, textarea");
    if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      find("search").focus();
    }
  });
  window.addEventListener("hashchange", reflect);
  reflect();
})();
