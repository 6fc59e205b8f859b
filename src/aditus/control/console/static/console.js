// What makes the pages of the console livelier. Each module finds its own elements; every page works without,
// where a form can do it.
import "./copy.js";
import "./dialog.js";
import "./fields.js";
import "./menus.js";
import "./times.js";
import "./tunnels.js";

const notice = document.getElementById("notice");
if (notice) {
  // It tells of what was just done: a reload, or a link that is passed on, must not tell it again.
  const address = new URL(location.href);
  address.searchParams.delete("notice");
  history.replaceState(history.state, "", address);
  notice.focus();
}

// An invitation stands behind the #, which no browser sends to a server.
const invitation = document.getElementById("invitation");
if (invitation && location.hash.length > 1) {
  invitation.value = decodeURIComponent(location.hash.slice(1));
  document.getElementById("invitation-field").hidden = true;
  document.getElementById("password").focus();
  history.replaceState(history.state, "", location.pathname);
}
