// An HTTP server that answers every request with an empty 200 and writes down how it has read it: one line of JSON for each request that was complete, with bytes as characters. The first line is its address.
import fs from 'node:fs';
import http from 'node:http';

const write = (value) => fs.writeSync(1, JSON.stringify(value) + '\n');

// field is the value of all lines of a name.
const field = (req, name) => req.rawHeaders.filter((_, i, all) => i % 2 === 1 && all[i - 1].toLowerCase() === name).join(', ');

const server = http.createServer((req, res) => {
  const body = [];
  req.on('data', (piece) => body.push(piece));
  req.on('error', () => {}); // the request is not complete, and so not written down
  req.on('end', () => {
    const trailer = [];
    for (let i = 0; i < req.rawTrailers.length; i += 2) trailer.push(req.rawTrailers[i].toLowerCase() + ': ' + req.rawTrailers[i + 1]);
    const id = field(req, 'x-forwarded-for');
    write({
      ID: id, Method: req.method, Target: req.url, Host: field(req, 'host'), Coding: field(req, 'transfer-encoding'), Length: field(req, 'content-length'),
      Body: Buffer.concat(body).toString('latin1'), Trailer: trailer.sort().join('\n'),
    });
    res.writeHead(200, { 'X-Back': 'node', 'X-Seen': id, 'Content-Length': 0 });
    res.end();
  });
});
server.keepAliveTimeout = 60000;
server.on('clientError', (_, socket) => {
  if (socket.writable) socket.end('HTTP/1.1 400 Bad Request\r\nX-Back: node\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
});
server.listen(0, '127.0.0.1', () => write(server.address().port));
