// Marks a message as read when it is opened. Small on purpose: it is here to be fetched.
"use strict";
document.addEventListener("click", (event) => {
  const row = event.target.closest("tr.unread");
  if (row) {
    row.classList.replace("unread", "read");
  }
});
