"""An HTTP/3 server on aioquic that counts its requests, for interop: its QPACK encoder uses the dynamic table.

    aioquic_server.py CERTIFICATE KEY PORT

Answers every request with 100 bytes and fields that come again and again, so that from the second response on they are references into
the table. Whoever connects to the same port over TCP is told what was counted, as JSON.
"""

import asyncio
import json
import sys

from aioquic.asyncio import QuicConnectionProtocol, serve
from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.h3.events import DataReceived, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import ProtocolNegotiated, StreamDataReceived

COUNTED = {"requests": 0, "connections": 0, "encoder_stream_bytes": 0, "decoder_stream_bytes": 0}
# What interop checks in every response. Not in the static table.
FIELDS = [(b":status", b"200"), (b"server", b"aioquic-interop"), (b"x-table", b"a field that is worth an entry"),
          (b"content-length", b"100")]


class Server(QuicConnectionProtocol):
    http = None

    def quic_event_received(self, event):
        if isinstance(event, ProtocolNegotiated):
            self.http = H3Connection(self._quic)
            COUNTED["connections"] += 1
        if self.http is None:
            return
        if isinstance(event, StreamDataReceived) and event.stream_id == self.http._peer_decoder_stream_id:
            COUNTED["decoder_stream_bytes"] += len(event.data)
        for event in self.http.handle_event(event):
            ended = isinstance(event, (HeadersReceived, DataReceived)) and event.stream_ended
            if isinstance(event, HeadersReceived):
                COUNTED["requests"] += 1
            if ended:
                self.answer(event.stream_id)

    def answer(self, stream):
        # What of it went over the encoder stream: insertions into the table.
        encoder = self._quic._streams.get(self.http._local_encoder_stream_id)
        before = encoder.sender._buffer_stop if encoder else 0
        self.http.send_headers(stream, FIELDS)
        self.http.send_data(stream, b"x" * 100, True)
        encoder = self._quic._streams.get(self.http._local_encoder_stream_id)
        COUNTED["encoder_stream_bytes"] += encoder.sender._buffer_stop - before if encoder else 0
        self.transmit()


async def tell(_, writer):
    writer.write(json.dumps(COUNTED).encode())
    await writer.drain()
    writer.close()


async def main(certificate, key, port):
    configuration = QuicConfiguration(alpn_protocols=H3_ALPN, is_client=False, max_datagram_size=1350)
    configuration.load_cert_chain(certificate, key)
    await serve("127.0.0.1", port, configuration=configuration, create_protocol=Server)
    await asyncio.start_server(tell, "127.0.0.1", port)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
