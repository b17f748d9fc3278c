// A room server on socket.io for Node, which uses socket.io's rooms.
"use strict";

const { Server } = require("socket.io");
const http = require("http");

const web = http.createServer();
const server = new Server(web, { perMessageDeflate: false, httpCompression: false, serveClient: false, pingInterval: 3600_000 });
const seqs = new Map();

server.on("connection", (socket) => {
  let joined = null;
  socket.on("join", (command) => {
    joined = command;
    socket.join(command.roomId);
    socket.emit("joined", command);
  });
  socket.on("chat_message", (command) => {
    if (!joined) return;
    const seq = (seqs.get(joined.roomId) || 0) + 1;
    seqs.set(joined.roomId, seq);
    server.to(joined.roomId).emit("chat_message", {
      userId: joined.userId,
      roomId: joined.roomId,
      content: command.content,
      timestamp: new Date().toISOString(),
      seq,
    });
  });
});

web.listen({ port: Number(process.argv[2]), host: "127.0.0.1", backlog: 1024 });
