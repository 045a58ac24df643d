// Parts of a page that change by themselves: charts, and figures of the operator's pages.

/** How often a chart of sources is drawn, and how many quiet drawings end it. */
const SOURCES_MS = 1000;
const QUIET = 15;

/** Another page of this node, as a document. */
async function fetched(path) {
	const response = await fetch(path, { headers: { accept: "text/html" } });
	if (!response.ok) throw new Error(`The node answered ${response.status}.`);
	return new DOMParser().parseFromString(await response.text(), "text/html");
}

/** Takes over the parts of this page that have changed. */
async function renew() {
	const page = await fetched(location.href.split("#")[0]);
	for (const part of page.querySelectorAll("[data-part]")) {
		const held = document.getElementById(part.id);
		const unfolded = [...held?.querySelectorAll("details") ?? []].map((one) => one.open);
		part.querySelectorAll("details").forEach((one, at) => { one.open = unfolded[at] ?? one.open; });
		if (held && held.outerHTML !== part.outerHTML && !held.matches(":focus-within")) held.replaceWith(document.importNode(part, true));
	}
}

const watched = new Set();

/** Draws where the bytes of a file come from, as long as some come. */
async function watch(box) {
	const blob = box.dataset.sources;
	if (watched.has(blob)) return;
	watched.add(blob);
	for (let quiet = 0; quiet < QUIET && box.isConnected;) {
		const page = document.hidden ? null : await fetched(`/sources/${blob}`).catch(() => null);
		const fresh = page?.querySelector(".sources");
		if (fresh) {
			box.replaceChildren(...document.importNode(fresh, true).childNodes);
			box.hidden = !box.querySelector("svg") && Boolean(box.closest("figure"));
		}
		const live = fresh?.classList.contains("live") ?? false;
		box.classList.toggle("live", live);
		quiet = live || document.hidden ? 0 : quiet + 1;
		await new Promise((next) => setTimeout(next, SOURCES_MS));
	}
	watched.delete(blob);
}

const refreshed = document.querySelector("[data-refresh]");
const paid = document.querySelector("[data-payments]");
const pending = document.querySelector("[data-pending]");
if (paid || pending) {
	// Payments get further with the chain, not by entries: they have events of their own.
	const post = paid?.dataset.payments;
	const source = new EventSource(`/api/v1/payments/events${post ? `?post=${post}` : ""}`);
	source.addEventListener("payment", () => paid ? renew().catch(() => {}) : document.dispatchEvent(new Event("stale")));
	addEventListener("pagehide", () => source.close());
}
document.addEventListener("click", (event) => document.getElementById(event.target.dataset?.copy)?.click());
if (refreshed) setInterval(() => document.hidden || renew().catch(() => {}), Number(refreshed.dataset.refresh) * 1000);
for (const box of document.querySelectorAll(".sources.live, #sources .sources")) watch(box);
for (const kind of ["play", "seeking", "waiting"]) document.addEventListener(kind, (event) => {
	const box = event.target.closest?.("figure")?.querySelector("[data-sources]");
	if (box) watch(box);
}, true);
