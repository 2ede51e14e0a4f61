"""Where the HTTP door listens."""

import asyncio
import socket

from producer.listen import listen


async def test_an_answer_does_not_wait_for_an_acknowledgement() -> None:
    """What a server sends on a connection that it accepted leaves at once: TCP_NODELAY is on."""
    accepted: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def note(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection: socket.socket = writer.get_extra_info("socket")
        accepted.set_result(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    with listen("127.0.0.1", 0) as listener:
        async with await asyncio.start_server(note, sock=listener):
            reader, writer = await asyncio.open_connection(*listener.getsockname())
            assert await accepted
            assert await reader.read() == b""
            writer.close()
            await writer.wait_closed()
