/** Starts the editor: asks who looks, then shows the page. */

import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { configure } from "./api/http";
import { signedIn } from "./api/session";
import { notify } from "./parts/Notices";
import { messageOf } from "./parts/Problem";
import { SessionContext } from "./session";
import { Shell } from "./Shell";
import { language, t } from "./texts";
import { paint } from "./theme";
import "./style/tokens.css";
import "./style/base.css";
import "./style/parts.css";

paint();
document.documentElement.lang = language;
const root = createRoot(document.getElementById("editor")!);

/** Where one was when the session was over: the form that asks for a token leads to the first page. */
const LEFT = "pypes.left";
const left = sessionStorage.getItem(LEFT);
sessionStorage.removeItem(LEFT);
if (left && !location.hash) history.replaceState(null, "", left);

const signIn = () => {
  sessionStorage.setItem(LEFT, location.hash);
  location.reload();
};
const over = () => notify({ text: t.parts.over, kind: "bad", action: { name: t.parts.signIn, run: signIn } });

signedIn()
  .then((session) => {
    configure(session.csrf, over);
    root.render(
      <StrictMode>
        <SessionContext value={session}>
          <Shell />
        </SessionContext>
      </StrictMode>,
    );
  })
  .catch((error: unknown) =>
    root.render(
      <p className="empty" role="alert">
        {messageOf(error)}
      </p>,
    ),
  );
