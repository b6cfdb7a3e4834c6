"""Files a browser can show, made here."""

import base64
import math
import struct
import zlib

from playwright.sync_api import Page


def _coast(x: float, y: float) -> tuple[int, int, int]:
    """The colour of a picture of a coast, at a place from 0 to 1 each way."""
    hill = 0.52 - 0.13 * math.sin(3.1 * x + 0.4) - 0.04 * math.sin(11 * x) - 0.008 * math.sin(53 * x)
    if math.hypot((x - 0.7) * 1.7, y - 0.27) < 0.09:
        return (255, 240, 200)
    if y > 0.62:
        wave = math.sin(90 * y * y + 3 * math.sin(14 * x)) * 10
        return (round(32 + 60 * (1 - y) + wave), round(96 + 60 * (1 - y) + wave), round(128 + 40 * (1 - y) + wave))
    if y > hill:
        return (round(50 + 60 * (y - hill)), round(84 + 90 * (y - hill)), 76)
    return (round(250 - 130 * (0.62 - y)), round(190 - 60 * (0.62 - y)), round(140 + 130 * (0.62 - y)))


def png(width: int = 320, height: int = 200, more: bytes = b"") -> bytes:
    """A picture; `more` is data no browser looks at."""
    rows = b"".join(b"\0" + b"".join(bytes(_coast(x / width, y / height)) for x in range(width)) for y in range(height))

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(rows))
        + (chunk(b"raNd", more) if more else b"")
        + chunk(b"IEND", b"")
    )


def wav(seconds: int = 30, rate: int = 22050) -> bytes:
    """A tone, sampled with 16 bits."""
    period = [round(9000 * math.sin(2 * math.pi * i / 50)) for i in range(50)]
    data = struct.pack("<50h", *period) * (seconds * rate // 50)
    head = struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        b"RIFF",
        36 + len(data),
        b"WAVE",
        b"fmt ",
        16,
        1,
        1,
        rate,
        rate * 2,
        2,
        16,
        b"data",
        len(data),
    )
    return head + data


def pdf(text: str = "A page of the pool") -> bytes:
    """A document of one page."""
    stream = f"BT /F1 28 Tf 60 700 Td ({text}) Tj ET".encode()
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R "
        b"/Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    out, offsets = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    start = len(out)
    count = len(objects) + 1
    return (
        out
        + b"xref\n0 %d\n0000000000 65535 f \n%s" % (count, table)
        + (b"trailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (count, start))
    )


ENCODE = """async ([width, height, frames, rate]) => {
  const chunks = [];
  const encoder = new VideoEncoder({
    output: (chunk) => {
      const data = new Uint8Array(chunk.byteLength);
      chunk.copyTo(data);
      let text = "";
      for (let at = 0; at < data.length; at += 8192) text += String.fromCharCode(...data.subarray(at, at + 8192));
      chunks.push([chunk.type === "key", btoa(text)]);
    },
    error: (problem) => { throw problem; },
  });
  encoder.configure({ codec: "vp8", width, height, bitrate: 4e6, framerate: rate });
  const canvas = new OffscreenCanvas(width, height);
  const paint = canvas.getContext("2d");
  for (let at = 0; at < frames; at += 1) {
    const noise = paint.createImageData(width, height);
    for (let i = 0; i < noise.data.length; i += 4) {
      noise.data.set([Math.random() * 160, (at * 255) / frames, 120, 255], i);
    }
    paint.putImageData(noise, 0, 0);
    const frame = new VideoFrame(canvas, { timestamp: (at * 1e6) / rate });
    encoder.encode(frame, { keyFrame: at % rate === 0 });
    frame.close();
    await new Promise((done) => setTimeout(done));
  }
  await encoder.flush();
  return chunks;
}"""


def _size(n: int) -> bytes:
    return struct.pack(">Q", n | 1 << 56)


def _element(name: int, data: bytes | int | float | str) -> bytes:
    if isinstance(data, int):
        data = data.to_bytes(max(1, (data.bit_length() + 7) // 8))
    elif isinstance(data, float):
        data = struct.pack(">d", data)
    elif isinstance(data, str):
        data = data.encode()
    return name.to_bytes((name.bit_length() + 7) // 8) + _size(len(data)) + data


def webm(page: Page, width: int = 640, height: int = 360, seconds: int = 20, rate: int = 10) -> bytes:
    """A video whose pictures the browser encodes (VP8), in a Matroska container with an index for seeking."""
    frames = page.evaluate(ENCODE, [width, height, seconds * rate, rate])
    info = _element(
        0x1549A966,
        _element(0x2AD7B1, 1_000_000)
        + _element(0x4489, seconds * 1000.0)
        + _element(0x4D80, "t")
        + _element(0x5741, "t"),
    )
    video = _element(0xE0, _element(0xB0, width) + _element(0xBA, height))
    track = _element(0xD7, 1) + _element(0x73C5, 1) + _element(0x83, 1) + _element(0x86, "V_VP8") + video
    tracks = _element(0x1654AE6B, _element(0xAE, track))
    clusters: list[bytes] = []
    for second in range(seconds):
        blocks = b""
        for at, (is_key, data) in enumerate(frames[second * rate : (second + 1) * rate]):
            head = b"\x81" + struct.pack(">hB", at * 1000 // rate, 0x80 if is_key else 0)
            blocks += _element(0xA3, head + base64.b64decode(data))
        clusters.append(_element(0x1F43B675, _element(0xE7, second * 1000) + blocks))

    def cues(first: int) -> bytes:
        points, offset = b"", first
        for second, cluster in enumerate(clusters):
            place = _element(0xF7, 1) + _element(0xF1, struct.pack(">Q", offset))
            points += _element(0xBB, _element(0xB3, struct.pack(">Q", second * 1000)) + _element(0xB7, place))
            offset += len(cluster)
        return _element(0x1C53BB6B, points)

    index = cues(len(info) + len(tracks) + len(cues(0)))
    head = _element(0x4286, 1) + _element(0x42F7, 1) + _element(0x42F2, 4) + _element(0x42F3, 8)
    head += _element(0x4282, "webm") + _element(0x4287, 4) + _element(0x4285, 2)
    return _element(0x1A45DFA3, head) + _element(0x18538067, info + tracks + index + b"".join(clusters))
