/**
 * Server-sent events out of a stream of bytes, as the HTML standard has them ("9.2.6 Interpreting an event stream").
 *
 * @param {ReadableStream<Uint8Array>} body
 * @param {(event: {name: string, data: string}) => void} heard
 * @returns {Promise<void>} ends with the stream, and rejects when it breaks
 */
export async function readEvents(body, heard) {
  const reader = body.pipeThrough(/** @type {any} */ (new TextDecoderStream())).getReader();
  let rest = "";
  let [name, data] = ["", /** @type {string[]} */ ([])];
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    // A line feed that belongs to a carriage return may only come with the next piece.
    const lines = (rest + value).split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop() ?? "";
    for (const line of lines) {
      if (line === "") {
        if (data.length > 0) heard({ name, data: data.join("\n") });
        [name, data] = ["", []];
      } else if (line.startsWith("data:")) data.push(after(line, 5));
      else if (line.startsWith("event:")) name = after(line, 6);
    }
  }
}

/** @param {string} line @param {number} from */
function after(line, from) {
  return line.slice(line[from] === " " ? from + 1 : from);
}
