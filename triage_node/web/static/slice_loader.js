// Pictures by their path, each asked for once and kept while it is among the latest.

const SESSION_ENDED = "Your session has ended: load the page again and sign in.";

// An error whose message is a sentence for the reader.
export class NotShown extends Error {}

export class SliceLoader {
  // `most`: how many pictures are kept; one of 512 x 512 takes a megabyte.
  constructor(most) {
    this.most = most;
    this.kept = new Map();
  }

  // A promise of the picture; it fails with NotShown.
  get(path) {
    const found = this.kept.get(path);
    if (found) {
      this.kept.delete(path);
      this.kept.set(path, found);
      return found;
    }
    const asked = ask(path);
    this.kept.set(path, asked);
    asked.catch(() => this.kept.delete(path)); // it may be there the next time
    while (this.kept.size > this.most) this.kept.delete(this.kept.keys().next().value);
    return asked;
  }
}

async function ask(path) {
  let answer;
  try {
    answer = await fetch(path, { headers: { Accept: "image/png" } });
  } catch {
    throw new NotShown("The node does not answer. Scroll to try again.");
  }
  if (answer.ok) return createImageBitmap(await answer.blob());
  if (answer.status === 401) throw new NotShown(SESSION_ENDED);
  const isText = answer.headers.get("Content-Type")?.startsWith("text/plain");
  throw new NotShown(isText ? await answer.text() : `This image cannot be shown (${answer.status}).`);
}
