// An HTTP client that makes the requests that it reads from standard input, as lines of JSON, each followed by a probe on the same connection if that is still open. It writes what it has got: one line of
// JSON for each, with bytes as characters.
import fs from 'node:fs';
import http from 'node:http';

const [, , port, workers] = process.argv;
const todo = fs.readFileSync(0, 'utf8').trim().split('\n').map((line) => JSON.parse(line));

// ask makes a request; what fails has no status.
const ask = (agent, method, path) => new Promise((resolve) => {
  const failed = () => resolve({ Status: 0, Fields: [], Body: '', Trailer: [] });
  const req = http.request({ host: '127.0.0.1', port, agent, method, path }, (res) => {
    const body = [];
    res.on('data', (piece) => body.push(piece));
    res.on('error', failed);
    res.on('aborted', failed);
    res.on('end', () => res.complete && resolve({ Status: res.statusCode, Fields: res.rawHeaders, Body: Buffer.concat(body).toString('latin1'), Trailer: res.rawTrailers }));
    res.on('close', failed); // of no effect behind an end
  });
  req.on('upgrade', (_, socket) => socket.destroy()); // nobody asked for it
  req.on('error', failed);
  req.on('close', failed); // of no effect behind an answer
  req.end();
});

await Promise.all(Array.from({ length: Number(workers) }, async () => {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  for (let next = todo.shift(); next; next = todo.shift()) {
    const result = await ask(agent, next.Method, next.Path);
    const probe = await ask(agent, 'GET', next.Probe);
    process.stdout.write(JSON.stringify({ N: next.N, Result: result, Probe: probe }) + '\n');
  }
  agent.destroy();
}));
