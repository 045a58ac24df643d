// What pages can do beyond forms and links. Where a part fails, the page stays as it was served.

const $ = (selector, within = document) => within.querySelector(selector);
const $$ = (selector, within = document) => [...within.querySelectorAll(selector)];
const byId = (id) => document.getElementById(id);
const csrf = $("#act input[name=csrf]")?.value ?? "";

function make(tag, properties = {}, ...children) {
	const element = Object.assign(document.createElement(tag), properties);
	element.append(...children);
	return element;
}

function toast(textContent) {
	$(".toast")?.remove();
	const box = make("div", { className: "toast", role: "status", textContent });
	document.body.append(box);
	setTimeout(() => box.remove(), 4500);
}

/** What a refused request says, in its own words. */
async function reason(response) {
	try {
		return (await response.json()).error.message;
	} catch {
		return `The node answered ${response.status}.`;
	}
}

/** What `act` gives, or nothing where it throws (no storage, not JSON). */
const attempt = (act) => { try { return act(); } catch { return null; } };
const store = {
	get: (key) => attempt(() => localStorage.getItem(key)),
	set: (key, value) => attempt(() => localStorage.setItem(key, value)),
	drop: (key) => attempt(() => localStorage.removeItem(key)),
};

function themeToggle() {
	const root = document.documentElement;
	const button = make("button", { className: "icon theme", type: "button" });
	const other = () => {
		const { theme } = root.dataset;
		return theme === "dark" || (theme === "auto" && matchMedia("(prefers-color-scheme: dark)").matches) ? "light" : "dark";
	};
	const label = () => { button.title = button.ariaLabel = `Switch to ${other()} colours`; };
	button.onclick = () => {
		root.dataset.theme = other();
		document.cookie = `theme=${root.dataset.theme}; Path=/; Max-Age=31536000; SameSite=Lax`;
		label();
	};
	label();
	$(".me")?.prepend(button);
}

function votes() {
	document.addEventListener("submit", async (event) => {
		const button = event.submitter;
		if (event.target.id !== "act" || !button || new URL(button.formAction).pathname !== "/vote") return;
		event.preventDefault();
		const box = button.closest(".vote");
		const body = new URLSearchParams({ csrf, [button.name]: button.value });
		button.disabled = true;
		try {
			const response = await fetch("/vote", { method: "POST", body, headers: { accept: "application/json" } });
			if (!response.ok) throw new Error(await reason(response));
			$("b", box).textContent = (await response.json()).score;
			const dir = { up: 1, down: -1, clear: 0 }[button.name];
			for (const [name, mine] of [["up", 1], ["down", -1]]) {
				const arrow = $(`.${name}`, box);
				arrow.name = dir === mine ? "clear" : name;
				if (dir === mine) arrow.setAttribute("aria-pressed", "true");
				else arrow.removeAttribute("aria-pressed");
				arrow.setAttribute("aria-label", dir === mine ? "Take back your vote" : `Vote ${name}`);
			}
		} catch (error) {
			toast(error.message);
		}
		button.disabled = false;
	});
}

/** Puts the posts of a fresh copy of this page into it; what is open or typed stays. */
async function refresh() {
	const response = await fetch(location.href.split("#")[0], { headers: { accept: "text/html" } });
	if (!response.ok) return;
	const page = new DOMParser().parseFromString(await response.text(), "text/html");
	for (const post of $$("#replies .post", page)) {
		const held = byId(post.id);
		if (held) {
			update(held, post);
			continue;
		}
		const copy = document.importNode(post, true);
		$$(".post", copy).forEach((nested) => nested.remove());
		const before = post.previousElementSibling?.closest(".post");
		const parent = post.parentElement.closest(".post");
		const place = parent ? byId(parent.id) : $(".tree");
		if (before && before.parentElement === post.parentElement) byId(before.id)?.after(copy);
		else if (parent) $(":scope > .in", place)?.after(copy);
		else place?.prepend(copy);
		copy.classList.add("fresh");
	}
	const first = $(".op");
	if (first && $(".op", page)) update(first, $(".op", page));
	for (const part of ["#where", ".count h2"]) {
		const [now, then] = [$(part), $(part, page)];
		if (now && then) now.replaceWith(document.importNode(then, true));
	}
}

/** Takes over what changes in a post: words, score, sats, who holds its files. */
function update(held, fresh) {
	const parts = (post) => $$(".body, .vote b, .where, .paid", post).filter((one) => one.closest(".post, .op") === post);
	const then = parts(fresh);
	const now = parts(held);
	if (now.length === then.length) now.forEach((one, at) => {
		if (one.outerHTML !== then[at].outerHTML) one.replaceWith(document.importNode(then[at], true));
	});
}

function listen(query, on) {
	const source = new EventSource(`/api/v1/events${query}`);
	for (const kind of ["insert", "update", "void", "unvoid", "purge", "reset"]) {
		source.addEventListener(kind, (event) => {
			on(kind, attempt(() => JSON.parse(event.data)) ?? {});
		});
	}
	addEventListener("pagehide", () => source.close());
}

function liveThread(section) {
	let timer;
	let running = Promise.resolve();
	const soon = () => {
		timer ??= setTimeout(() => {
			timer = null;
			running = running.then(refresh).catch(() => {});
		}, 300 + $$(".post").length);
	};
	// Nobody announces that a node holds it all now: ask while this is the only one.
	setInterval(() => document.hidden || !$(".where.alone") || soon(), 5000);
	listen(`?root=${section.dataset.root}`, soon);
	document.addEventListener("stale", soon);
	document.addEventListener("visibilitychange", () => document.hidden || soon());

	const toggle = make("button", { type: "button", textContent: "Collapse all" });
	toggle.onclick = () => {
		const open = toggle.textContent !== "Collapse all";
		$$(".tree > .post").forEach((post) => { post.open = open; });
		toggle.textContent = open ? "Collapse all" : "Open all";
	};
	if ($(".tree > .post")) $(".count", section)?.append(toggle);

	const key = `seen:${section.dataset.root}`;
	const seen = Number(store.get(key));
	const posts = $$(".post");
	if (seen) posts.forEach((post) => post.classList.toggle("fresh", post.dataset.ms > seen && !$(":scope > summary .you", post)));
	if (posts[0]) store.set(key, Math.max(seen, ...posts.map((post) => post.dataset.ms)));
}

function liveList(section) {
	const fresh = new Set();
	listen(section.dataset.space ? `?space=${section.dataset.space}` : "", (kind, data) => {
		if (kind !== "insert" || data.table !== "post" || data.about || byId(data.row)) return;
		fresh.add(data.row);
		const words = fresh.size === 1 ? "1 new thread" : `${fresh.size} new threads`;
		$("#fresh")?.replaceChildren(make("a", { href: "?sort=new", textContent: words, className: "button small" }));
	});
}

/** Sends one file, with its progress; gives what the node says about it. */
function send(file, bar) {
	return new Promise((done, failed) => {
		const request = new XMLHttpRequest();
		request.open("POST", `/upload?name=${encodeURIComponent(file.name || "pasted")}`);
		request.setRequestHeader("x-csrf-token", csrf);
		request.setRequestHeader("accept", "application/json");
		request.setRequestHeader("content-type", "application/octet-stream");
		request.responseType = "json";
		request.upload.onprogress = (event) => { if (event.lengthComputable) bar.value = event.loaded / event.total; };
		request.onload = () => request.status === 200 ? done(request.response)
			: failed(new Error(request.response?.error?.message ?? `The node answered ${request.status}.`));
		request.onerror = () => failed(new Error("The connection broke off. Is the node still running?"));
		request.send(file);
	});
}

async function attach(form, file) {
	let list = $(".attached", form);
	if (!list) {
		list = make("ul", { className: "attached" });
		$(".row", form).before(list);
	}
	const bar = make("progress", { max: 1, value: 0, ariaLabel: `Sending ${file.name}` });
	const remove = make("button", { type: "button", className: "button small", textContent: "Remove", onclick: () => item.remove() });
	const item = make("li", {}, make("span", { className: "name", textContent: file.name || "pasted" }), bar);
	list.append(item);
	form.dataset.sending = Number(form.dataset.sending ?? 0) + 1;
	try {
		const added = await send(file, bar);
		const hidden = (name, value) => make("input", { type: "hidden", name, value });
		const alt = make("input", { name: "alt", maxLength: 1000, dir: "auto", ariaLabel: `Description of ${added.name}`, placeholder: "What it shows or says" });
		bar.remove();
		item.append(hidden("media", added.blob), hidden("media_name", added.name), $("[name=publicity]", form)?.cloneNode(true) ?? "", alt, ...added.notes.map((note) => make("small", { textContent: note })), remove);
	} catch (error) {
		bar.remove();
		item.append(make("span", { className: "bad", role: "alert", textContent: error.message }), remove);
	}
	form.dataset.sending = Number(form.dataset.sending) - 1;
	form.dispatchEvent(new Event("sent"));
}

function uploads() {
	document.addEventListener("change", (event) => {
		const input = event.target;
		if (!input.matches?.('input[type="file"][name="file"]') || !csrf) return;
		const files = [...input.files];
		input.value = "";
		files.forEach((file) => attach(input.form, file));
	});
	for (const kind of ["dragover", "dragleave", "drop", "paste"]) {
		document.addEventListener(kind, (event) => {
			const form = event.target.closest?.("form[data-draft]");
			const brought = event.dataTransfer ?? event.clipboardData;
			if (!form || !brought?.types.includes("Files")) return;
			event.preventDefault();
			$(".files", form)?.classList.toggle("over", kind === "dragover");
			[...brought.files].forEach((file) => attach(form, file));
		});
	}
}

async function whenSent(form) {
	while (Number(form.dataset.sending ?? 0) > 0) await new Promise((next) => form.addEventListener("sent", next, { once: true }));
}

function replies() {
	document.addEventListener("submit", async (event) => {
		const form = event.target;
		if (!form.matches("form[data-draft]")) return;
		const draft = `draft:${form.dataset.draft}`;
		if (!form.closest(".reply")) {
			if (Number(form.dataset.sending ?? 0) > 0) {
				event.preventDefault();
				toast("Posting as soon as the files are sent…");
				await whenSent(form);
				form.requestSubmit(event.submitter);
			} else if (event.submitter?.name !== "preview") store.drop(draft);
			return;
		}
		event.preventDefault();
		const button = $("button.primary", form);
		button.disabled = true;
		try {
			await whenSent(form);
			const response = await fetch(form.action, { method: "POST", body: new FormData(form), headers: { accept: "application/json" } });
			if (!response.ok) throw new Error(await reason(response));
			const published = await response.json();
			store.drop(draft);
			form.reset();
			$(".attached", form)?.remove();
			form.closest("details").open = false;
			await refresh();
			byId(published.id)?.scrollIntoView({ block: "center" });
			const { sent_to, held_by } = published.availability;
			toast([`Posted. Sent to ${sent_to}, held in full by ${held_by}.`, ...published.warnings, held_by ? "" : "Keep this node running."].join(" "));
		} catch (error) {
			toast(error.message);
		}
		button.disabled = false;
	});
}

function drafts() {
	const fields = (form) => $$("textarea[name=body], input[name=title], input[name=url]", form);
	const restore = (form) => {
		const saved = attempt(() => JSON.parse(store.get(`draft:${form.dataset.draft}`))) ?? {};
		for (const field of fields(form)) if (!field.value.trim() && saved[field.name]) field.value = saved[field.name];
	};
	$$("form[data-draft]").filter((form) => form.dataset.draft).forEach(restore);
	let timer;
	document.addEventListener("input", (event) => {
		const form = event.target.form;
		if (!form?.dataset.draft) return;
		clearTimeout(timer);
		timer = setTimeout(() => {
			const typed = Object.fromEntries(fields(form).map((field) => [field.name, field.value]));
			if (Object.values(typed).some((text) => text.trim())) store.set(`draft:${form.dataset.draft}`, JSON.stringify(typed));
			else store.drop(`draft:${form.dataset.draft}`);
		}, 400);
	});
}

function copying() {
	const copy = async (code) => {
		try {
			await navigator.clipboard.writeText(code.textContent);
			toast("Copied");
		} catch { getSelection().selectAllChildren(code); }
	};
	document.addEventListener("click", (event) => {
		const code = event.target.closest?.("code.copy");
		if (code) copy(code);
	});
	document.addEventListener("keydown", (event) => {
		if (event.key === "Enter" && event.target.matches?.("code.copy")) copy(event.target);
	});
}

const KEYS = { j: "Next", k: "Previous", p: "What it answers", t: "Top", x: "Fold or open", r: "Reply", a: "Vote up", z: "Vote down", "?": "This help" };

function keys() {
	const dialog = make("dialog", {}, make("h2", { textContent: "Keys" }),
		make("dl", {}, ...Object.entries(KEYS).flatMap(([key, does]) => [make("dt", {}, make("kbd", { textContent: key })), make("dd", { textContent: does })])),
		make("form", { method: "dialog" }, make("button", { className: "button", textContent: "Close" })));
	document.body.append(dialog);
	const items = () => $$(".thread, .op, .post").filter((item) => item.checkVisibility?.() ?? true);
	const current = () => $(".cursor");
	const go = (item) => {
		if (!item) return;
		current()?.classList.remove("cursor");
		item.classList.add("cursor");
		const target = $("h2 a, :scope > summary, .who", item);
		target.focus({ preventScroll: true });
		target.scrollIntoView({ block: "center" });
	};
	const own = (selector) => $$(selector, current() ?? $(".op, .thread")).find((one) => one.closest(".thread, .op, .post") === (current() ?? $(".op, .thread")));
	const acts = {
		j: () => go(items()[items().indexOf(current()) + 1]),
		k: () => go(items()[items().indexOf(current()) - 1]),
		p: () => go(current()?.parentElement.closest(".post") ?? $(".op")),
		t: () => go($(".op") ?? items()[0]),
		x: () => { if (current()?.matches(".post")) current().open = !current().open; },
		r: () => { const reply = own(".reply"); if (reply) { reply.open = true; $("textarea", reply).focus(); } },
		a: () => own(".up")?.click(),
		z: () => own(".down")?.click(),
		"?": () => dialog.showModal(),
	};
	document.addEventListener("keydown", (event) => {
		if (event.ctrlKey || event.metaKey || event.altKey || dialog.open) return;
		if (event.target.closest?.("input, textarea, select, video, audio, [contenteditable]")) return;
		const act = acts[event.key];
		if (act) { event.preventDefault(); act(); }
	});
}

const thread = $("[data-live=thread]");
const list = $("[data-live=front], [data-live=board]");
for (const part of [themeToggle, votes, uploads, replies, drafts, copying, keys, () => thread && liveThread(thread), () => list && liveList(list)]) {
	try { part(); } catch (error) { console.error(error); }
}if ($("[data-refresh], [data-sources], [data-pending]")) import(`./live.js${new URL(import.meta.url).search}`);
