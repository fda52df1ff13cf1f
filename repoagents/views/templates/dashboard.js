"use strict";
(() => {
  const PAGE = 25;
  // The places in a run's row, as dashboard.py writes it.
  const [ISSUE, TITLE, STATUS, ATTEMPT, AT, REASON, ID, BRANCH, DETAILS] =
    Array.from({ length: 9 }, (_, place) => place);
  const find = (id) => document.getElementById(id);
  const read = (id) => JSON.parse(find(id).textContent);
  const options = read("options");
  const first = read("first");
  const boxes = [...document.querySelectorAll("input[name=status]")];
  let everything = null;
  let timer = 0;

  // Older runs are only read when somebody searches, filters or pages: the first page is quick.
  // They stand below this script, so that it does not wait for them either.
  function all() {
    if (everything) return everything;
    const whole = document.readyState !== "loading";
    const rows = whole ? first.concat(read("rest")) : first;
    const listed = rows.map((row) => ({
      row,
      text: [`#${row[ISSUE]}`, row[TITLE], row[STATUS], words(row[STATUS]), row[REASON],
        row[BRANCH], row[ID]].join("\n").toLowerCase(),
    }));
    if (whole) everything = listed;
    return listed;
  }

  // --- what somebody chose lives in the address, and so outlives every reload -------------------

  function chosen() {
    const said = new URLSearchParams(location.hash.slice(1));
    const refresh = said.has("refresh") ? Number(said.get("refresh")) : options.refresh;
    const list = (name) => (said.get(name) || "").split(",").filter(Boolean);
    return {
      search: said.get("search") || "",
      statuses: list("status").filter((word) => Object.hasOwn(options.colours, word)),
      refresh: Number.isFinite(refresh) && refresh >= 0 ? refresh : 0,
      page: Math.max(1, Math.floor(Number(said.get("page"))) || 1),
      opened: list("open"),
    };
  }

  function note(change) {
    const now = { ...chosen(), ...change };
    const said = new URLSearchParams();
    if (now.search) said.set("search", now.search);
    if (now.statuses.length) said.set("status", now.statuses.join(","));
    // Told even where it is the page's own choice: the next page may be drawn with another.
    if (now.refresh || options.refresh) said.set("refresh", String(now.refresh));
    if (now.page > 1) said.set("page", String(now.page));
    if (now.opened.length) said.set("open", now.opened.join(","));
    history.replaceState(null, "", `#${said}`);
  }

  function choose(change) {
    note({ page: 1, ...change });
    show();
  }

  // --- building blocks: text only ever becomes text ----------------------------------------------

  function words(name) {
    return name.replaceAll("_", " ");
  }

  function element(name, text, className) {
    const made = document.createElement(name);
    if (text !== undefined) made.textContent = text;
    if (className) made.className = className;
    return made;
  }

  // What stands between backticks is something to type.
  function prose(into, text) {
    text.split("`").forEach((part, place) => {
      if (part) into.append(place % 2 ? element("code", part) : part);
    });
    return into;
  }

  function link(address, text) {
    const made = element("a", text);
    made.href = address;
    made.rel = "noreferrer noopener";
    return made;
  }

  function listing(title, items, className) {
    if (!items.length) return [];
    const list = element("ul", undefined, className);
    list.append(...items);
    return [element("h4", title), list];
  }

  function span(seconds) {
    if (seconds < 10) return `${Number(seconds.toFixed(1))} s`;
    if (seconds < 60) return `${Math.round(seconds)} s`;
    if (seconds < 3600) return `${Math.round(seconds / 60)} m`;
    return seconds < 86400 ? `${(seconds / 3600).toFixed(1)} h` : `${Math.round(seconds / 86400)} d`;
  }

  function numbered(count, name) {
    return `${count} ${name}${count === 1 ? "" : "s"}`;
  }

  // --- a run -------------------------------------------------------------------------------------

  function stages(list, details) {
    const running = details.running ? [[...details.running, true]] : [];
    for (const [name, kind, round, seconds, now] of [...(details.stages || []), ...running]) {
      const item = element("li", `${name}${round > 1 ? ` ${round}` : ""}`, `stage ${kind}`);
      if (now) item.append(element("span", `running for ${span(seconds)}`));
      else if (seconds >= 0.1) item.append(element("span", span(seconds)));
      if (now) item.classList.add("now");
      // The longer, the wider; the root keeps the short ones from vanishing.
      item.style.flexGrow = String(Math.sqrt(Math.max(seconds, 0.1)));
      list.append(item);
    }
    if (!list.childElementCount) list.remove();
  }

  function effects(list, details) {
    for (const [name, state, colour, flag, told, address] of details.effects || []) {
      const item = element("li");
      item.append(element("span", state, `chip ${colour}`), element("span", name));
      if (flag) item.append(element("span", "by", "soft"), element("code", flag));
      if (address) item.append(link(address, address.replace(/^https?:\/\//, "")));
      else if (told && !flag) item.append(element("span", told, "soft"));
      list.append(item);
    }
    if (!list.childElementCount) list.remove();
  }

  function files(row, details) {
    if (options.artifacts === null) return [];
    const folder = `${options.artifacts}/issue-${row[ISSUE]}/${encodeURIComponent(row[ID])}`;
    return (details.files || []).map((name) => {
      const item = element("li");
      item.append(link(`${folder}/${encodeURIComponent(name)}`, name));
      return item;
    });
  }

  function finding([severity, colour, who, text]) {
    const item = element("li");
    item.append(element("span", severity, `chip ${colour}`), ` ${text} `, element("span", who, "soft"));
    return item;
  }

  function facts(details) {
    const list = element("dl", undefined, "facts");
    for (const [name, value] of details.facts || []) {
      list.append(element("dt", name), element("dd", value));
    }
    return list.childElementCount ? [element("h4", "Facts"), list] : [];
  }

  function inside(row, details) {
    const columns = [
      [
        ...listing("Findings", (details.findings || []).map(finding)),
        ...listing("Verdict", (details.reasons || []).map((reason) => element("li", reason))),
        ...facts(details),
      ],
      listing("Files", files(row, details), "files"),
    ];
    return columns.filter((column) => column.length).map((column) => {
      const made = element("div");
      made.append(...column);
      return made;
    });
  }

  function summary(row, details) {
    const found = (details.findings || []).length;
    const kept = options.artifacts === null ? 0 : (details.files || []).length;
    return [found ? numbered(found, "finding") : "", kept ? numbered(kept, "file") : ""]
      .filter(Boolean).join(", ") || "Details";
  }

  function card(row, opened) {
    const made = find("card").content.cloneNode(true);
    const part = (selector) => made.querySelector(selector);
    const details = row[DETAILS] || {};
    const [round, most] = details.rounds || [1, 1];
    part("h3").append(element("span", `#${row[ISSUE]}`, "soft"), ` ${row[TITLE]}`);
    part(".chip").textContent = words(row[STATUS]);
    part(".chip").classList.add(options.colours[row[STATUS]]);
    part(".age").textContent = `${span(Math.max(options.made - row[AT], 0))} ago`;
    part(".age").title = new Date(row[AT] * 1000).toISOString();
    prose(part(".happened"), details.happened || row[REASON]);
    if (details.asked && details.asked !== "nothing") {
      part(".asked").append(element("strong", "Asked of you: "));
      prose(part(".asked"), details.asked);
    } else part(".asked").remove();
    if (!part(".happened").textContent) part(".happened").remove();
    stages(part(".stages"), details);
    effects(part(".effects"), details);
    part(".facts").textContent = [
      row[ATTEMPT] > 1 ? `attempt ${row[ATTEMPT]}` : "",
      round > 1 ? `round ${round} of ${most}` : "", details.usage,
    ].filter(Boolean).join(" · ");
    part(".more").textContent = summary(row, details);
    part(".inside").append(...inside(row, details));
    const fold = part("details");
    if (!part(".inside").childElementCount) fold.remove();
    else {
      fold.dataset.run = row[ID];
      fold.open = opened.includes(row[ID]);
    }
    return made;
  }

  // --- the page ----------------------------------------------------------------------------------

  function show() {
    const { search, statuses, page, opened } = chosen();
    const wanted = search.trim().toLowerCase();
    const whole = !wanted && !statuses.length;
    const found = whole && page === 1
      ? first
      : all().filter(({ row, text }) =>
        (!statuses.length || statuses.includes(row[STATUS])) && text.includes(wanted),
      ).map(({ row }) => row);
    const count = whole ? options.listed : found.length;
    const pages = Math.max(1, Math.ceil(count / PAGE));
    const here = Math.min(page, pages);
    const shown = found.slice((here - 1) * PAGE, here * PAGE);
    find("cards").replaceChildren(...shown.map((row) => card(row, opened)));
    find("count").textContent = told(count, whole);
    find("page").textContent = `page ${here} of ${pages}`;
    find("previous").disabled = here <= 1;
    find("next").disabled = here >= pages;
    find("pages").hidden = pages === 1;
    find("clear").hidden = whole;
  }

  function told(count, whole) {
    const number = count.toLocaleString("en");
    const every = options.total.toLocaleString("en");
    if (!options.total) return "none yet: `repoagents trigger N` makes one";
    if (options.listed < options.total) return `${number} of the newest ${options.listed.toLocaleString("en")}; there are ${every}`;
    return whole ? every : `${number} of ${every}`;
  }

  function reflect() {
    const { search, statuses, refresh } = chosen();
    if (find("search").value !== search) find("search").value = search;
    for (const box of boxes) {
      box.checked = statuses.includes(box.value);
      if (box.checked) box.parentElement.hidden = false;
    }
    const offered = [...find("refresh").options];
    if (!offered.some((one) => Number(one.value) === refresh)) {
      find("refresh").append(new Option(`${refresh} s`, String(refresh)));
    }
    find("refresh").value = String(refresh);
    show();
    arm(refresh);
  }

  function arm(seconds) {
    clearTimeout(timer);
    find("refresh").title = "";
    if (seconds > 0) timer = setTimeout(renew, seconds * 1000);
  }

  // Somebody who types or reads is not interrupted, and nothing is drawn that nobody sees.
  function whyNotNow() {
    if (document.hidden) return "nobody looks";
    if (document.activeElement === find("search")) return "you are typing";
    if (String(getSelection())) return "you selected something";
    const reads = [...document.querySelectorAll("details[open]")].some((one) => {
      const { top, bottom } = one.getBoundingClientRect();
      return bottom > 0 && top < innerHeight;
    });
    return reads ? "an opened card is in view" : "";
  }

  function renew() {
    const reason = whyNotNow();
    find("refresh").title = reason ? `waits: ${reason}` : "";
    if (reason) timer = setTimeout(renew, 1000);
    else location.reload();
  }

  function tellAge() {
    const seconds = Date.now() / 1000 - options.made;
    find("made-age").textContent = `${span(Math.max(seconds, 0))} ago`;
    find("made-age").classList.toggle("warn", seconds > 3600);
    find("made-age").hidden = false;
  }

  find("search").addEventListener("input", (event) => choose({ search: event.target.value }));
  document.querySelector("form.filters").addEventListener("submit", (event) => event.preventDefault());
  for (const box of boxes) {
    box.addEventListener("change", () => choose({
      statuses: boxes.filter((one) => one.checked).map((one) => one.value),
    }));
  }
  find("clear").addEventListener("click", () => {
    choose({ search: "", statuses: [] });
    reflect();
    find("search").focus();
  });
  find("refresh").addEventListener("change", (event) => {
    note({ refresh: Number(event.target.value) });
    arm(chosen().refresh);
  });
  for (const [id, step] of [["previous", -1], ["next", 1]]) {
    find(id).addEventListener("click", () => {
      choose({ page: chosen().page + step });
      find("runs").focus();
    });
  }
  find("cards").addEventListener("toggle", (event) => {
    const { run } = event.target.dataset;
    const others = chosen().opened.filter((one) => one !== run);
    note({ opened: event.target.open ? [...others, run] : others });
  }, true);
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input[type=search], select, textarea");
    if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      find("search").focus();
    }
  });
  window.addEventListener("hashchange", reflect);
  document.addEventListener("DOMContentLoaded", () => {
    const { search, statuses, page } = chosen();
    if (search || statuses.length || page > 1) show();
    // What the first search would wait for is done while nobody waits.
    if (window.requestIdleCallback) requestIdleCallback(all);
  });
  let folded = [];
  window.addEventListener("beforeprint", () => {
    folded = [...document.querySelectorAll(".card details:not([open])")];
    for (const one of folded) one.open = true;
  });
  window.addEventListener("afterprint", () => {
    for (const one of folded) one.open = false;
  });
  for (const part of document.querySelectorAll(".scripted")) part.hidden = false;
  reflect();
  if (options.refresh) note({});
  tellAge();
  setInterval(tellAge, 10000);
})();
