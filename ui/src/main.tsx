/** Starts the editor: asks who looks, then shows the page. */

import "./preact";
import { createRoot } from "react-dom/client";
import { ApiError, configure } from "./api/http";
import { may, signedIn } from "./api/session";
import { notify } from "./parts/Notices";
import { messageOf } from "./parts/Problem";
import { SessionContext } from "./session";
import { Shell } from "./Shell";
import { SignIn } from "./SignIn";
import { language, t } from "./texts";
import { paint } from "./theme";
import "./style/tokens.css";
import "./style/base.css";
import "./style/parts.css";

paint();
document.documentElement.lang = language;
const root = createRoot(document.getElementById("editor")!);

const over = () => notify({ text: t.parts.over, kind: "bad", action: { name: t.parts.signIn, run: () => location.reload() } });

function start(): void {
  signedIn()
    .then((session) => {
      // the node says what such a token is for
      if (!may(session, "read")) return location.reload();
      configure(session.csrf, over);
      root.render(
        <SessionContext value={session}>
          <Shell />
        </SessionContext>,
      );
    })
    .catch((error: unknown) =>
      root.render(
        error instanceof ApiError && error.status === 401 ? (
          <SignIn onDone={start} />
        ) : (
          <p className="empty" role="alert">
            {messageOf(error)}
          </p>
        ),
      ),
    );
}

start();
