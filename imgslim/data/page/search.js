"use strict";

// Every path of the image, from the packed list (imgslim/reports/audit_paths.py).
const LETTERS = { n: "needed", r: "removable", u: "undecided", h: "hidden" };

async function unpackPaths(packed) {
  const bytes = Uint8Array.from(atob(packed), (sign) => sign.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  const text = await new Response(stream).text();
  let names = [];
  return text.split("\n").filter((line) => line).map((line) => {
    const [, shared, letter, size, rest] = /^([0-9a-f]+)([nruhx])([0-9a-f]*)\/(.*)$/.exec(line);
    names = [...names.slice(0, parseInt(shared, 16)), ...rest.split("/")];
    const path = `/${names.join("/")}`;
    const lower = path.toLowerCase();
    const bytes = size ? parseInt(size, 16) : 0;
    return { path, lower, start: lower.lastIndexOf("/"), size: bytes, verdict: LETTERS[letter] };
  });
}

// Those whose own name has the words, or ends them: not all that lies below.
function matchPaths(paths, query) {
  const words = query.toLowerCase();
  return paths.filter(({ lower, start }) => {
    const end = lower.lastIndexOf(words) + words.length;
    return end >= words.length && end > start;
  });
}
