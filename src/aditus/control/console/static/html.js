// From the server's own pages to elements: the only place where text becomes markup.
const policy = globalThis.trustedTypes?.createPolicy("aditus", { createHTML: (html) => html });

/** A document that this server rendered; its scripts do not run. */
export function parse(html) {
  return new DOMParser().parseFromString(policy ? policy.createHTML(html) : html, "text/html");
}
