// A room server on ws for Node: each message is encoded once and sent to each member of its room.
"use strict";

const { WebSocketServer } = require("ws");

const rooms = new Map();
const server = new WebSocketServer({ host: "127.0.0.1", port: Number(process.argv[2]), perMessageDeflate: false, backlog: 1024 });

server.on("connection", (socket) => {
  let joined = null;
  let room = null;
  socket.on("message", (data) => {
    const command = JSON.parse(data);
    if (command.type === "join") {
      joined = command;
      room = rooms.get(command.roomId);
      if (!room) rooms.set(command.roomId, (room = { members: new Set(), seq: 0 }));
      room.members.add(socket);
      socket.send(JSON.stringify({ type: "joined", roomId: command.roomId, userId: command.userId }));
    } else if (room) {
      const text = Buffer.from(
        JSON.stringify({
          type: "chat_message",
          userId: joined.userId,
          roomId: joined.roomId,
          content: command.content,
          timestamp: new Date().toISOString(),
          seq: ++room.seq,
        }),
      );
      for (const member of room.members) member.send(text, { binary: false });
    }
  });
  socket.on("error", () => {});
  socket.on("close", () => room && room.members.delete(socket));
});
