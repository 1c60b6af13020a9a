# SPDX-License-Identifier: LGPL-2.1-or-later
"""The host's end of a guest's channel, for tests: frames, and as much of protobuf's wire format as they need.
Written against proto/frame.h and proto/guest.proto, on purpose not with the code under test."""

import struct

MAGIC = b"BLST"
HEADER = struct.Struct("<4sHBBI")
KINDS = {2: "hello", 3: "welcome", 4: "configure", 5: "report", 6: "distress", 7: "goodbye",
         8: "reclaim", 9: "compact", 10: "reclaimed"}
NUMBERS = {name: number for number, name in KINDS.items()}


def _crc_table():
    table = []
    for i in range(256):
        for _ in range(8):
            i = i >> 1 ^ (0x82F63B78 if i & 1 else 0)
        table.append(i)
    return table


_CRC = _crc_table()


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def varint(value):
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def read_varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def fields(data):
    """The fields of a message: number → value (int, or bytes where length-delimited)."""
    out, at = {}, 0
    while at < len(data):
        key, at = read_varint(data, at)
        number, kind = key >> 3, key & 7
        if kind == 0:
            out[number], at = read_varint(data, at)
        elif kind == 2:
            length, at = read_varint(data, at)
            if at + length > len(data):
                raise ValueError("a field is longer than its message")
            out[number], at = data[at:at + length], at + length
        elif kind == 5:
            out[number], at = struct.unpack_from("<I", data, at)[0], at + 4
        else:
            raise ValueError(f"wire type {kind} isn't in the contract")
    return out


class Message:
    def __init__(self, payload, size):
        envelope = fields(payload)
        self.nonce = envelope.pop(1, None)
        ((number, body),) = envelope.items()
        self.kind = KINDS[number]
        self.body = fields(body)
        self.size = size  # of the whole frame

    def __repr__(self):
        return f"<{self.kind} nonce={self.nonce} {self.body}>"


def frame(payload):
    length = struct.pack("<H", len(payload))
    return HEADER.pack(MAGIC, len(payload), 1, 0, crc32c(length + payload)) + payload


def pack(kind, body=b"", nonce=None):
    envelope = b"" if nonce is None else b"\x0d" + struct.pack("<I", nonce)
    return frame(envelope + varint(NUMBERS[kind] << 3 | 2) + varint(len(body)) + body)


def welcome(nonce):
    return pack("welcome", b"\x08\x01" + b"\x12\x04test", nonce)


def configure(interval_usec, nonce=None):
    return pack("configure", b"\x08" + varint(interval_usec), nonce)


def reclaim(id_, bytes_):
    return pack("reclaim", b"\x08" + varint(id_) + b"\x10" + varint(bytes_))


def compact(id_):
    return pack("compact", b"\x08" + varint(id_))


class Reader:
    """Bytes in, messages out. What isn't a whole frame where one ought to be is counted as rubbish."""

    def __init__(self):
        self.data = bytearray()
        self.rubbish = bytearray()

    def feed(self, data):
        self.data += data
        messages = []
        while len(self.data) >= HEADER.size:
            magic, length, version, flags, crc = HEADER.unpack_from(self.data)
            if magic != MAGIC or version != 1 or flags != 0 or not 0 < length <= 4096:
                self.rubbish.append(self.data.pop(0))
                continue
            if len(self.data) < HEADER.size + length:
                break
            payload = bytes(self.data[HEADER.size:HEADER.size + length])
            if crc32c(struct.pack("<H", length) + payload) != crc:
                self.rubbish.append(self.data.pop(0))
                continue
            del self.data[:HEADER.size + length]
            messages.append(Message(payload, HEADER.size + length))
        return messages
