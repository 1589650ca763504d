// The conversation with the server: one JSON message each way, answered in order; pixels follow the header.

const text = new TextDecoder();

export function unpack(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const header = JSON.parse(text.decode(new Uint8Array(buffer, 4, length)));
  return { header, payload: new Uint8Array(buffer, 4 + length) };
}

export class Wire {
  // greeted(reply) gets what the server says unasked; gone() is called once the connection is lost.
  constructor(greeted, gone) {
    this.waiting = [];
    this.socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/play`);
    this.socket.binaryType = "arraybuffer";
    this.socket.onmessage = (event) => {
      const reply = unpack(event.data);
      const waiting = this.greetings > 0 ? null : this.waiting.shift();
      if (waiting) return waiting(reply);
      this.greetings -= 1;
      greeted(reply);
    };
    this.socket.onclose = () => gone();
    this.greetings = 2; // hello, and the first moment
  }

  // The reply to a message. Never settles if the connection is lost first.
  ask(message) {
    if (this.socket.readyState !== WebSocket.OPEN) return new Promise(() => {});
    this.socket.send(JSON.stringify(message));
    return new Promise((resolve) => this.waiting.push(resolve));
  }
}
