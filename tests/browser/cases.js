// Runs inside the echo server's page. Each case throws, or rejects, when anything differs.

const text = (bytes) => "x".repeat(bytes);
const binary = (bytes) => Uint8Array.from({ length: bytes }, (_, at) => (at * 31 + (at >> 8)) & 0xff);

const cases = {
  "text": () => echoes("Hello"),
  "multi-byte text": () => echoes("κόσμε", "日本語", "🦀 and 👩‍👩‍👧", "\u0000\u007f\u0080\u07ff\u0800\uffff\u{10ffff}"),
  "an empty message": () => echoes("", binary(0), ""),
  "text at the edges of the length": () => echoes(...[1, 124, 125, 126, 127, 65534, 65535, 65536].map(text)),
  "multi-byte text at the edges of the length": () =>
    echoes("é".repeat(62), "é".repeat(62) + "x", "é".repeat(63), "é".repeat(32767) + "x", "é".repeat(32768)),
  "binary at the edges of the length": () => echoes(...[1, 124, 125, 126, 127, 65534, 65535, 65536].map(binary)),
  "1 MiB of binary": () => echoes(binary(1 << 20)),
  "1 MiB of text": () => echoes("日本語 ".repeat((1 << 20) / 10)),
  "a thousand messages, in order": () =>
    echoes(...Array.from({ length: 1000 }, (_, at) => (at % 3 ? `message ${at}` : binary(at)))),
  "any path": async () => closes(await open("/a/path?with=query"), [1000, "done"], 1000),

  // RFC 6455 section 5.5.1: the echo of a Close typically holds its code. Ours holds no reason.
  "the page closes with code and reason": async () => closes(await open(), [4001, "x"], 4001),
  "the page closes with the longest reason": async () => closes(await open(), [4999, "é".repeat(61) + "x"], 4999),
  "the page closes without a code": async () => closes(await open(), [], 1005),
  "the server closes with code and reason": async () => {
    const event = await closed(connect("/close?code=4002&reason=bye"));
    equal([event.wasClean, event.code, event.reason], [true, 4002, "bye"]);
  },
};

async function echoes(...messages) {
  const socket = await open();
  equal(socket.extensions.split(";")[0], "permessage-deflate");
  const received = collect(socket, messages.length);
  messages.forEach((message) => socket.send(message));
  await compare(await received, messages);
  await closes(socket, [1000], 1000);
}

async function closes(socket, how, code) {
  const end = closed(socket);
  socket.close(...how);
  const event = await end;
  equal([event.wasClean, event.code], [true, code]);
}

function connect(path = "/") {
  const socket = new WebSocket(location.origin.replace(/^http/, "ws") + path);
  socket.binaryType = "arraybuffer";
  return socket;
}

function open(path) {
  const socket = connect(path);
  return new Promise((resolve, reject) => {
    socket.onopen = () => resolve(socket);
    socket.onerror = () => reject(new Error("the connection failed"));
  });
}

/** The first `count` messages; one more, or a close before that, is an error. */
function collect(socket, count) {
  const received = [];
  return new Promise((resolve, reject) => {
    socket.onmessage = ({ data }) => {
      received.push(data);
      if (received.length === count) setTimeout(() => resolve(received), 20);
    };
    socket.addEventListener("close", ({ code }) => {
      if (received.length < count) reject(new Error(`closed with ${code} after ${received.length} of ${count}`));
    });
  });
}

function closed(socket) {
  return new Promise((resolve) => socket.addEventListener("close", resolve));
}

function compare(received, sent) {
  equal(received.length, sent.length);
  received.forEach((message, at) => equal(describe(message), describe(sent[at])));
}

/** What can be compared; a binary message as one character a byte. */
function describe(message) {
  if (typeof message === "string") return `text ${message}`;
  return `binary ${Array.from(new Uint8Array(message), (byte) => String.fromCharCode(byte)).join("")}`;
}

function equal(actual, expected) {
  const [left, right] = [JSON.stringify(actual), JSON.stringify(expected)];
  if (left === right) return;
  let at = 0;
  while (left[at] === right[at]) at++;
  const [from, to] = [Math.max(at - 20, 0), at + 20];
  throw new Error(`got …${left.slice(from, to)}… of ${left.length}, not …${right.slice(from, to)}… of ${right.length}`);
}
