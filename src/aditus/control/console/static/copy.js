// Copy buttons: data-copy names the element whose text goes to the clipboard. Downloads of a profile
// file, or of the secret alone.

const SHOWN_MILLISECONDS = 2000;
const timers = new WeakMap();

document.addEventListener("click", async (event) => {
  const copy = event.target.closest("[data-copy]");
  if (copy) {
    const source = document.getElementById(copy.dataset.copy);
    try {
      await navigator.clipboard.writeText(source.textContent);
      tell(copy, "Copied");
      kept(copy);
    } catch {
      getSelection().selectAllChildren(source);
      tell(copy, "Press Ctrl+C");
    }
    return;
  }
  const download = event.target.closest("[data-download]");
  if (download) {
    const secret = document.getElementById("secret").textContent;
    const relay = download.dataset.relay;
    const text = relay ? `[default]\naccessKey=${secret}\nrelay=${relay}\n` : `${secret}\n`;
    const address = URL.createObjectURL(new Blob([text], { type: "application/octet-stream" }));
    const link = document.createElement("a");
    link.href = address;
    link.download = download.dataset.download;
    link.click();
    setTimeout(() => URL.revokeObjectURL(address), 1000);
    tell(download, "Downloaded");
    kept(download);
  }
});

// Whoever copies by hand has it, too.
document.addEventListener("copy", () => {
  const secret = document.getElementById("secret");
  if (secret && getSelection().toString().includes(secret.textContent)) {
    secret.closest("[data-secret]")?.setAttribute("data-kept", "");
  }
});

function kept(button) {
  if ("keeps" in button.dataset) button.closest("[data-secret]")?.setAttribute("data-kept", "");
}

function tell(button, text) {
  button.dataset.label ??= button.textContent;
  button.textContent = text;
  clearTimeout(timers.get(button));
  timers.set(button, setTimeout(() => (button.textContent = button.dataset.label), SHOWN_MILLISECONDS));
  let status = document.getElementById("copy-status");
  if (!status || !status.parentElement.contains(button)) {
    status?.remove();
    status = document.createElement("span");
    status.id = "copy-status";
    status.className = "hidden";
    status.setAttribute("role", "status");
    (button.closest("section, main") ?? document.body).append(status);
  }
  status.textContent = text;
}
