// @ts-check
import { html, useState } from "./vendor/preact.js";
import { call } from "./api.js";
import { Failure, Icon } from "./parts.js";

/** @param {{done: (me: any) => void}} props */
export function SignIn({ done }) {
  const [byToken, setByToken] = useState(false);
  const [error, setError] = useState(/** @type {any} */ (null));
  const [busy, setBusy] = useState(false);
  const submit = async (/** @type {any} */ event) => {
    event.preventDefault();
    const form = new FormData(event.target);
    const body = byToken ? { token: form.get("token") } : { user: form.get("user"), password: form.get("password") };
    setBusy(true);
    setError(null);
    try {
      done(await call("POST", "session", body));
    } catch (problem) {
      const it = /** @type {any} */ (problem);
      if (it.status === 401) {
        it.message = byToken ? "This token is not known" : "The user name or the password is wrong";
        it.hint = byToken ? "`rclonepool user token` makes new ones" : "`rclonepool user add` sets passwords; where only tokens are allowed, use one";
      }
      setError(it);
      setBusy(false);
    }
  };
  return html`<main class="signin"><form onSubmit=${submit} class="card">
    <h1><img src=".rclonepool/ui/icon.svg" alt="" width="36" height="36" /> rclonepool</h1>
    <p class="quiet">Sign in to see the pool.</p>
    ${byToken
      ? html`<label class="field"><span>Token</span><input name="token" type="password" autocomplete="off" required key="token" autofocus /></label>`
      : html`<label class="field" key="u"><span>User name</span><input name="user" type="text" autocomplete="username" autocapitalize="none" spellcheck="false" required autofocus /></label>
        <label class="field" key="p"><span>Password</span><input name="password" type="password" autocomplete="current-password" required /></label>`}
    <${Failure} error=${error} />
    <button class="button primary" type="submit" disabled=${busy}><${Icon} name="check" />${busy ? "Signing in…" : "Sign in"}</button>
    <button class="button plain" type="button" onClick=${() => { setByToken(!byToken); setError(null); }}>${byToken ? "Use a password instead" : "Use a token instead"}</button>
  </form></main>`;
}
