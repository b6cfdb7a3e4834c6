"""A chunker: chunks end with a line, so that appending to a log changes only its last chunk."""

from plugin_system import ChunkerPlugin, PluginMetadata, PluginType


class LineChunker(ChunkerPlugin):
    def get_metadata(self):
        return PluginMetadata(
            name="lines",
            version="1.0",
            description="Cuts behind the first end of a line after `least` bytes",
            plugin_type=PluginType.CHUNKER,
        )

    def initialize(self, config):
        self.least = config.get("least", 1 << 20)

    def find_boundary(self, data, position, chunk_size):
        start = max(0, min(self.least, chunk_size // 2) - position)
        end = data.find(b"\n", start)
        return None if end < 0 else end + 1
