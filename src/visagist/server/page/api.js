// The server as the page uses it: one function a question, errors with their kind, the token where one is asked for.

export class ServerError extends Error {
  constructor(kind, message, status) {
    super(message);
    this.kind = kind;
    this.status = status;
  }
}

let token = sessionStorage.getItem("visagist-token") ?? "";
let askForToken = async () => "";

export function useToken(value) {
  token = value;
  sessionStorage.setItem("visagist-token", value);
}

export function onTokenNeeded(ask) {
  askForToken = ask;
}

async function send(path, options = {}, tries = 3) {
  const headers = { ...(options.headers ?? {}), ...(token ? { Authorization: `Bearer ${token}` } : {}) };
  let response;
  try {
    response = await fetch(path, { ...options, headers });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ServerError("offline", "The server does not answer. Is it still running?", 0);
  }
  if (response.ok) return response;
  if (response.status === 401) {
    useToken(await askForToken());
    return send(path, options, tries);
  }
  if (response.status === 503 && tries > 1) {
    const seconds = Number(response.headers.get("Retry-After") ?? 1);
    await new Promise((resolve) => setTimeout(resolve, 1000 * seconds));
    return send(path, options, tries - 1);
  }
  let facts = {};
  try {
    facts = (await response.json()).error ?? {};
  } catch {
    facts = { kind: "fault", message: `The server answered with ${response.status}.` };
  }
  throw new ServerError(facts.kind, facts.message, response.status);
}

const asJson = (body, more = {}) => ({
  method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body), ...more,
});

export const models = async () => (await send("v1/models")).json();

export async function openPhotograph(file, signal) {
  const form = new FormData();
  form.append("picture", file);
  return (await send("studio/photographs", { method: "POST", body: form, signal })).json();
}

export const closePhotograph = (id) => send(`studio/photographs/${id}`, { method: "DELETE", keepalive: true }).catch(() => {});

export const preview = async (id, steps, view) => (await send(`studio/photographs/${id}/preview`, asJson({ steps, view }))).json();

export const judge = async (id, steps, signal) =>
  (await send(`studio/photographs/${id}/judge`, asJson({ steps }, { signal }))).json();

export async function exported(id, steps, kind, format) {
  const response = await send(`studio/photographs/${id}/export`, asJson({ steps, kind, format: format || null }));
  return { blob: await response.blob(), suffix: response.headers.get("X-Visagist-Suffix") };
}

export const sample = async (body) => (await send("studio/sample", asJson(body))).json();
export const alike = async (body) => (await send("studio/alike", asJson(body))).json();
export const between = async (body) => (await send("studio/between", asJson(body))).json();
