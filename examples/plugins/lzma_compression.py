"""A compression: LZMA, which makes most data smaller than zstd does, and takes much longer."""

import lzma

from plugin_system import CompressionPlugin, PluginMetadata, PluginType


class Lzma(CompressionPlugin):
    def get_metadata(self):
        return PluginMetadata(
            name="lzma",
            version="1.0",
            description="LZMA at the preset of the configuration (0 to 9)",
            plugin_type=PluginType.COMPRESSION,
        )

    def initialize(self, config):
        self.preset = config.get("preset", 1)

    def compress(self, data):
        return lzma.compress(data, preset=self.preset)

    def decompress(self, data):
        return lzma.decompress(data)
