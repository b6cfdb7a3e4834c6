"""An encryption: a stream of SHA-256 over key and nonce, with a MAC. It shows how to write one with nothing but the
standard library; for data that matters use a library's AES-GCM or ChaCha20-Poly1305 in the same two places.
"""

import hashlib
import hmac
import os

from plugin_system import EncryptionPlugin, PluginMetadata, PluginType

NONCE = 16
MAC = 32


class Keyed(EncryptionPlugin):
    def get_metadata(self):
        return PluginMetadata(
            name="keyed",
            version="1.0",
            description="Encrypts by the key in the configuration (64 hex digits)",
            plugin_type=PluginType.ENCRYPTION,
        )

    def initialize(self, config):
        self.key = bytes.fromhex(config["key"])
        if len(self.key) != 32:
            raise ValueError("the key has 64 hex digits")

    def _stream(self, nonce, data):
        # SHAKE-256 gives as many bytes as are needed in one call.
        pad = hashlib.shake_256(b"stream" + self.key + nonce).digest(len(data))
        return (int.from_bytes(data, "big") ^ int.from_bytes(pad, "big")).to_bytes(len(data), "big")

    def _mac(self, text):
        return hmac.new(b"mac" + self.key, text, "sha256").digest()

    def encrypt(self, data):
        nonce = os.urandom(NONCE)
        text = nonce + self._stream(nonce, data)
        return text + self._mac(text)

    def decrypt(self, data):
        text, mac = data[:-MAC], data[-MAC:]
        if not hmac.compare_digest(mac, self._mac(text)):
            raise ValueError("another key, or damaged")
        return self._stream(text[:NONCE], text[NONCE:])
