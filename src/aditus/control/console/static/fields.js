// Small helps in forms: how many characters are left, and how many rows are ticked.

document.addEventListener("input", (event) => count(event.target));
document.addEventListener("change", (event) => {
  if (event.target.matches?.("[data-tick-all]")) {
    for (const box of boxes()) box.checked = event.target.checked;
  }
  ticked();
});
ticked();

function count(input) {
  if (!input.dataset?.most) return;
  const counter = document.querySelector(`[data-counter-of="${input.id}"]`);
  const length = [...input.value.normalize("NFC").trim()].length;
  counter.textContent = `${length}/${input.dataset.most}`;
  counter.classList.toggle("over", length > Number(input.dataset.most));
}

function boxes() {
  return [...document.querySelectorAll("input[name='key_id'][type='checkbox']")];
}

function ticked() {
  const number = boxes().filter((box) => box.checked).length;
  for (const button of document.querySelectorAll("[data-needs-tick]")) button.disabled = number === 0;
  for (const told of document.querySelectorAll("[data-ticked]")) {
    told.textContent = number === 0 ? "" : `${number} ticked`;
  }
  for (const all of document.querySelectorAll("[data-tick-all]")) {
    all.checked = number > 0 && number === boxes().length;
    all.indeterminate = number > 0 && number < boxes().length;
  }
}
