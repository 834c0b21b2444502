"""gateway.py PORT HOST:PORT: forwards connections; the name is looked up for each, so its owner may come and go."""

import asyncio
import sys

listen, (host, port) = int(sys.argv[1]), sys.argv[2].rsplit(":", 1)


async def copy(reader, writer):
    try:
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
        writer.write_eof()
    except (OSError, RuntimeError):
        writer.close()


async def forward(reader, writer):
    try:
        there, back = await asyncio.wait_for(asyncio.open_connection(host, int(port)), 3)
    except (OSError, asyncio.TimeoutError):
        writer.transport.abort()
        return
    await asyncio.gather(copy(reader, back), copy(there, writer))
    for w in (writer, back):
        w.close()


async def main():
    async with await asyncio.start_server(forward, "0.0.0.0", listen) as server:
        await server.serve_forever()


asyncio.run(main())
