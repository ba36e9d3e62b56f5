// npm `ws` as both ends. The commands and answers are those of src/main.rs.

import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { createServer as createHttpServer } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import { createRequire } from "node:module";
import { join } from "node:path";
import { createInterface } from "node:readline";

// Installed by `run` in the folder that it starts this in.
const { WebSocket, WebSocketServer } = createRequire(join(process.cwd(), "x"))("ws");

const PLEASE_CLOSE = "close, please";

for await (const line of createInterface({ input: process.stdin })) {
  const [command, ...words] = line.split(" ");
  try {
    const [code, reason] = await (command === "serve" ? serve : connect)(...words);
    console.log(`end ${code} ${reason}`);
  } catch (error) {
    console.log(`failed ${error}`);
  }
}

function deflate(words) {
  if (!words.includes("deflate")) return false;
  const find = (name) => words.map((word) => word.split("=")).find(([key]) => key === name);
  const bits = (name, absent) => {
    const found = find(name);
    return found ? (found.length === 1 ? true : Number(found[1])) : absent;
  };
  return {
    threshold: 0,
    serverNoContextTakeover: find("server_no_context_takeover") ? true : undefined,
    clientNoContextTakeover: find("client_no_context_takeover") ? true : undefined,
    serverMaxWindowBits: bits("server_max_window_bits"),
    clientMaxWindowBits: bits("client_max_window_bits", words.includes("client") ? false : undefined),
  };
}

/** A file that tests/certificates has made; without TLS there is none. */
function certificate(words, name) {
  const folder = words.find((word) => word.startsWith("tls="));
  return folder && readFileSync(join(folder.slice(4), name));
}

async function serve(_, ...words) {
  const [cert, key] = ["chain.pem", "key.pem"].map((name) => certificate(words, name));
  const server = cert ? createHttpsServer({ cert, key }) : createHttpServer();
  const sockets = new WebSocketServer({ server, perMessageDeflate: deflate(words) });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  console.log(`port ${server.address().port}`);
  try {
    const ws = await new Promise((resolve, reject) => {
      sockets.on("connection", resolve);
      sockets.on("wsClientError", reject);
      server.on("tlsClientError", reject);
    });
    let fragment = false;
    ws.on("message", (data, isBinary) => {
      if (!isBinary && data.toString() === PLEASE_CLOSE) return ws.close(4002, "the server is through: κόσμε");
      send(ws, data, isBinary, fragment);
      fragment = !fragment;
    });
    ws.ping("from the server");
    return await closed(ws);
  } finally {
    server.close();
  }
}

async function connect(corpus, url, ...words) {
  const ws = new WebSocket(url, {
    perMessageDeflate: deflate(["client", ...words]),
    ca: certificate(words, "root.pem"),
  });
  const inbox = [];
  let arrived = () => {};
  ws.on("message", (data, isBinary) => {
    inbox.push([data, isBinary]);
    arrived();
  });
  const end = closed(ws);
  end.catch(() => {});
  await Promise.race([once(ws, "open"), end]);
  ws.ping("from the client");
  for (const [at, name] of readdirSync(corpus).sort().entries()) {
    const data = readFileSync(join(corpus, name));
    send(ws, data, !name.endsWith(".txt"), at % 2 === 1);
    if (!inbox.length) await Promise.race([new Promise((resolve) => (arrived = resolve)), end]);
    const [echo, isBinary] = inbox.shift() ?? [Buffer.alloc(0)];
    if (!echo.equals(data) || isBinary === name.endsWith(".txt")) throw Error(`${name}: ${echo.length} other bytes`);
  }
  if (words.includes("asked")) ws.send(PLEASE_CLOSE);
  else ws.close(4001, "the client is through: κόσμε");
  return end;
}

/** In one frame, or in three, cut anywhere. */
function send(ws, data, binary, fragment) {
  if (!fragment) return ws.send(data, { binary });
  const third = Math.floor(data.length / 3);
  ws.send(data.subarray(0, third), { binary, fin: false });
  ws.send(data.subarray(third, 2 * third), { binary, fin: false });
  ws.send(data.subarray(2 * third), { binary, fin: true });
}

/** The peer's code and reason. */
function closed(ws) {
  return new Promise((resolve, reject) => {
    ws.on("close", (code, reason) => resolve([code, reason]));
    ws.on("error", reject);
  });
}
