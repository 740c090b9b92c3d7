/** Questions to the service, and what it says is wrong. */

/** Where the service is: its own page may be below any path. */
export const ROOT = new URL("..", import.meta.url);

/** A question that was not answered, as a sentence and a hint. */
export class Problem extends Error {
  constructor(status, detail, hint) {
    super(hint ? `${detail} (${hint})` : detail);
    this.status = status;
  }
}

/** Return what is answered at a path below the root; lists are repeated, what is empty is left out. */
export async function ask(path, asked = {}, how = {}) {
  const url = new URL(path, ROOT);
  for (const [name, value] of Object.entries(asked)) {
    for (const each of [value].flat()) {
      if (each !== null && each !== undefined && each !== "") url.searchParams.append(name, quoted(each));
    }
  }
  const response = await fetch(url, how).catch(() => {
    throw new Problem(0, "the service does not answer");
  });
  const said = await response.json().catch(() => ({}));
  if (!response.ok) throw new Problem(response.status, said.detail ?? `status ${response.status}`, said.hint);
  return said;
}

/** Have something done by whoever has the token; the browser shall not ask for a password if it is refused. */
export function command(name, argument, token) {
  const headers = { "Content-Type": "application/json", Authorization: `Bearer ${token}` };
  const how = { method: "POST", headers, body: JSON.stringify(argument), credentials: "omit" };
  return ask(`api/control/${name}`, {}, how);
}

/** The service reads a list separated by commas, as in CSV. */
function quoted(value) {
  const text = String(value);
  return /^"|[,\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
